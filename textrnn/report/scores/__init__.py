"""The evaluation page of a model of scores."""
