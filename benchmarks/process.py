"""Measuring a whole process: its seconds, and the largest resident memory that it had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# A process begins with the peak memory of the one that started it: the one between is small, whatever this one holds.
_BETWEEN = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - start
peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
with open(sys.argv[1], "w") as file:
    json.dump({"status": os.waitstatus_to_exitcode(status), "seconds": seconds, "peak": peak}, file)
"""


@dataclass(frozen=True)
class Measured:
    """What a process took: ``seconds``, ``peak`` bytes of resident memory; and what it wrote to ``stderr``."""

    seconds: float
    peak: int
    stderr: str


def measure(command: Sequence[object], *, stdin: Path, environment: Mapping[str, str] | None = None) -> Measured:
    """Run ``command`` on the file ``stdin``, its output going nowhere; end this program where it fails."""
    with tempfile.TemporaryDirectory() as place, stdin.open("rb") as lines:
        report = Path(place, "report")
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _BETWEEN, str(report), *map(str, command)],
            stdin=lines,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            check=False,
        )
        said = done.stderr.decode(errors="replace")
        if done.returncode != 0:
            sys.exit(said)
        found = json.loads(report.read_text(encoding="utf-8"))
    if found["status"] != 0:
        sys.exit(f"{said}{command[0]} ended with status {found['status']}")
    return Measured(found["seconds"], found["peak"], said)
