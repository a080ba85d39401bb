"""A model within the package datasets."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import textrnn

TEXTS = ["green tea please", "black coffee", "", "tea with lemon"]


@pytest.fixture
def model(trained: Path) -> textrnn.Model:
    return textrnn.load(trained / "runs/small")


def test_a_dataset_gets_labels_and_probabilities(model: textrnn.Model) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"text": TEXTS, "id": [*range(len(TEXTS))]})
    found = rows.map(model.map_fn(), batched=True, batch_size=3)
    expected = [row[0] for row in model.predict(TEXTS)]
    assert found["label"][:] == [p.label for p in expected]
    assert found["probability"][:] == pytest.approx([p.probability for p in expected], abs=1e-6)
    assert found["id"][:] == rows["id"][:]
    other = rows.rename_column("text", "question").map(model.map_fn("question"), batched=True, num_proc=2)
    assert other["label"][:] == found["label"][:]


def test_several_labels_are_lists(trained_multi_label: Path) -> None:
    datasets = pytest.importorskip("datasets")
    model = textrnn.load(trained_multi_label / "runs/small")
    found = datasets.Dataset.from_dict({"text": TEXTS}).map(model.map_fn(), batched=True)
    assert found["label"][:] == [[p.label for p in row] for row in model.predict(TEXTS)]
    assert [len(row) for row in found["label"]] == [len(row) for row in found["probability"]]


def test_the_same_model_gives_the_same_pickle(model: textrnn.Model, trained: Path) -> None:
    again = textrnn.load(trained / "runs/small")
    content = pickle.dumps(model.map_fn())
    assert content == pickle.dumps(again.map_fn())
    assert pickle.loads(content)({"text": TEXTS}) == model.map_fn()({"text": TEXTS})
    assert model.map_fn()({"text": []}) == {"label": [], "probability": []}


def test_faults(model: textrnn.Model) -> None:
    with pytest.raises(KeyError, match=r"no column 'text'; name one of id, question"):
        model.map_fn()({"id": [1], "question": ["tea"]})
    with pytest.raises(TypeError, match="batched=True"):
        model.map_fn()({"text": "tea"})
    with pytest.raises(TypeError, match=r"texts\[1\] should be a str, not None"):
        model.map_fn()({"text": ["tea", None]})
