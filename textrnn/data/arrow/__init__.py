"""Parquet and Arrow files: their rows as lines of JSON, and copies of their rows with more columns."""
