"""The engines of ``predict`` besides this process."""
