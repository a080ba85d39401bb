"""Starters: how a network learns from a teacher, and how trainings begin with it."""
