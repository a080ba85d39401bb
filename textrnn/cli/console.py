"""Saying things on stderr, and writing data to stdout."""

from __future__ import annotations

import signal
import sys

from textrnn.errors import DataError


def say(message: str) -> None:
    """Print a message for the user on stderr, with the program's name before each of its lines."""
    for line in message.splitlines():
        print(f"textrnn: {line}", file=sys.stderr, flush=True)


def write_data(text: str) -> None:
    """Write ``text`` to stdout as UTF-8, whatever the locale, and flush it."""
    if sys.stdout is None:
        raise DataError("standard output", None, "closed; nothing can be written")
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()


def die_on_broken_pipe() -> None:
    """End quietly by SIGPIPE when the reader of stdout goes, as ``yes | head`` does (where the system has it)."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def hint_at_terminal(paths: list[str]) -> None:
    """Tell a user who typed no file that lines are read from the keyboard."""
    if "-" in paths and sys.stdin.isatty():
        say("reading from the terminal; end with Ctrl-D")
