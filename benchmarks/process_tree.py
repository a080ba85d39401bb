"""Processor time and memory of all processes that this one starts, however far down (Linux)."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_INTERVAL = 0.2  # seconds


@dataclass(frozen=True)
class Usage:
    """What a process has used so far: its command line, seconds of processor time, peak resident bytes."""

    command: str
    seconds: float
    peak: int


@dataclass
class ProcessTree:
    """The descendants of this process since the start of the watch, by number and start time."""

    usages: dict[tuple[int, int], Usage] = field(default_factory=dict)
    _before: set[tuple[int, int]] = field(default_factory=set)

    def look(self) -> None:
        """Note the usage of the processes that run now. A process known once stays in the tree if its parent ends."""
        parents, starts, seconds = _read_processes()
        family = {os.getpid()} | {pid for pid, start in self.usages if starts.get(pid) == start}
        size = 0
        while size < len(family):
            size = len(family)
            family |= {pid for pid, parent in parents.items() if parent in family}
        for pid in family - {os.getpid()}:
            key = (pid, starts[pid])
            if key not in self._before and (usage := _read_usage(pid, seconds[pid])):
                self.usages[key] = usage

    def find(self, name: str) -> dict[int, Usage]:
        """Return the processes whose command line contains ``name``."""
        return {pid: usage for (pid, _), usage in [*self.usages.items()] if name in usage.command}

    @property
    def seconds(self) -> float:
        """The processor time of all."""
        return sum(usage.seconds for usage in self.usages.values())

    def peak(self, name: str) -> int:
        """Return the largest peak memory among the processes whose command line contains ``name``; 0: none."""
        return max((usage.peak for usage in self.find(name).values()), default=0)


@contextmanager
def watch_processes() -> Iterator[ProcessTree]:
    """Watch the processes that are started in the block, five times a second; the last 0.2 s of each may be missing."""
    tree = ProcessTree()
    tree.look()
    tree._before, tree.usages = set(tree.usages), {}
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(_INTERVAL):
            tree.look()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield tree
    finally:
        ended.set()
        thread.join()


def _read_processes() -> tuple[dict[int, int], dict[int, int], dict[int, float]]:
    """Return the parent, the start time and the seconds of processor time of each process."""
    parents, starts, seconds = {}, {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        pid = int(folder.name)
        parents[pid], starts[pid] = int(fields[1]), int(fields[19])
        seconds[pid] = (int(fields[11]) + int(fields[12])) / _TICK
    return parents, starts, seconds


def _read_usage(pid: int, seconds: float) -> Usage | None:
    folder = Path("/proc", str(pid))
    try:
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        lines = (folder / "status").read_text(errors="replace").splitlines()
        peak = next(line for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return None  # it has ended
    return Usage(command, seconds, int(peak.split()[1]) * 1024)
