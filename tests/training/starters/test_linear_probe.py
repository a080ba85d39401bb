"""The fitted output layer of a network that begins with a starter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from samples import make_config
from textrnn.models.classifier import Classifier
from textrnn.preparation.dataset import Dataset, load_dataset
from textrnn.reporter import Reporter
from textrnn.training.loss import TextLoss
from textrnn.training.starters.linear_probe import fit_head

MULTI_LABEL = {"data__multi_label": True, "data__label_separator": "|"}


def load(folder: Path, rows: list[str], **values: object) -> tuple[Dataset, TextLoss, Classifier]:
    path = folder / "few.tsv"
    path.write_text("".join(f"{row}\n" for row in rows), "utf-8")
    config = make_config(data__train=str(path), model__hidden=8, model__embedding=16, **values)
    dataset = load_dataset(config, Reporter())
    texts = None if dataset.label_sets is None else len(dataset.train)
    loss = TextLoss(config.train, labels=dataset.labels, counts=dataset.sum_shares(), texts=texts)
    torch.manual_seed(1)
    model = Classifier(len(dataset.tokenizer), len(dataset.labels), **config.model.model_dump())
    return dataset, loss, model


def predict(model: Classifier, dataset: Dataset) -> np.ndarray:
    return model.eval().predict_logits(dataset.train.select(np.arange(len(dataset.train))))


def test_only_the_output_layer_changes_and_it_fits_the_labels(tmp_path: Path) -> None:
    rows = [f"{label}\t{text} number {n}" for n in range(20) for label, text in (("a", "green tea"), ("b", "coffee"))]
    dataset, loss, model = load(tmp_path, rows)
    before = model.export_weights()
    fit_head(model, dataset, loss, penalty=0.1)
    assert model.training
    after = model.export_weights()
    for name, value in before.items():
        assert np.array_equal(after[name], value) != name.startswith("head.")
    assert (predict(model, dataset).argmax(axis=1) == dataset.train.classes).all()


def test_it_fits_sets_of_labels(tmp_path: Path) -> None:
    texts = {"hot|tea": "hot green tea", "tea": "green tea", "hot": "hot milk", "": "parcel"}
    rows = [f"{labels}\t{text} {n}" for n in range(20) for labels, text in texts.items()]
    dataset, loss, model = load(tmp_path, rows, **MULTI_LABEL)
    fit_head(model, dataset, loss, penalty=0.1)
    assert dataset.label_sets is not None
    expected = dataset.label_sets.to_multi_hot(dataset.train.classes)[:, : len(dataset.labels)]
    assert ((predict(model, dataset) > 0) == (expected > 0)).all()


@pytest.mark.parametrize("count", [1, 2])
def test_a_label_of_one_text_and_long_texts_are_fitted(tmp_path: Path, count: int) -> None:
    rows = [*(f"a\t{'green tea ' * 30}{n}" for n in range(20)), *["b\tcoffee please"] * count]
    dataset, loss, model = load(tmp_path, rows, data__max_length=16, data__long_texts="windows")
    fit_head(model, replace(dataset), loss)
    assert np.isfinite(model.export_weights()["head.weight"]).all()


def test_texts_count_by_their_weights(tmp_path: Path) -> None:
    pairs = [(label, n, weight) for n in range(30) for label, weight in (("a", 1), ("b", 3))]
    rows = ["label\ttext\tweight", *(f"{label}\tgreen tea {n}\t{weight}" for label, n, weight in pairs)]
    keys = {"data__label": "label", "data__text": "text", "data__weight": "weight", "data__format": "tsv"}
    dataset, loss, model = load(tmp_path, rows, **keys)
    fit_head(model, dataset, loss, penalty=10)
    logits = predict(model, dataset)[0]
    assert logits[1] - logits[0] == pytest.approx(np.log(3), abs=0.1)
