"""``textrnn demo``."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import Run


@pytest.mark.long
def test_the_demo_trains_evaluates_and_predicts(textrnn: Run, tmp_path: Path) -> None:
    done = textrnn("demo")
    error, output = done.stderr.decode(), done.stdout.decode()
    assert done.returncode == 0, error
    for command in ("spm-train --input", "train --cell sru", "train --cell gru", "evaluate -m runs/sru", "predict -m"):
        assert f"textrnn {command}" in error  # each is printed
    rows = [line.split() for line in output.splitlines()[-2:]]
    assert [row[0] for row in rows] == ["SRU", "GRU"]
    assert all(float(row[1]) > 45 for row in rows)  # with six labels, guessing gives 17 %
    assert {path.name for path in (tmp_path / "textrnn-demo").iterdir()} == {
        "data",
        "runs",
        "m.uni.model",
        "m.uni.vocab",
    }


def test_an_existing_folder_is_refused(invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    done = invoke("demo", "d")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"textrnn: d: already exists; name a new folder, as in: textrnn demo d-2\n"
    assert list((tmp_path / "d").iterdir()) == []
