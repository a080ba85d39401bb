"""Progress of training and prediction: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from textrnn.cli.terminal import print_message
from textrnn.reporter import EpochRecord, Plan, Reporter

_UPDATES_PER_SECOND = 10
_PREFIX = "textrnn: "
_BAR_CELLS = len(" ━━━━━━━━━━ ") + len(" 0:00:00")  # a bar of ten cells and the time left
_STEP_CELLS = _BAR_CELLS + len("100% ")
_BYTE_CELLS = _BAR_CELLS + len("999.9/999.9 MB 999.9 MB/s")
_BEST = "best"


class PlainReporter(Reporter):
    """Prints one line for each note and each epoch."""

    def __init__(self) -> None:
        self._plan = Plan(0, 0, "accuracy")

    def note(self, message: str) -> None:
        """Print the note."""
        print_message(message)

    def begin(self, plan: Plan) -> None:
        """Keep the plan."""
        self._plan = plan

    def end_epoch(self, record: EpochRecord) -> None:
        """Print the epoch's line."""
        self.note(format_epoch(record, self._plan))


class LiveReporter(PlainReporter):
    """Prints the same lines above a bar, which shows loss, best metric, speed and time left.

    On a narrow terminal the line of an epoch has no speed, and if need be no seconds; the bar has no speed, and if need
    be no best metric.
    """

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._is_loading = False
        self._task = TaskID(0)
        self._updated = 0.0
        self._best = ""
        self._steps = 0

    def note(self, message: str) -> None:
        """Print the note above the bar."""
        self._console.print(_PREFIX + message, markup=False, soft_wrap=True)

    def load(self, what: str, done: int, total: int | None) -> None:
        """Show the bytes read so far on a bar of their own, until all are read."""
        if self._is_loading and done == total:
            self.close()
        elif done != total:
            description = Text(what)
            description.truncate(max(1, self._console.width - _BYTE_CELLS), overflow="ellipsis")
            if not self._is_loading:
                self._start(_make_byte_bar(self._console), description.plain, total=total)
                self._is_loading = True
            self._update(completed=done, total=total, description=description.plain)

    def begin(self, plan: Plan) -> None:
        """Start the bar of the run."""
        super().begin(plan)
        self._steps, self._best = plan.done, ""
        columns = TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.fields[state]}")
        self._start(_make_bar(self._console, *columns), f"epoch 1/{plan.epochs}", total=plan.steps)

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        """Advance the bar."""
        self._steps += 1
        description, speed = f"epoch {epoch}/{self._plan.epochs}", f"{tokens_per_second:,.0f} tokens/s"
        parts = [f"loss {loss:.3f}", *([self._best] if self._best else []), speed]
        width = self._console.width - len(description) - _STEP_CELLS
        state = _join_fitting(parts, [speed, self._best], separator=", ", width=width)
        self._update(completed=self._steps, description=description, state=state)

    def end_epoch(self, record: EpochRecord) -> None:
        """Print the epoch's line above the bar."""
        if record.best and not math.isnan(record.valid_loss):
            is_loss = self._plan.metric == "loss"
            best = f"{record.valid_loss:.3f}" if is_loss else f"{100 * getattr(record, self._plan.metric):.2f} %"
            self._best = f"{_BEST} {best}"
        self.note(format_epoch(record, self._plan, width=self._console.width - len(_PREFIX)))

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._is_loading = None, False

    def _start(self, bar: Progress, description: str, *, total: int | None) -> None:
        self.close()
        self._bar = bar
        self._task = bar.add_task(description, total=total, state="")
        bar.start()

    def _update(self, **fields: object) -> None:
        now = time.monotonic()
        if self._bar is not None and now - self._updated >= 1 / _UPDATES_PER_SECOND:
            self._updated = now
            self._bar.update(self._task, **fields)  # type: ignore[arg-type]


def make_reporter() -> Reporter:
    """Return the reporter for stderr: a bar if it is a terminal, otherwise plain lines."""
    return LiveReporter() if sys.stderr.isatty() else PlainReporter()


def format_metric(record: EpochRecord, metric: str) -> str:
    """Return the metric's name and value, as in ``accuracy 87.89 %``."""
    if record.mae is not None:
        return f"{'' if metric == 'accuracy' else f'loss {record.valid_loss:.4f}, '}MAE {record.mae:.4f}"
    if metric == "loss":
        return f"loss {record.valid_loss:.4f}, accuracy {100 * record.accuracy:.2f} %"
    return f"{metric.replace('_f1', ' F1')} {100 * getattr(record, metric):.2f} %"


def format_epoch(record: EpochRecord, plan: Plan, *, width: int | None = None) -> str:
    """Return one line about an epoch; speed and seconds are left out if it would exceed ``width`` cells."""
    metric = "accuracy" if plan.metric == "loss" else plan.metric
    speed, seconds = f"{record.tokens_per_second:,.0f} tokens/s", f"{record.seconds:.1f} s"
    parts = [f"epoch {record.epoch}/{plan.epochs}", f"loss {record.loss:.4f}"]
    if math.isnan(record.valid_loss):
        return _join_fitting([*parts, speed, seconds], [speed, seconds], separator="  ", width=width)
    parts += [f"valid loss {record.valid_loss:.4f}", format_metric(record, metric), speed, seconds, _BEST]
    line = _join_fitting(parts, [speed, seconds], separator="  ", width=width)
    return line if record.best else line.removesuffix(f"  {_BEST}")


def _join_fitting(parts: Sequence[str], optional: Sequence[str], *, separator: str, width: int | None) -> str:
    """Join ``parts``, without the first of ``optional`` until the line has at most ``width`` cells (None: any)."""
    line = separator.join(parts)
    if width is None or not optional or cell_len(line) <= width:
        return line
    rest = [part for part in parts if part != optional[0]]
    return _join_fitting(rest, optional[1:], separator=separator, width=width)


@contextmanager
def show_bytes(total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar until the block ends; yield a function that takes the bytes read so far, out of ``total``."""
    bar = _make_byte_bar(Console(stderr=True, highlight=False))
    task = bar.add_task("reading", total=total)
    with bar:
        yield lambda done: bar.update(task, completed=done)


def _make_byte_bar(console: Console) -> Progress:
    return _make_bar(console, DownloadColumn(), TransferSpeedColumn())


def _make_bar(console: Console, *columns: ProgressColumn) -> Progress:
    return Progress(
        *(TextColumn("{task.description}"), BarColumn(bar_width=None), *columns, TimeRemainingColumn()),
        console=console,
        transient=True,
    )
