"""Steps of datatrove pipelines."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import textrnn
from textrnn.errors import ConfigError

pytest.importorskip("datatrove")

from datatrove.data import Document

from textrnn.integrations.datatrove import TextRNNAnnotator, TextRNNFilter

TEXTS = [f"{'green tea' if i % 3 else 'black coffee'} {i}" for i in range(30)]


@pytest.fixture
def documents() -> list[Document]:
    return [Document(text=text, id=str(i), metadata={"url": "x"}) for i, text in enumerate(TEXTS)]


def test_a_filter_keeps_or_removes_labels(model: Path, documents: list[Document]) -> None:
    tea = textrnn.load(model).predict_proba(TEXTS)[:, textrnn.load(model).labels.index("tea")]
    expected = [str(i) for i, p in enumerate(tea) if p >= 0.5]
    assert 0 < len(expected) < len(TEXTS)
    step = pickle.loads(pickle.dumps(TextRNNFilter(str(model), keep_labels=("tea", 0.5), batch_size=7)))
    kept = list(step.run(iter(documents)))
    assert [doc.id for doc in kept] == expected
    assert kept[0].metadata == {
        "url": "x",
        "tea": pytest.approx(tea[int(expected[0])]),
        "coffee": pytest.approx(1 - tea[int(expected[0])], abs=1e-6),
    }
    removed = TextRNNFilter(str(model), remove_labels=[("tea", 0.5)]).run(iter(documents))
    assert sorted([*expected, *(doc.id for doc in removed)], key=int) == [str(i) for i in range(30)]


def test_without_labels_documents_are_annotated_alone(model: Path, documents: list[Document]) -> None:
    assert len(list(TextRNNFilter(str(model)).run(iter(documents)))) == 30
    assert "tea" in documents[0].metadata
    quiet = TextRNNFilter(str(model), save_labels_in_metadata=False)
    assert quiet.filter(Document(text="a", id="0"))


def test_labels_are_checked(model: Path, documents: list[Document]) -> None:
    with pytest.raises(ValueError, match="not both"):
        TextRNNFilter(str(model), keep_labels=("tea", 0.5), remove_labels=("tea", 0.5))
    with pytest.raises(ConfigError, match="label water: the model has no such label"):
        TextRNNFilter(str(model), keep_labels=("water", 0.5)).filter(documents[0])


def test_an_annotator_stores_the_label(model: Path, trained_multi_label: Path, documents: list[Document]) -> None:
    found = [doc.metadata for doc in TextRNNAnnotator(str(model), prefix="topic_").run(iter(documents))]
    expected = [row[0] for row in textrnn.load(model).predict(TEXTS)]
    assert [row["topic_label"] for row in found] == [p.label for p in expected]
    assert found[0]["topic_probability"] == pytest.approx(expected[0].probability)
    list(TextRNNAnnotator(str(trained_multi_label / "runs/small"), threshold=0.0).run(iter(documents)))
    assert len(documents[0].metadata["label"]) > 1


def test_scores_are_stored_and_no_labels(scored: Path, documents: list[Document]) -> None:
    path = scored / "runs" / "small"
    annotated = list(TextRNNAnnotator(path, prefix="x_").run(iter(documents)))
    scores = textrnn.load(path).predict_scores([doc.text for doc in documents])
    assert [doc.metadata["x_score"] for doc in annotated] == scores.tolist()
    with pytest.raises(ConfigError, match="predicts scores"):
        TextRNNFilter(path).filter_batch(documents)
