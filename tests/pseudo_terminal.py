"""Programs that run on a terminal of a given width."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

_HIDDEN = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}


def run_in_terminal(arguments: Sequence[str], *, columns: int, color: bool = True, cwd: Path | None = None) -> str:
    """Return what a program, which must succeed, writes to a terminal that is ``columns`` wide."""
    fcntl, pty, termios = map(pytest.importorskip, ("fcntl", "pty", "termios"))  # not on Windows
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in _HIDDEN}
    env |= {"TERM": "xterm-256color", "PYTHONUTF8": "1"} | ({} if color else {"NO_COLOR": "1"})
    parts = []
    with subprocess.Popen(arguments, env=env, cwd=cwd, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        while True:
            try:
                part = os.read(master, 1 << 16)
            except OSError:  # the terminal is closed
                break
            if not part:
                break
            parts.append(part)
    os.close(master)
    assert process.returncode == 0, b"".join(parts).decode()
    return b"".join(parts).decode()
