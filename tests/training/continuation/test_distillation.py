"""Targets that have a share of the initial model's predictions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samples import make_config
from textrnn.inference.engine import Engine
from textrnn.preparation.dataset import Dataset, load_dataset
from textrnn.reporter import Reporter
from textrnn.serialization.initial_config import inherit_settings
from textrnn.training.continuation.distillation import distill_targets
from textrnn.training.loss import make_targets


@pytest.fixture
def dataset(trained: Path, tmp_path: Path) -> Dataset:
    """Return texts of tea and of a label that the model of tea and coffee lacks."""
    path = tmp_path / "new.tsv"
    path.write_text("".join(f"{label}\tgreen {label} {n}\n" for n in range(12) for label in ("tea", "new")), "utf-8")
    config = make_config(data__train=str(path), train__init=str(trained / "runs" / "small"))
    return load_dataset(inherit_settings(config), Reporter())


def test_texts_of_known_classes_have_a_share_of_the_old_predictions(dataset: Dataset) -> None:
    assert dataset.labels == ("coffee", "new", "tea")
    texts = distill_targets(dataset, share=0.25)
    batch = next(iter(texts.blocks()))
    targets = make_targets(batch.classes, None, 3, soft=batch.soft_labels)
    assert dataset.initial is not None
    engine = Engine(dataset.initial.model)
    expected = np.eye(3)[batch.classes]
    old = np.exp(engine.to_log_probabilities(engine.forward_ids(batch.ids, np.diff(batch.offsets))))
    tea = batch.classes == 2
    expected[tea] *= 0.75
    expected[np.ix_(tea, [0, 2])] += 0.25 * old[tea]
    np.testing.assert_allclose(targets, expected, atol=2e-3)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
    rows = np.array([5, 3])
    np.testing.assert_array_equal(
        make_targets(batch.classes[rows], None, 3, soft=texts.select(rows).soft_labels), targets[rows]
    )


def test_without_a_share_or_an_initial_model_the_targets_stay(dataset: Dataset) -> None:
    assert distill_targets(dataset, share=0) is dataset.train
    alone = replace(dataset, initial=None)
    assert distill_targets(alone, share=0.5) is alone.train
