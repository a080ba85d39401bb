"""Knowledge distillation: raw text that a teacher labels becomes training rows with soft labels.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015 (arXiv 1503.02531).
"""
