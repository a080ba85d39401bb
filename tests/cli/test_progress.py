"""Progress as plain lines, or as a bar on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from samples import make_record
from textrnn.cli import progress
from textrnn.reporter import Plan, Reporter

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
