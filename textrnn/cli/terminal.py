"""Messages on stderr and data on stdout."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

from textrnn.errors import DataError


def print_message(message: str) -> None:
    """Print a message for the user on stderr, with the program's name before each line."""
    for line in message.splitlines():
        with contextlib.suppress(BrokenPipeError):  # training outlives the reader of its messages
            # one write a line, for other processes write to the same terminal
            print(f"textrnn: {line}\n", end="", file=sys.stderr, flush=True)


def write_data(data: str | bytes) -> None:
    """Write ``data`` to stdout and flush it; text is encoded as UTF-8 in every locale."""
    if sys.stdout is None:
        raise DataError("standard output", None, "closed; nothing can be written")
    rest = memoryview(data.encode("utf-8") if isinstance(data, str) else data)
    with _name_stdout_in_errors():
        while rest:  # under PYTHONUNBUFFERED a signal can interrupt a write halfway
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()


def flush_stdout() -> None:
    """Flush stdout, if it is open."""
    if sys.stdout is not None:
        with _name_stdout_in_errors():
            sys.stdout.flush()


@contextlib.contextmanager
def _name_stdout_in_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:  # it names no file
        raise DataError("standard output", None, error.strerror or str(error)) from None


def replace_closed_stderr() -> None:
    """Discard messages if the caller closed stderr with ``2>&-``; otherwise they would end up in the data.

    Python then sets ``sys.stderr`` to None, and ``print`` falls back to stdout. The next file to be opened would also
    get descriptor 2, to which C++ libraries and child processes write.
    """
    if sys.stderr is None:
        number = os.open(os.devnull, os.O_WRONLY)
        os.set_inheritable(number, True)
        sys.stderr = os.fdopen(number, "w", encoding="utf-8")


def exit_on_broken_pipe() -> None:
    """Let SIGPIPE end the process quietly when the reader of stdout exits, as in ``yes | head``."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def ignore_broken_pipe() -> None:
    """Keep running when the reader of stdout or stderr exits."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def announce_keyboard_input(paths: list[str]) -> None:
    """Print a hint if ``paths`` include standard input and that is a terminal."""
    if "-" in paths and sys.stdin.isatty():
        print_message("reading from the terminal; end with Ctrl-D")
