"""Running a process to its end and measuring its time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# A process inherits the peak memory of its parent, so a small process between the two starts it.
_LAUNCHER = """
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
    """A finished process: seconds, peak resident memory in bytes, and its output (stdout only if captured)."""

    seconds: float
    peak: int
    stdout: bytes
    stderr: str


def measure(
    command: Sequence[object],
    *,
    stdin: Path | None = None,
    capture: bool = False,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Measured:
    """Run ``command``, with ``environment`` added to this process's; exit with its message if it fails."""
    with tempfile.TemporaryDirectory() as folder, (stdin or Path(os.devnull)).open("rb") as lines:
        report = Path(folder, "report")
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(report), *map(str, command)],
            stdin=lines,
            stdout=subprocess.PIPE if capture else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            check=False,
        )
        stderr = done.stderr.decode(errors="replace")
        if done.returncode != 0:
            sys.exit(stderr)
        result = json.loads(report.read_text(encoding="utf-8"))
    if result["status"] != 0:
        sys.exit(f"{stderr}{command[0]} failed with status {result['status']}")
    return Measured(result["seconds"], result["peak"], done.stdout or b"", stderr)


def run_textrnn(
    *arguments: object,
    stdin: Path | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Measured:
    """Run ``textrnn ARGUMENTS`` and capture its stdout."""
    command = [sys.executable, "-m", "textrnn", *arguments]
    return measure(command, stdin=stdin, capture=True, cwd=cwd, environment=environment)


def read_texts(path: Path) -> list[str]:
    """Return the texts of a file of ``label<TAB>text``."""
    return [line.split("\t", 1)[1] for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def write_lines(path: Path, texts: Sequence[str]) -> Path:
    """Write a text per line; return the path."""
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path
