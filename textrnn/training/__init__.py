"""Training a classifier, from a config to a run folder."""
