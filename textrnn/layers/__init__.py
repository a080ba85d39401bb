"""Layers over packed rows: ``x`` (N, width) with ``offsets`` (B+1,) in, the same layout out."""
