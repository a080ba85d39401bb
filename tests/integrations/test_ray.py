"""Whole files on Ray. One small cluster serves all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

import textrnn
from command import Run
from textrnn.errors import TextrnnError
from textrnn.integrations.arrow_labeler import ArrowLabeler

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

from textrnn.integrations import ray as own  # noqa: E402

TEXTS = ["green tea", "black coffee", "oolong tea", "espresso"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    yield
    ray.shutdown()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with ten files of 40 rows."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(10):
        identities = list(range(number * 40, number * 40 + 40))
        parquet.write_table(pa.table({"id": identities, "text": TEXTS * 10}), folder / f"{number}.parquet")
    return folder


def read_ids(folder: Path) -> list[int]:
    return sorted(parquet.read_table(folder).column("id").to_pylist())


@pytest.mark.usefixtures("cluster")
def test_files_are_labelled_as_by_the_model(model: Path, source: Path, tmp_path: Path, invoke: Run) -> None:
    (source / "a.jsonl").write_text('{"text": "green tea"}\n')
    done = invoke("predict", "--engine", "ray", "-m", model, source, "-o", tmp_path / "out", "--jobs", "2")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    assert b"401 rows in, 401 rows out" in done.stderr
    assert b"textrnn: tea: 301 (75.1%)" in done.stderr
    (tmp_path / "out/a.jsonl").unlink()
    expected = textrnn.load(model).predict(TEXTS)
    table = parquet.read_table(tmp_path / "out/3.parquet")
    assert table.column("label").to_pylist() == [row[0].label for row in expected] * 10
    assert read_ids(tmp_path / "out") == list(range(400))


@pytest.mark.usefixtures("cluster")
def test_a_model_of_scores_writes_scores(scored: Path, source: Path, tmp_path: Path, invoke: Run) -> None:
    path, output = scored / "runs/small", tmp_path / "out"
    done = invoke("predict", "--engine", "ray", "-m", path, source, "-o", output, "--jobs", "2")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr.decode().splitlines()[-1].startswith("textrnn: 400 rows in, 400 rows out")
    scores = parquet.read_table(output / "3.parquet").column("score").to_pylist()
    assert scores == pytest.approx([*textrnn.load(path).predict_scores(TEXTS)] * 10, rel=1e-5)


@pytest.mark.usefixtures("cluster")
def test_a_bad_file_does_not_stop_the_others_and_is_resumed(model: Path, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    good = (source / "3.parquet").read_bytes()
    (source / "3.parquet").write_bytes(good[: len(good) // 2].ljust(len(good)))
    with pytest.raises(TextrnnError, match=r"3\.parquet: is damaged or cut(.|\n)*1 part is missing"):
        own.predict_files(model, [str(source)], str(output))
    times = {path: path.stat().st_mtime_ns for path in output.glob("*.parquet")}
    assert len(times) == 9
    (source / "3.parquet").write_bytes(good)
    summary = own.predict_files(model, [str(source)], str(output), resume=True)
    assert (summary.rows_in, summary.rows_out) == (400, 400)
    assert {path: path.stat().st_mtime_ns for path in times} == times  # they were not written again
    assert read_ids(output) == list(range(400))


@pytest.mark.usefixtures("cluster")
def test_a_killed_actor_loses_and_doubles_nothing(
    model: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "killed"

    class Deadly(own._PartWriter):
        def __call__(self, table: pa.Table) -> pa.Table:
            result = super().__call__(table)
            if table.column("name")[0].as_py() == "5.parquet" and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)  # its part is written, but nobody knows
            return result

    monkeypatch.setattr(own, "_PartWriter", Deadly)
    summary = own.predict_files(model, [str(source)], str(tmp_path / "out"))
    assert mark.exists()
    assert (summary.rows_in, summary.rows_out) == (400, 400)
    assert read_ids(tmp_path / "out") == list(range(400))


@pytest.mark.usefixtures("cluster")
def test_a_step_of_a_pipeline_labels_tables(model: Path, labeler: ArrowLabeler) -> None:
    table = pa.table({"text": TEXTS})
    step = {"batch_format": "pyarrow", "fn_constructor_args": [str(model)]}
    pool = ray.data.ActorPoolStrategy(size=1)
    found = ray.data.from_arrow(table).map_batches(own.Predictor, compute=pool, **step).take_all()
    assert found == labeler(table).to_pylist()
