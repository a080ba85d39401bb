"""``textrnn evaluate``."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import Run


def test_unknown_labels_are_reported(trained: Path, invoke: Run) -> None:
    done = invoke("evaluate", "-", cwd=trained, stdin=b"tea\tgreen tea\nwater\tcold water\n")
    assert done.returncode == 0
    assert b"1 text has labels that the model does not know ('water')" in done.stderr
    assert b"textrnn: model: runs/small, the latest run here" in done.stderr
    assert "accuracy     50.00 %" in done.stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--set model.hidden=3",
            "--set model.hidden=3: evaluate takes data.format, data.label_separator, data.label, ",
        ),
        ("--set data.label_separator=|", "--set data.label_separator=|: the model is single-label; leave it out"),
        ("--threshold 0.5", "--threshold 0.5: the model is single-label; leave it out"),
    ],
)
def test_faults(arguments: str, message: str, trained: Path, invoke: Run) -> None:
    done = invoke("evaluate", "rows.tsv", *arguments.split(), cwd=trained)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert done.stderr.decode().startswith(f"textrnn: {message}")
