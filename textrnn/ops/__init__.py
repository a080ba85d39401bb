"""Operators on packed sequences; this package itself imports no torch."""
