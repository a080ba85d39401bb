"""Lines in, labelled lines out, in order."""
