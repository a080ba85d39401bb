"""The command line: ``textrnn``, and ``python -m textrnn``."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C during the import exits with status 130, as it does later."""
    try:
        from textrnn.cli.app import main as run  # noqa: PLC0415 - the import takes time, and Ctrl-C may arrive
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
