"""Metrics of a model on labelled text."""
