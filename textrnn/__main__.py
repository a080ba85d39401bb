"""The command line: ``textrnn``, and ``python -m textrnn``."""

import gc
import sys

from textrnn.extras import describe_missing


def main() -> None:
    """Run the command line; Ctrl-C during the import exits with status 130, as it does later."""
    gc.disable()  # imports leave no garbage; the command enables it
    try:
        from textrnn.cli.app import main as run  # noqa: PLC0415 - the import takes time, and Ctrl-C may arrive
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        if (message := describe_missing(error)) is None:
            raise
        if sys.stderr is not None:  # None if it is closed
            sys.stderr.write(f"textrnn: {message}\n")
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
