"""Predictions as columns."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from arrow_tables import read_table, write_table
from constant_engine import FOUND, make_engine
from textrnn.config import DataConfig
from textrnn.errors import DataError
from textrnn.inference.engine import Prediction
from textrnn.pipeline.columns import ColumnWorker, ColumnWriter, open_columns
from textrnn.pipeline.labeler import Labeler, ProbabilityWriter
from textrnn.pipeline.records import RecordReader
from textrnn.pipeline.writers import process

ENGINE = make_engine(FOUND)
TOP = [{"label": "refund", "probability": 0.75}, {"label": "a b", "probability": 0.25}]
MULTI = make_engine([Prediction("refund", 0.75), Prediction("c", 0.5)], multi_label=True)


def label(worker: ColumnWorker, path: Path, *, keeps_rows: bool = True) -> pa.Table:
    target = path.with_name("out.parquet")
    sources = [str(path)] if keeps_rows else None
    reader = RecordReader(DataConfig(), whole=False)
    with open_columns(target, types=worker.list_types(), sources=sources, all_rows=True) as write:
        for output in process(reader, [str(path)], ColumnWriter(worker), jobs=2):
            write(output.data)
    return read_table(target)


@pytest.mark.parametrize(
    ("worker", "columns"),
    [
        (Labeler(ENGINE), {"label": "refund", "probability": 0.75}),
        (Labeler(ENGINE, output="label"), {"label": "refund"}),
        (
            Labeler(ENGINE, top_k=2),
            {"label": "refund", "probability": 0.75, "top": TOP},
        ),
        (Labeler(ENGINE, top_k=2, output="label"), {"label": "refund", "top": [{"label": "refund"}, {"label": "a b"}]}),
        (Labeler(ENGINE, min_prob=0.8, unknown_label="?"), {"label": "?", "probability": 0.75}),
        (Labeler(MULTI), {"label": ["refund", "c"], "probability": [0.75, 0.5]}),
        (ProbabilityWriter(ENGINE, label="refund"), {"score": 0.75}),
        (
            ProbabilityWriter(ENGINE),
            {"probability_refund": 0.75, "probability_a b": 0.25, "probability_c": pytest.approx(1e-9)},
        ),
    ],
)
def test_columns_follow_those_of_the_input(worker: ColumnWorker, columns: dict[str, object], tmp_path: Path) -> None:
    rows = 3000
    path = write_table(tmp_path / "a.parquet", pa.table({"id": list(range(rows)), "text": ["x"] * rows}))
    table = label(worker, path)
    assert table.schema.names == ["id", "text", *columns]
    assert table.num_rows == rows
    assert table["id"].to_pylist() == list(range(rows))
    assert table.slice(rows - 1).to_pylist() == [{"id": rows - 1, "text": "x"} | columns]


def test_names_that_the_input_has_get_a_prefix(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.parquet", pa.table({"label": ["y"], "text": ["x"]}))
    row = {"label": "y", "text": "x", "predicted_label": "refund", "predicted_probability": 0.75}
    assert label(Labeler(ENGINE), path).to_pylist() == [row]


def test_text_gives_its_lines_and_the_columns(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x\n\ny")
    table = label(Labeler(ENGINE), tmp_path / "a.txt", keeps_rows=False)
    assert table.schema.names == ["text", "label", "probability"]
    assert table["text"].to_pylist() == ["x", "", "y"]


def test_a_stream_in_a_pipe_cannot_be_read_twice(tmp_path: Path) -> None:
    path = write_table(tmp_path / "stream.arrow", pa.table({"text": ["x"]}))
    with pytest.raises(
        DataError, match=r"the input is standard input or a pipe, and its rows are read twice; save it to a file"
    ):
        label(Labeler(ENGINE), path, keeps_rows=False)
