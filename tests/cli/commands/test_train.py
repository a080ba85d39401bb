"""``textrnn train``: help, and arguments that contradict each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from command import Run
from textrnn.config import Config


@pytest.mark.parametrize(
    ("flag", "field"),
    [("--cell", "model.cell"), ("--layers", "model.layers"), ("--hidden", "model.hidden"), ("--lr", "train.lr")],
)
def test_the_help_shows_the_defaults_of_the_config(flag: str, field: str, invoke: Run) -> None:
    text = invoke("train", "--help").stdout.decode()
    default = re.search(rf"^  {flag} .*?\[default:\s+(.*?)\]", text, re.M | re.S)
    section, name = field.split(".")
    assert default
    assert default[1] == str(getattr(getattr(Config(), section), name))


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("--resume gone", 1, "gone: "),
        ("--resume run --lr 0.1", 2, "--resume run: uses the settings of the interrupted run; leave out --lr"),
        (
            "config.yaml --resume run",
            2,
            "--resume run: uses the settings of the interrupted run; leave out config.yaml",
        ),
        ("--train a.tsv --train b.tsv --train a.tsv", 2, "--train a.tsv: given twice; name each file once"),
        ("--train a.tsv --valid b.tsv --valid c.tsv", 2, "--valid: given twice; keep one"),
    ],
)
def test_faults(arguments: str, status: int, message: str, invoke: Run, tmp_path: Path) -> None:
    done = invoke("train", *arguments.split())
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (status, b"", 1)
    assert done.stderr.decode().startswith(f"textrnn: {message}")
    assert not list(tmp_path.iterdir())
