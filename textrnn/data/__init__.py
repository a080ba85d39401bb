"""Files of text: reading, parsing, caching, splitting and batching."""
