"""``textrnn filter``."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import Run
from samples import DRINK_LABELS, DRINKS


def test_kept_and_dropped_lines_are_all_lines(trained: Path, invoke: Run) -> None:
    lines = DRINKS.decode().splitlines()
    kept = invoke("filter", "--label", "tea", cwd=trained, stdin=DRINKS)
    dropped = invoke("filter", "--label", "tea", "-v", "-q", cwd=trained, stdin=DRINKS)
    wanted = [f"{line}\n" for line, label in zip(lines, DRINK_LABELS, strict=True) if label == "tea"]
    assert kept.stdout.decode() == "".join(wanted)
    assert kept.stderr.decode() == f"textrnn: {len(wanted):,} kept, {len(lines) - len(wanted):,} dropped\n"
    assert sorted((kept.stdout + dropped.stdout).splitlines()) == sorted(DRINKS.splitlines())
    assert dropped.stderr == b""
    none = invoke("filter", "--label", "tea", "--min-prob", "1", cwd=trained, stdin=b"black coffee\n")
    assert (none.returncode, none.stdout, none.stderr) == (0, b"", b"textrnn: 0 kept, 1 dropped\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("a.txt", "missing option '--label' / '-l'; see 'textrnn filter --help'"),
        ("--label te", "--label te: the model has no such label; did you mean 'tea'?"),
        ("--label water", "--label water: the model has no such label; it has coffee, tea"),
    ],
)
def test_faults(arguments: str, message: str, trained: Path, invoke: Run) -> None:
    done = invoke("filter", *arguments.split(), cwd=trained)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", f"textrnn: {message}\n")
