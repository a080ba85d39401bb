"""Validation: it evaluates the calibrated model that would be saved, and several ranks find the same as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor

from samples import MULTI_LABEL, make_config, small_config, write_rows, write_sets
from textrnn.models import calibration
from textrnn.models.calibration import PENALTY, Logits, fit_share, fit_temperature
from textrnn.models.cascade import measure_margins
from textrnn.models.classifier import Classifier
from textrnn.models.ngram.features import Spelling
from textrnn.models.ngram.table import NgramTable
from textrnn.ops.batch_layout import BatchLayout
from textrnn.preparation.dataset import Dataset, load_dataset
from textrnn.reporter import Reporter
from textrnn.serialization.model_file import load_model
from textrnn.training import validation
from textrnn.training.distributed import ProcessGroup
from textrnn.training.model_setup import fit_ngram_model
from textrnn.training.train import train
from textrnn.training.validation import Validator

CPU = torch.device("cpu")


class Half(ProcessGroup):
    """One of two ranks that run one after the other: rank 0 keeps its sums, and rank 1 adds them to its own."""

    kept: list[list[Tensor]]

    def all_reduce(self, tensors: Iterable[Tensor]) -> None:
        if self.is_main:
            Half.kept.append([tensor.clone() for tensor in tensors])
        else:
            for tensor, other in zip(tensors, Half.kept.pop(0), strict=True):
                tensor.add_(other)


def load(folder: Path, *, multi_label: bool) -> tuple[Dataset, Classifier, NgramTable]:
    """Return a dataset with 120 validation texts, and a network and n-grams that have learned something."""
    write = write_sets if multi_label else write_rows
    rows, valid = write(folder / "rows.tsv", 60), write(folder / "valid.tsv", 120)
    if not multi_label:  # the training set lacks the label of some
        valid.write_text(valid.read_text().replace("tea\t", "water\t", 7))
    values = {"model__pooling": "max+mean", "model__variational_dropout": False}  # learns more in two epochs
    values |= {"train__epochs": 2, "train__batch_size": 8, "data__valid": str(valid)}
    config = small_config(rows, **values, **(MULTI_LABEL if multi_label else {}))
    train(config, folder / "run", is_latest=False)
    dataset = load_dataset(config, Reporter())
    model = Classifier(len(dataset.tokenizer), len(dataset.labels), **config.model.model_dump())
    model.import_weights(load_model(folder / "run").weights)
    ngrams = fit_ngram_model(config, dataset, Reporter())
    assert ngrams is not None
    noise = np.random.default_rng(1).normal(size=ngrams.weight.shape).astype(np.float32)
    return dataset, model, replace(ngrams, weight=ngrams.weight + 2 * noise)  # neither is perfect


@pytest.mark.parametrize("share", [0.0, 0.25, "auto"])
@pytest.mark.parametrize("multi_label", [False, True])
def test_two_ranks_find_the_same_as_one(
    multi_label: bool, share: float | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only rank 0 has the n-grams."""
    monkeypatch.setattr(validation, "VALID_TOKENS", 150)  # gives both ranks batches
    monkeypatch.setattr(Half, "kept", [], raising=False)
    dataset, model, ngrams = load(tmp_path, multi_label=multi_label)
    config = make_config(ngrams__share=share).ngrams
    one = Validator(dataset, model, device=CPU, group=ProcessGroup(), ngrams=ngrams if share else None, config=config)
    expected = [one.validate(lambda: None) for _ in range(2)]
    assert one.ngram_share == share or (share == "auto" and 0 < one.ngram_share < 1)
    for rank in range(2):
        own = ngrams if share and rank == 0 else None
        two = Validator(dataset, model, device=CPU, group=Half(rank, 2), ngrams=own, config=config)
        results = [two.validate(lambda: pytest.fail("ranks do not pause")) for _ in range(2)]
    assert Half.kept == []
    for result, other in zip(results, expected, strict=True):
        assert result.loss == pytest.approx(other.loss, rel=1e-12)
        assert result.network_loss == pytest.approx(other.network_loss, rel=1e-12)
        assert result.metrics == other.metrics
    for name in ("ngram_share", "temperature", "thresholds", "cascade"):
        assert getattr(two, name) == getattr(one, name)


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_loss_is_calibrated(multi_label: bool, tmp_path: Path) -> None:
    """Logits three times as large have three times the temperature, and the same loss and metrics."""
    dataset, model, _ = load(tmp_path, multi_label=multi_label)
    validator = Validator(dataset, model, device=CPU, group=ProcessGroup())
    before = validator.validate(lambda: None)
    logits, true = forward_valid(dataset, model)
    assert (true < 0).sum() == (0 if multi_label else 7)
    temperature = validator.temperature
    assert temperature == pytest.approx(fit_temperature(logits.numpy(), true, penalty=PENALTY), rel=1e-4)
    assert 0.05 < temperature < 6
    assert temperature != pytest.approx(1, rel=1e-2)
    assert before.loss == pytest.approx(compute_loss(logits / temperature, true), rel=1e-5)
    assert before.network_loss == before.loss
    assert validator.ngram_share == 0.0
    thresholds = validator.thresholds
    with torch.no_grad():
        model.head.weight *= 3
        model.head.bias *= 3
    larger = validator.validate(lambda: None)
    assert larger.loss == pytest.approx(before.loss, rel=1e-3)  # the penalty on the temperature differs
    assert validator.temperature == pytest.approx(3 * temperature, rel=0.1)
    assert larger.metrics == before.metrics
    if multi_label:  # the calibrated probabilities are almost the same
        assert validator.thresholds == pytest.approx(thresholds, abs=0.02)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_large_set_is_fitted_to_a_sample_and_evaluated_in_chunks(
    multi_label: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, model, ngrams = load(tmp_path, multi_label=multi_label)
    config = make_config(ngrams__share="auto").ngrams
    monkeypatch.setattr(calibration, "MAX_LOGITS", 50 * len(dataset.labels))
    largest = 0

    def record(logits: Logits, *arguments: object, **options: object) -> float:
        nonlocal largest
        largest = max(largest, len(logits))
        return fit_temperature(logits, *arguments, **options)

    monkeypatch.setattr(validation, "fit_temperature", record)
    validator = Validator(dataset, model, device=CPU, group=ProcessGroup(), ngrams=ngrams, config=config)
    result = validator.validate(lambda: None)
    assert largest == 50
    assert 0 < validator.ngram_share < 1
    logits, true = forward_valid(dataset, model)
    valid = dataset.valid.select(np.arange(120))
    others = torch.from_numpy(ngrams.forward(valid.ids, valid.offsets, Spelling.of(dataset.tokenizer)))
    mixed = (1 - validator.ngram_share) * logits + validator.ngram_share * validator.ngram_scale * others
    assert result.loss == pytest.approx(compute_loss(mixed / validator.temperature, true), rel=1e-5)
    if multi_label:
        right = ((mixed / validator.temperature).sigmoid().numpy() >= validator.thresholds) == true
        assert result.metrics["accuracy"] == pytest.approx(right.all(axis=1).mean())
    else:
        assert result.metrics["accuracy"] == pytest.approx((mixed.argmax(dim=1).numpy() == true).mean())


@pytest.mark.parametrize("share", [0.25, "auto"])
@pytest.mark.parametrize("multi_label", [False, True])
def test_the_mix_of_network_and_n_grams_is_evaluated(multi_label: bool, share: float | str, tmp_path: Path) -> None:
    dataset, model, ngrams = load(tmp_path, multi_label=multi_label)
    config = make_config(ngrams__share=share).ngrams
    validator = Validator(dataset, model, device=CPU, group=ProcessGroup(), ngrams=ngrams, config=config)
    result = validator.validate(lambda: None)
    logits, true = forward_valid(dataset, model)
    valid = dataset.valid.select(np.arange(120))
    others = torch.from_numpy(ngrams.forward(valid.ids, valid.offsets, Spelling.of(dataset.tokenizer)))
    temperature = fit_temperature(logits.numpy(), true, penalty=PENALTY)
    others *= temperature / fit_temperature(others.numpy(), true, bounds=(1e-6, 1e6))
    expected = share
    if share == "auto":
        expected = fit_share(logits.numpy() / temperature, others.numpy() / temperature, true)
    assert validator.ngram_share == pytest.approx(expected, rel=1e-4)
    assert 0 < validator.ngram_share < 1
    mixed = (1 - validator.ngram_share) * logits + validator.ngram_share * others
    prior = validator.ngram_scale**validator.ngram_share
    expected = fit_temperature(mixed.numpy(), true, penalty=PENALTY, prior=prior)
    assert validator.temperature == pytest.approx(expected, rel=1e-4)
    assert result.loss == pytest.approx(compute_loss(mixed / validator.temperature, true), rel=1e-5)
    own = compute_loss(logits / temperature, true)
    assert result.network_loss == pytest.approx(own, rel=1e-5)
    if multi_label:
        assert validator.cascade is None
    else:
        alone = np.float32(validator.ngram_scale) * ngrams.forward(
            valid.ids, valid.offsets, Spelling.of(dataset.tokenizer)
        )
        assert validator.cascade is not None
        assert validator.cascade.temperature == pytest.approx(temperature)
        same = alone.argmax(axis=1) == mixed.argmax(dim=1).numpy()
        assert 0 < same.sum() < 120
        every = binomtest(int(same.sum()), 120, alternative="greater").proportion_ci(0.95, method="exact").low
        assert validator.cascade.agreements[0] == pytest.approx(every)  # of all texts
        assert validator.cascade.margins[0] == pytest.approx(measure_margins(alone, temperature).min(), rel=1e-3)
    if share == "auto":  # the best of all shares
        assert result.loss < min(own, compute_loss(others / fit_temperature(others.numpy(), true), true))
    if multi_label:
        given = mixed.div(validator.temperature).sigmoid().numpy() >= validator.thresholds
        assert result.metrics["accuracy"] == pytest.approx((given == true).all(axis=1).mean(), abs=1e-9)
    else:
        assert result.metrics["accuracy"] == pytest.approx((mixed.argmax(dim=1).numpy() == true).mean(), abs=1e-9)


def forward_valid(dataset: Dataset, model: Classifier) -> tuple[Tensor, npt.NDArray[np.generic]]:
    """Return the network's logits (120, C) on the validation set, and classes (120,) or labels (120, C)."""
    valid = dataset.valid.select(np.arange(120))
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(valid.ids), BatchLayout(torch.from_numpy(valid.offsets)))
    return logits, valid.classes if dataset.label_sets is None else dataset.label_sets.to_multi_hot(valid.classes)


def compute_loss(logits: Tensor, true: npt.NDArray[np.generic]) -> float:
    """Return the mean loss over the texts with known labels."""
    targets = torch.from_numpy(true)
    if true.ndim == 1:
        return float(torch.nn.functional.cross_entropy(logits.double(), targets, ignore_index=-1))
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits.double(), targets.double(), reduction="none")
    return float(losses.sum(dim=1).mean())
