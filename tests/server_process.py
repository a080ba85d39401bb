"""A running ``textrnn serve``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from command import find_command


class Server:
    """A running ``textrnn serve``; ``program`` is Python code that stands for the command."""

    def __init__(self, folder: Path, *options: object, program: str | None = None) -> None:
        self.log = (folder / "serve.log").open("w+")
        start = [find_command()] if program is None else [sys.executable, "-c", program]
        command = [*start, "serve", "--port", "0", *map(str, options)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
        self.process = subprocess.Popen(command, cwd=folder, stderr=self.log, env=environment)
        try:
            self.url = str(self.wait_for("started")["url"])
        except BaseException:
            self.process.kill()
            raise

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The complete lines of the log."""
        text = os.pread(self.log.fileno(), 1 << 24, 0).decode()
        return [json.loads(line) for line in re.findall(r"(\{.*)\n", text)]

    def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        """Return the line of the ``count``-th ``event``, as soon as it is there."""
        for _ in range(2000):
            if len(found := [line for line in self.lines if line["event"] == event]) >= count:
                return found[count - 1]
            assert self.process.poll() is None, self.lines
            time.sleep(0.01)
        pytest.fail(f"no {event}: {self.lines}")

    def post(self, content: object, path: str = "/predict") -> httpx.Response:
        """Return the answer to ``content``."""
        return httpx.post(self.url + path, json=content, timeout=60)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Return the exit status after the signal ``number``."""
        self.process.send_signal(number)
        return self.process.wait(60)
