"""Predictions as columns of Arrow tables."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pytest

import textrnn
from textrnn.errors import DataError
from textrnn.integrations.arrow_labeler import ArrowLabeler

TEXTS = ["green tea", "black coffee", ""]


def test_a_table_gets_the_predictions_of_the_model(labeler: ArrowLabeler, model: Path) -> None:
    table = labeler(pa.table({"id": [1, 2, 3], "text": TEXTS}))
    expected = textrnn.load(model).predict(TEXTS)
    assert table.column_names == ["id", "text", "label", "probability"]
    assert table.column("label").to_pylist() == [found[0].label for found in expected]
    assert table.column("probability").to_pylist() == pytest.approx(
        [found[0].probability for found in expected], abs=1e-6
    )


def test_all_labels_come_as_a_list_of_structs(model: Path) -> None:
    labeler = ArrowLabeler.load(model, top_k=2)
    row = labeler(pa.table({"text": TEXTS})).to_pylist()[0]
    assert [pair["label"] for pair in row["top"]] == ["tea", "coffee"]
    assert row["top"][0] == {"label": row["label"], "probability": row["probability"]}


def test_those_of_a_multi_label_model_are_lists(trained_multi_label: Path) -> None:
    labeler = ArrowLabeler.load(trained_multi_label / "runs/small", threshold=0.0)
    row = labeler(pa.table({"text": TEXTS})).to_pylist()[0]
    assert len(row["label"]) == len(row["probability"]) == len(labeler.labeler.engine.labels)


def test_columns_of_the_same_name_are_kept(labeler: ArrowLabeler) -> None:
    table = labeler(pa.table({"text": TEXTS, "label": ["x"] * 3}))
    assert table.column_names == ["text", "label", "predicted_label", "predicted_probability"]


def test_an_empty_table_has_the_same_columns(labeler: ArrowLabeler) -> None:
    table = pa.table({"text": TEXTS})
    assert labeler(table.slice(0, 0)).schema == labeler(table).schema


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"words": TEXTS}, "no column 'text'; the columns are words"),
        ({"text": ["a", None]}, "the table:2: no text in 'text'"),
        ({"text": [1, 2]}, "the table:1: not a text but int"),
    ],
)
def test_rows_without_text_are_named(labeler: ArrowLabeler, column: dict[str, list[object]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        labeler(pa.table(column))


def test_a_missing_text_may_count_as_an_empty_one(labeler: ArrowLabeler) -> None:
    own = ArrowLabeler(labeler.labeler, keeps_missing=True)
    assert own(pa.table({"text": [None, ""]}, pa.schema({"text": pa.string()}))).column("label").unique().to_pylist()


def test_it_travels_with_its_model(labeler: ArrowLabeler) -> None:
    table = pa.table({"text": TEXTS})
    assert pickle.loads(pickle.dumps(labeler))(table) == labeler(table)


def test_options_are_checked(model: Path) -> None:
    with pytest.raises(ValueError, match="top_k should be 1"):
        ArrowLabeler.load(model, top_k=0)
    with pytest.raises(ValueError, match="multi-label"):
        ArrowLabeler.load(model, threshold=0.5)


def test_a_model_of_scores_adds_scores(scored: Path) -> None:
    path = scored / "runs/small"
    labeler = ArrowLabeler.load(path)
    table = labeler(pa.table({"text": TEXTS}))
    assert table.column_names == ["text", "score"]
    assert table.column("score").to_pylist() == pytest.approx(textrnn.load(path).predict_scores(TEXTS), rel=1e-5)
    assert labeler(table.slice(0, 0)).column_names == ["text", "score", "predicted_score"]
    for options in ({"top_k": 2}, {"threshold": 0.5}):
        with pytest.raises(ValueError, match="are for labels"):
            ArrowLabeler.load(path, **options)


def test_the_latest_run_is_named_in_messages(scored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(scored)
    with pytest.raises(ValueError, match=r"^runs/small: predicts scores"):
        ArrowLabeler.load(None, top_k=2)
