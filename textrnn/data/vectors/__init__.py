"""Formats of word vectors: text and arrays, binary files of word2vec and fastText, folders of model2vec."""
