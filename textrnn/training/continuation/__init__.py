"""What training that goes on from a model has of its own: distillation, and a report of what is retained."""
