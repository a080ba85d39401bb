"""Several reporters as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from textrnn.reporter import Plan, Reporter, Reporters

EVENTS = ["note", "load", "begin", "step", "measure", "saved", "end_epoch"]


class Recording(Reporter):
    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[object, ...]]] = []


def _record(name: str) -> object:
    return lambda self, *values: self.seen.append((name, values))


for event in (*EVENTS, "close"):
    setattr(Recording, event, _record(event))


def test_all_events_are_passed_on() -> None:
    assert {name for name in vars(Reporter) if not name.startswith("_")} == {*EVENTS, "close"}
    first, second = Recording(), Recording()
    both = Reporters([first, second])
    values = {"note": ("a",), "load": ("a", 1, 2), "step": (1, 0.5, 2.0), "measure": (1, 0.5, 0.1), "saved": (Path(),)}
    for name in EVENTS:
        getattr(both, name)(*values.get(name, (None,)))
    both.close()
    wanted = [(name, values.get(name, (None,))) for name in EVENTS] + [("close", ())]
    assert first.seen == second.seen == wanted


def test_all_are_closed_where_one_fails() -> None:
    class Failing(Reporter):
        def close(self) -> None:
            raise ValueError("no")

    last = Recording()
    with pytest.raises(ValueError, match="no"):
        Reporters([Failing(), last]).close()
    assert last.seen == [("close", ())]


def test_a_plan_counts_the_steps_that_will_be_made() -> None:
    assert Plan(epochs=3, batches=10, metric="loss").steps == 30
    assert Plan(epochs=3, batches=10, metric="loss", most=7).steps == 7
