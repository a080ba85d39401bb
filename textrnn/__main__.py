"""The command line: ``textrnn``, and ``python -m textrnn``."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is being loaded ends it like Ctrl-C later on."""
    try:
        from textrnn.cli.app import main as run  # noqa: PLC0415 - it takes a moment
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
