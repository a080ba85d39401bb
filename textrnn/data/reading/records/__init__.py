"""Records of labelled files: what is read of each."""
