"""The evaluation page: figures of a model on labelled text, in one HTML file."""
