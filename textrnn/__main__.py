"""Runs the command line: ``python -m textrnn``."""

from textrnn.cli.app import main

if __name__ == "__main__":
    main()
