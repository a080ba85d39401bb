"""Plain lines where stderr is no terminal, a bar where it is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from textrnn.cli import progress
from textrnn.reporter import EpochRecord, Plan, Reporter

RECORD = EpochRecord(
    epoch=2,
    step=20,
    loss=0.5,
    valid_loss=0.75,
    network_loss=0.8,
    accuracy=0.875,
    micro_f1=0.85,
    macro_f1=0.8,
    weighted_f1=0.7,
    lr=0.001,
    seconds=1.5,
    tokens_per_second=12345.6,
    best=True,
)


def drive(reporter: Reporter, metric: str = "accuracy") -> None:
    reporter.note("data: [bold]2 texts")
    reporter.begin(Plan(epochs=3, batches=10, metric=metric))
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
def test_the_line_shows_the_metric_that_decides(metric: str, shown: str) -> None:
    assert f"valid loss 0.7500  {shown}" in progress.format_epoch(RECORD, Plan(3, 10, metric))


def test_live_shows_the_bar_and_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(progress, "_STEPS_PER_SECOND", 1e9)
    reporter = progress.LiveReporter()
    reporter._console = Console(file=screen, force_terminal=True, width=160, highlight=False)
    drive(reporter)
    shown = screen.getvalue()
    assert "textrnn: data: [bold]2 texts" in shown
    assert "epoch 2/3" in shown
    assert "loss 0.500" in shown
    assert "12,346 tokens/s" in shown
    assert "accuracy 87.50 %" in shown


def test_live_shows_several_runs_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(progress, "_STEPS_PER_SECOND", 1e9)
    reporter = progress.LiveReporter()
    reporter._console = Console(file=screen, force_terminal=True, width=160, highlight=False)
    drive(reporter)
    before = len(screen.getvalue())
    drive(reporter)
    reporter.begin(Plan(epochs=3, batches=10, metric="accuracy"))
    assert "epoch 2/3" in screen.getvalue()[before:]
    assert reporter._best == ""  # that of the run before is forgotten
    reporter.close()


def test_live_shows_how_much_text_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(progress, "_STEPS_PER_SECOND", 1e9)
    reporter = progress.LiveReporter()
    reporter._console = Console(file=screen, force_terminal=True, width=160, highlight=False)
    for total in (4_000_000, None):
        reporter.load("encoding rows.tsv", 1_000_000, total)
        reporter.load("encoding rows.tsv", 3_000_000, total)
        reporter.load("encoding rows.tsv", 4_000_000, 4_000_000)
        assert reporter._loading is None  # the bar is gone: another may follow
    shown = screen.getvalue()
    assert "encoding rows.tsv" in shown
    assert "3.0/4.0 MB" in shown
    drive(reporter)


def test_plain_says_nothing_of_reading(capsys: pytest.CaptureFixture[str]) -> None:
    progress.PlainReporter().load("reading rows.tsv", 1, 2)
    assert capsys.readouterr().err == ""


def test_the_reporter_follows_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, kind in ((True, progress.LiveReporter), (False, progress.PlainReporter)):
        monkeypatch.setattr("sys.stderr", type("Stderr", (io.StringIO,), {"isatty": lambda self, t=terminal: t})())
        assert type(progress.make_reporter()) is kind
