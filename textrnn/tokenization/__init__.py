"""SentencePiece tokenizers: training, encoding, subword sampling, and added words."""
