"""A stage of NeMo Curator, by itself and in a pipeline."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from textrnn.errors import DataError
from textrnn.integrations.arrow_labeler import ArrowLabeler

tasks = pytest.importorskip("nemo_curator.tasks")

from textrnn.integrations.nemo_curator import TextRNNStage  # noqa: E402

TEXTS = ["green tea", "black coffee", "oolong tea"]


def make_batch(data: object) -> object:
    return tasks.DocumentBatch(dataset_name="drinks", data=data, _metadata={"source": "a"})


def test_a_batch_gets_the_columns_of_the_labeler(model: Path, labeler: ArrowLabeler) -> None:
    table = pa.table({"id": [1, 2, 3], "text": TEXTS})
    stage = TextRNNStage(model)
    stage.setup()
    found = stage.process(make_batch(table))
    assert found.data == labeler(table)
    assert (found.dataset_name, found._metadata) == ("drinks", {"source": "a"})
    frame = table.to_pandas().iloc[[0, 2]]  # a filter leaves gaps in the index
    assert stage.process(make_batch(frame)).data.column("label").to_pylist() == ["tea", "tea"]


def test_a_missing_text_is_named(model: Path) -> None:
    with pytest.raises(DataError, match="no text in 'body'"):
        TextRNNStage(model, column="body").process(make_batch(pa.table({"body": ["tea", None]})))


@pytest.mark.long
def test_a_pipeline_reads_labels_and_writes(model: Path, tmp_path: Path) -> None:
    import ray  # noqa: PLC0415 - it takes seconds
    from nemo_curator.backends.ray_data import RayDataExecutor  # noqa: PLC0415
    from nemo_curator.pipeline import Pipeline  # noqa: PLC0415
    from nemo_curator.stages.text.io.reader import ParquetReader  # noqa: PLC0415
    from nemo_curator.stages.text.io.writer import ParquetWriter  # noqa: PLC0415

    (tmp_path / "in").mkdir()
    parquet.write_table(pa.table({"id": ["1", "2", "3"], "text": TEXTS}), tmp_path / "in/a.parquet")
    stages = [ParquetReader(str(tmp_path / "in")), TextRNNStage(model, top_k=2), ParquetWriter(str(tmp_path / "out"))]
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    try:
        Pipeline(name="label", stages=stages).run(RayDataExecutor())
    finally:
        ray.shutdown()
    (path,) = (tmp_path / "out").glob("*.parquet")
    rows = parquet.read_table(path).to_pylist()
    assert [(row["id"], row["label"]) for row in rows] == [("1", "tea"), ("2", "coffee"), ("3", "tea")]
    assert [pair["label"] for pair in rows[0]["top"]] == ["tea", "coffee"]
