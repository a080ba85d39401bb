"""The commands of SentencePiece tokenizers."""
