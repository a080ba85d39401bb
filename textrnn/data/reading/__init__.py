"""Files: from bytes to rows of text, whatever their compression, encoding and format."""
