"""Several runs from one config: cross-validation, seeds, search."""
