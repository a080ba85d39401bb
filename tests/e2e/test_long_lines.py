"""Lines of many megabytes: training on them, and predicting them with little memory."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from command import SMALL, Run, find_command

resource = pytest.importorskip("resource")


def test_texts_of_more_than_a_megabyte_can_be_trained_on(textrnn: Run, tmp_path: Path) -> None:
    rng = random.Random(1)
    words = [
        f"{first}{second}" for first in ("tea", "milk", "cup", "pot") for second in ("time", "house", "maker", "s")
    ]
    lines = [f"{label}\t{' '.join(rng.choices(words, k=170_000))}\n" for label in ("a", "b") * 2]
    (tmp_path / "long.tsv").write_text("".join(lines), encoding="utf-8")
    assert min(map(len, lines)) > 1_100_000
    done = textrnn("train", "--train", "long.tsv", "--valid", "long.tsv", "--out", "run", *SMALL)
    assert done.returncode == 0, done.stderr.decode()
    assert b"trained on the training set\n" in done.stderr  # on all four texts


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit has no effect")
@pytest.mark.parametrize("command", ["predict", "filter"])
def test_a_line_of_many_megabytes_needs_little_memory(trained: Path, command: str) -> None:
    text = b"green tea with lemon " * 2_500_000  # SentencePiece would need 2.5 GB for it
    arguments = ["--label", "tea"] if command == "filter" else ["--format", "label"]
    done = subprocess.run(
        [find_command(), command, *arguments],
        input=text + b"\ngreen tea\n",
        cwd=trained,
        capture_output=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1500 << 20, 1500 << 20)),
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == (text + b"\ngreen tea\n" if command == "filter" else b"tea\ntea\n")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit has no effect")
def test_too_little_memory_is_one_line(trained: Path) -> None:
    done = subprocess.run(
        [find_command(), "predict"],
        input=b"x" * 150_000_000,
        cwd=trained,
        capture_output=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (500 << 20, 500 << 20)),
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"textrnn: out of memory\n")
