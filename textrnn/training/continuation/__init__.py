"""Training that continues from a model: distillation, and a report of what is retained."""
