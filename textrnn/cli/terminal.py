"""Saying things on stderr, and writing data to stdout."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

from textrnn.errors import DataError


def say(message: str) -> None:
    """Print a message for the user on stderr, with the program's name before each of its lines."""
    for line in message.splitlines():
        with contextlib.suppress(BrokenPipeError):  # where this is not the end of the program, its reader's is none
            print(f"textrnn: {line}\n", end="", file=sys.stderr, flush=True)  # whole, beside other processes' lines


def write_data(data: str | bytes) -> None:
    """Write ``data`` to stdout, text as UTF-8, whatever the locale, and flush it."""
    if sys.stdout is None:
        raise DataError("standard output", None, "closed; nothing can be written")
    rest = memoryview(data.encode("utf-8") if isinstance(data, str) else data)
    with _naming_stdout():
        while rest:  # with PYTHONUNBUFFERED a signal may end a write halfway
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()


def flush_stdout() -> None:
    """Write what was printed on stdout and not yet written, if it is open."""
    if sys.stdout is not None:
        with _naming_stdout():
            sys.stdout.flush()


@contextlib.contextmanager
def _naming_stdout() -> Iterator[None]:
    """Turn an OSError, which names no file here, into a DataError."""
    try:
        yield
    except OSError as error:
        raise DataError("standard output", None, error.strerror or str(error)) from None


def replace_closed_stderr() -> None:
    """Throw away what is said where the caller closed stderr, as ``2>&-`` does; else it would land among the data.

    Python has no ``sys.stderr`` then, for which ``print`` takes stdout, and the next file that is opened takes its
    number, to which C++ libraries and the processes that are started write.
    """
    if sys.stderr is None:
        number = os.open(os.devnull, os.O_WRONLY)
        os.set_inheritable(number, True)
        sys.stderr = os.fdopen(number, "w", encoding="utf-8")


def die_on_broken_pipe() -> None:
    """End quietly by SIGPIPE when the reader of stdout goes, as ``yes | head`` does (where the system has it)."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def survive_broken_pipe() -> None:
    """Go on when the reader of stdout or stderr goes: what is being done is worth more than what is said of it."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def hint_at_terminal(paths: list[str]) -> None:
    """Tell a user who typed no file that lines are read from the keyboard."""
    if "-" in paths and sys.stdin.isatty():
        say("reading from the terminal; end with Ctrl-D")
