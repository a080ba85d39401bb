"""Progress as plain lines, or as a bar on a terminal."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.cells import cell_len
from rich.console import Console

from pseudo_terminal import run_in_terminal
from samples import make_record
from textrnn.cli import progress
from textrnn.reporter import Plan, Reporter

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOR = re.compile(r"\x1b\[[0-9;]*m")
TRAINING = """
from dataclasses import fields
from textrnn.cli import progress
from textrnn.reporter import EpochRecord, Plan
values = dict.fromkeys((field.name for field in fields(EpochRecord) if field.default is not None), 0.5)
values |= {"valid_loss": 0.75, "seconds": 1234.5, "tokens_per_second": 123456.7}
progress._UPDATES_PER_SECOND = 1e9
reporter = progress.make_reporter()
reporter.load("encoding " + "\uae34\uc774\ub984" * 20 + ".tsv", 1_000_000, 4_000_000)
reporter.load("encoding " + "\uae34\uc774\ub984" * 20 + ".tsv", 4_000_000, 4_000_000)
for metric in ("loss", "accuracy", "weighted_f1"):
    reporter.begin(Plan(epochs=30, steps=300, metric=metric))
    for epoch in (11, 12):
        reporter.step(epoch, 0.5, 123456.7)
        reporter.end_epoch(EpochRecord(**values | {"epoch": epoch, "best": epoch == 11}))
reporter.close()
"""

RECORD = make_record(
    2, valid_loss=0.75, accuracy=0.875, micro_f1=0.85, macro_f1=0.8, seconds=1.5, tokens_per_second=12345.6
)


def drive(reporter: Reporter, metric: str = "accuracy") -> None:
    reporter.note("data: [bold]2 texts")
    reporter.begin(Plan(epochs=3, steps=30, metric=metric))
    for _ in range(10):
        reporter.step(2, 0.5, 12345.6)
    reporter.end_epoch(RECORD)
    reporter.close()


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    drive(progress.PlainReporter())
    assert capsys.readouterr().err.splitlines() == [
        "textrnn: data: [bold]2 texts",
        "textrnn: epoch 2/3  loss 0.5000  valid loss 0.7500  accuracy 87.50 %  12,346 tokens/s  1.5 s  best",
    ]


@pytest.mark.parametrize(
    ("metric", "shown"),
    [("micro_f1", "micro F1 85.00 %"), ("macro_f1", "macro F1 80.00 %"), ("loss", "accuracy 87.50 %")],
)
def test_the_line_shows_the_metric_of_model_selection(metric: str, shown: str) -> None:
    assert f"valid loss 0.7500  {shown}" in progress.format_epoch(RECORD, Plan(3, 30, metric))


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def live(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> progress.LiveReporter:
    """A reporter that draws every update on ``screen``."""
    monkeypatch.setattr(progress, "_UPDATES_PER_SECOND", 1e9)
    reporter = progress.LiveReporter()
    reporter._console = Console(file=screen, force_terminal=True, width=160, highlight=False)
    return reporter


def test_the_bar_is_drawn_below_the_lines(live: progress.LiveReporter, screen: io.StringIO) -> None:
    drive(live)
    for part in ("textrnn: data: [bold]2 texts", "epoch 2/3", "loss 0.500", "12,346 tokens/s", "accuracy 87.50 %"):
        assert part in screen.getvalue()


def test_each_run_has_a_bar_of_its_own(live: progress.LiveReporter, screen: io.StringIO) -> None:
    drive(live)
    before = len(screen.getvalue())
    live.begin(Plan(epochs=3, steps=30, metric="accuracy"))
    live.step(1, 0.5, 12345.6)
    live.close()
    assert "epoch 1/3" in screen.getvalue()[before:]
    assert "best" not in screen.getvalue()[before:]  # the earlier run is forgotten


def test_reading_has_a_bar_with_bytes(live: progress.LiveReporter, screen: io.StringIO) -> None:
    for total in (4_000_000, None):
        live.load("encoding rows.tsv", 1_000_000, total)
        live.load("encoding rows.tsv", 3_000_000, total)
        live.load("encoding rows.tsv", 4_000_000, 4_000_000)
    assert "encoding rows.tsv" in screen.getvalue()
    assert "3.0/4.0 MB" in screen.getvalue()
    before = len(screen.getvalue())
    drive(live)
    assert "encoding" not in screen.getvalue()[before:]


def test_prediction_shows_the_bytes_read(monkeypatch: pytest.MonkeyPatch, screen: io.StringIO) -> None:
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=screen, force_terminal=True, width=160))
    with progress.show_bytes(4_000_000) as watch:
        watch(4_000_000)
    assert "reading" in screen.getvalue()
    assert "4.0/4.0 MB" in screen.getvalue()


def test_plain_lines_do_not_report_reading(capsys: pytest.CaptureFixture[str]) -> None:
    progress.PlainReporter().load("reading rows.tsv", 1, 2)
    assert capsys.readouterr().err == ""


def test_the_reporter_depends_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, kind in ((True, progress.LiveReporter), (False, progress.PlainReporter)):
        monkeypatch.setattr("sys.stderr", type("Stderr", (io.StringIO,), {"isatty": lambda self, t=terminal: t})())
        assert type(progress.make_reporter()) is kind


def train_in_terminal(*, columns: int, color: bool = True) -> str:
    return run_in_terminal([sys.executable, "-c", TRAINING], columns=columns, color=color)


def lines_of(output: str) -> list[str]:
    return [line for line in re.split(r"[\r\n]+", ESCAPE.sub("", output)) if line.strip()]


def test_lines_and_bars_fit_80_columns() -> None:
    lines = lines_of(train_in_terminal(columns=80))
    assert max(map(cell_len, lines)) <= 80
    bars = [line for line in lines if line.startswith(("epoch", "encoding"))]
    assert len(bars) > 10
    for bar in bars:  # each has a bar, and the whole time left
        assert re.search(r"[\u2501\u2578\u257a]{8}.* (\d+:\d\d|-:--):(\d\d|--)$", bar), bar
    late = [bar for bar in bars if bar.startswith("epoch 12/30")]
    assert all("123,457 tokens/s" in bar for bar in late)
    assert {best for bar in late for best in re.findall("best [^,]*", bar)} == {"best 0.750", "best 50.00 %"}
    epochs = [line for line in lines if line.startswith("textrnn: epoch")]
    assert [line.endswith("  best") for line in epochs] == [True, False] * 3
    assert all("valid loss 0.7500" in line for line in epochs)


def test_a_wide_terminal_shows_all_of_an_epoch() -> None:
    lines = lines_of(train_in_terminal(columns=120))
    epochs = [line for line in lines if line.startswith("textrnn: epoch 11/30")]
    assert len(epochs) == 3
    assert all(line.endswith("123,457 tokens/s  1234.5 s  best") for line in epochs)


def test_a_narrow_terminal_keeps_the_bar_and_the_time_left() -> None:
    lines = lines_of(train_in_terminal(columns=48))
    bars = [line for line in lines if line.startswith("epoch")]
    assert max(map(cell_len, bars)) <= 48
    assert all(re.search(r"[\u2501\u2578\u257a]{4}.* (\d+:\d\d|-:--):(\d\d|--)$", bar) for bar in bars), bars


@pytest.mark.parametrize("color", [True, False])
def test_no_color_turns_colors_off(color: bool) -> None:
    output = train_in_terminal(columns=80, color=color)
    assert bool(COLOR.search(output)) == color
    assert "epoch 12/30" in output
