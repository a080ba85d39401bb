"""A bar on stderr that shows how much of the input was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn


@contextmanager
def show_bytes(total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar until the block ends; yield what takes the bytes that were read, of ``total``."""
    progress = Progress(
        TextColumn("reading"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, highlight=False),
        transient=True,
    )
    task = progress.add_task("reading", total=total)
    with progress:
        yield lambda done: progress.update(task, completed=done)
