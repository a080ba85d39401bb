"""Options of ``predict --engine ray``, checked before Ray starts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from command import Run
from textrnn.cli.engines.ray_job import _to_address


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--resume",), "--resume: has no effect without --engine ray"),
        (("--engine", "ray"), "--engine ray: writes a folder; name it with --output"),
        (("--engine", "ray", "-o", "out"), "--engine ray: reads no standard input"),
        (("--engine", "ray", "in", "-o", "out", "--explain"), "--explain: has no effect with --engine ray"),
        (("--engine", "ray", "in", "-o", "out", "--score", "tea"), "--score: has no effect with --engine ray"),
        (("--engine", "ray", "in", "-o", "out", "--set", "data.encoding=cp949"), "--set: has no effect"),
        (("--engine", "ray", "in", "-o", "out", "--format", "tsv"), "--format tsv: has no effect"),
        (("--engine", "ray", "in", "-o", "out", "--on-error", "skip"), "--on-error skip: has no effect"),
        (("--engine", "ray", "in", "-o", "out", "--device", "cuda"), "--device cuda: has no effect"),
        (("--engine", "ray", "in", "-o", "out", "-f", "a", "-f", "b"), "reads one column; name one"),
    ],
)
def test_an_option_without_effect_is_an_error(invoke: Run, options: tuple[str, ...], message: str) -> None:
    done = invoke("predict", *options)
    assert done.returncode == 2
    assert message in done.stderr.decode()


def test_ray_may_be_missing(invoke: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = invoke("predict", "--engine", "ray", "in", "-o", "out")
    assert done.returncode == 2
    assert b"--engine ray: needs the package ray; pip install 'textrnn[ray]'" in done.stderr


def test_inputs_and_outputs_are_checked_before_the_start(invoke: Run, trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray.data")
    pytest.importorskip("pyarrow")
    (tmp_path / "a.csv").write_text("words\ntea\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    common = ("predict", "--engine", "ray", "-m", trained / "runs/small")
    for options, status, message in (
        (("none.csv", "-o", "out"), 1, "none.csv: no such file"),
        (("nowhere://a", "-o", "out"), 1, "nowhere://a: cannot be opened"),
        (("a.csv", "-o", "out"), 1, "no column 'text'; the columns are words"),
        (("a.csv", "-o", "full"), 2, "--output full: is not empty; add --resume"),
        (("a.csv", "-o", "full", "--resume"), 2, "--resume: full has files but no _manifest.json"),
    ):
        done = invoke(*common, *options)
        assert message in done.stderr.decode()
        assert done.returncode == status
    assert not (tmp_path / "out").exists()
    done = invoke("predict", "--engine", "ray", "-m", "nothing", "a.csv", "-o", "out")
    assert done.returncode == 1
    assert b"nothing" in done.stderr


def test_options_for_labels_are_refused_by_a_model_of_scores(invoke: Run, scored: Path) -> None:
    pytest.importorskip("ray")
    common = ("predict", "--engine", "ray", "-m", scored / "runs/small", "in", "-o", "out")
    for options in (("--top-k", "2"), ("--min-prob", "0.5"), ("--threshold", "0.5"), ("--cascade", "0.9")):
        done = invoke(*common, *options)
        assert done.returncode == 2
        assert f"{' '.join(options)}: is for labels, but the model predicts scores" in done.stderr.decode()


def test_an_address_keeps_its_slashes() -> None:
    assert _to_address("s3:/bucket/a") == "s3://bucket/a"
    assert _to_address("/tmp/out") == "/tmp/out"
    assert _to_address("c:/out") == "c:/out"
