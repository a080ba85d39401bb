"""Reporters that forward to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from samples import make_record
from textrnn.reporter import Plan, ProgressOnly, Reporter, Reporters

PLAN = Plan(epochs=3, steps=30, metric="loss")
REPORTS = {
    "note": ("a",),
    "load": ("a", 1, 2),
    "begin": (PLAN,),
    "step": (1, 0.5, 2.0),
    "measure": (1, 0.5, 0.1),
    "saved": (Path(),),
    "end_epoch": (make_record(),),
    "close": (),
}


class Recording(Reporter):
    """Records every call."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, tuple[object, ...]]] = []


def _record(name: str) -> object:
    return lambda self, *values: self.reports.append((name, values))


for report in REPORTS:
    setattr(Recording, report, _record(report))


def send_all(reporter: Reporter) -> None:
    for name, values in REPORTS.items():
        getattr(reporter, name)(*values)


def test_all_reports_are_forwarded() -> None:
    assert {name for name in vars(Reporter) if not name.startswith("_")} == set(REPORTS)
    first, second = Recording(), Recording()
    send_all(Reporters(first, second))
    assert first.reports == second.reports == list(REPORTS.items())


def test_progress_alone_is_forwarded() -> None:
    recording = Recording()
    send_all(ProgressOnly(recording))
    assert [name for name, _ in recording.reports] == ["load", "begin", "step", "close"]


def test_all_are_closed_even_if_one_fails() -> None:
    class Failing(Reporter):
        def close(self) -> None:
            raise ValueError("no")

    last = Recording()
    with pytest.raises(ValueError, match="no"):
        Reporters(Failing(), last).close()
    assert last.reports == [("close", ())]
