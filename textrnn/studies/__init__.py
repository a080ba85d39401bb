"""Several runs from one config: folds, seeds, and the search for better settings."""
