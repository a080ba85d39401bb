"""The evaluation of a model on labelled text."""
