"""Model files, checkpoints and run folders."""
