"""Showing a training run: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from textrnn.cli.terminal import say
from textrnn.reporter import EpochRecord, Plan, Reporter

METRIC_NAMES = {
    "accuracy": "accuracy",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "loss": "loss",
}
_STEPS_PER_SECOND = 10  # that are shown


class PlainReporter(Reporter):
    """One line for each note and each epoch."""

    def __init__(self) -> None:
        self._plan = Plan(0, 0, "accuracy")

    def note(self, message: str) -> None:
        """Print the note."""
        say(message)

    def begin(self, plan: Plan) -> None:
        """Remember the plan."""
        self._plan = plan

    def end_epoch(self, record: EpochRecord) -> None:
        """Print the epoch's line."""
        self.note(format_epoch(record, self._plan))


class LiveReporter(PlainReporter):
    """The same lines above a bar with loss, best metric, speed and time left."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._loading: Progress | None = None
        self._task = TaskID(0)
        self._shown = 0.0
        self._best = ""
        self._done = 0

    def note(self, message: str) -> None:
        """Print the note above the bar."""
        self._console.print(f"textrnn: {message}", markup=False, soft_wrap=True)

    def load(self, what: str, done: int, total: int | None) -> None:
        """Show how much text was read, on a bar of its own until it is at its end."""
        now = time.monotonic()
        if done == total:
            self._stop_loading()
            return
        if self._loading is None:
            self._loading = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._loading.add_task(what, total=total)
            self._loading.start()
        elif now - self._shown < 1 / _STEPS_PER_SECOND:
            return
        self._shown = now
        self._loading.update(self._task, completed=done, total=total, description=what)

    def _stop_loading(self) -> None:
        if self._loading is not None:
            self._loading.stop()
            self._loading = None

    def begin(self, plan: Plan) -> None:
        """Start the bar."""
        super().begin(plan)
        self._done, self._best = plan.done, ""
        self._stop_loading()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("epoch 1", total=plan.steps, state="")
        self._progress.start()

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        """Move the bar."""
        self._done += 1
        now = time.monotonic()
        if self._progress is None or now - self._shown < 1 / _STEPS_PER_SECOND:
            return
        self._shown = now
        state = f"loss {loss:.3f}{self._best} {tokens_per_second:,.0f} tokens/s"
        self._progress.update(
            self._task, completed=self._done, description=f"epoch {epoch}/{self._plan.epochs}", state=state
        )

    def end_epoch(self, record: EpochRecord) -> None:
        """Print the epoch's line above the bar."""
        if record.best:
            self._best = f", best {format_metric(record, self._plan.metric)},"
        super().end_epoch(record)

    def close(self) -> None:
        """Take the bar away."""
        self._stop_loading()
        if self._progress is not None:
            self._progress.stop()


def make_reporter() -> Reporter:
    """Return the reporter that suits stderr."""
    return LiveReporter() if sys.stderr.isatty() else PlainReporter()


def format_metric(record: EpochRecord, metric: str) -> str:
    """Return the metric's name and value, as in ``accuracy 87.89 %``."""
    if metric == "loss":
        return f"loss {record.valid_loss:.4f}, accuracy {100 * record.accuracy:.2f} %"
    return f"{METRIC_NAMES[metric]} {100 * getattr(record, metric):.2f} %"


def format_epoch(record: EpochRecord, plan: Plan) -> str:
    """Return one line on an epoch."""
    metric = "accuracy" if plan.metric == "loss" else plan.metric
    return (
        f"epoch {record.epoch}/{plan.epochs}  loss {record.loss:.4f}  valid loss {record.valid_loss:.4f}  "
        f"{format_metric(record, metric)}  {record.tokens_per_second:,.0f} tokens/s  {record.seconds:.1f} s"
        f"{'  best' if record.best else ''}"
    )


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
