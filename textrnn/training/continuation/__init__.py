"""Training that goes on from a model: distillation, and a report of what is retained."""
