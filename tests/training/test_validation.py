"""The valid pass: it judges what would be saved, calibrated, and several ranks find what one finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from samples import make_config, write_rows, write_sets
from textrnn.models.calibration import fit_share, fit_temperature
from textrnn.models.classifier import Classifier
from textrnn.models.ngram.features import Spelling
from textrnn.models.ngram.table import NgramTable
from textrnn.preparation.dataset import Dataset, load_dataset
from textrnn.reporter import Reporter
from textrnn.serialization.model_file import load_model
from textrnn.training import validation
from textrnn.training.distributed import ProcessGroup
from textrnn.training.ngram_model import fit_ngram_model
from textrnn.training.train import train
from textrnn.training.validation import Validator

CPU = torch.device("cpu")


class Half(ProcessGroup):
    """One of two ranks that come one after the other: what the first has is kept, and added to what the second has."""

    kept: list[list[Tensor]]

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        if self.is_main:
            Half.kept.append([tensor.clone() for tensor in tensors])
        else:
            for tensor, other in zip(tensors, Half.kept.pop(0), strict=True):
                tensor.add_(other)


def load(folder: Path, *, several: bool) -> tuple[Dataset, Classifier, NgramTable]:
    """Return texts, 120 of them to judge by, and a network and n-grams that have learned something."""
    write = write_sets if several else write_rows
    rows, valid = write(folder / "rows.tsv", 60), write(folder / "valid.tsv", 120)
    if not several:  # some have a label that the training text lacks
        valid.write_text(valid.read_text().replace("tea\t", "water\t", 7))
    config = make_config(
        data__train=str(rows),
        data__valid=str(valid),
        data__multi_label=several,
        data__label_separator="|" if several else None,
        tokenizer__vocab_size=80,
        model__hidden=8,
        model__embedding=16,
        model__pooling="max+mean",  # so small a network learns more in two epochs by these two
        model__variational_dropout=False,
        train__epochs=2,
        train__batch_size=8,
        train__lr=0.01,
    )
    train(config, folder / "run", is_latest=False)
    dataset = load_dataset(config, Reporter())
    model = Classifier(len(dataset.tokenizer), len(dataset.labels), **config.model.model_dump())
    model.import_weights(load_model(folder / "run").weights)
    ngrams = fit_ngram_model(config, dataset, Reporter())
    assert ngrams is not None
    noise = np.random.default_rng(1).normal(size=ngrams.weight.shape).astype(np.float32)
    return dataset, model, replace(ngrams, weight=ngrams.weight + 2 * noise)  # so that neither knows all


@pytest.mark.parametrize("share", [0.0, 0.25, "auto"])
@pytest.mark.parametrize("several", [False, True])
def test_several_ranks_find_what_one_finds(
    several: bool, share: float | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of them has the n-grams."""
    monkeypatch.setattr(validation, "VALID_TOKENS", 150)  # so that there are batches for both
    monkeypatch.setattr(Half, "kept", [], raising=False)
    dataset, model, ngrams = load(tmp_path, several=several)
    config = make_config(ngrams__share=share).ngrams
    one = Validator(dataset, model, device=CPU, group=ProcessGroup(), ngrams=ngrams if share else None, config=config)
    wanted = [one.validate(lambda: None) for _ in range(2)]
    assert one.ngram_share == share or (share == "auto" and 0 < one.ngram_share < 1)
    for rank in range(2):
        own = ngrams if share and rank == 0 else None
        two = Validator(dataset, model, device=CPU, group=Half(rank, 2), ngrams=own, config=config)
        found = [two.validate(lambda: pytest.fail("ranks do not pause")) for _ in range(2)]
    assert Half.kept == []
    for here, there in zip(found, wanted, strict=True):
        assert here.loss == pytest.approx(there.loss, rel=1e-12)
        assert here.network_loss == pytest.approx(there.network_loss, rel=1e-12)
        assert here.metrics == there.metrics
    assert (two.ngram_share, two.temperature, two.thresholds) == (one.ngram_share, one.temperature, one.thresholds)


@pytest.mark.parametrize("several", [False, True])
def test_the_loss_is_calibrated(several: bool, tmp_path: Path) -> None:
    """Scores three times as large have three times the temperature, and the same loss and metrics."""
    dataset, model, _ = load(tmp_path, several=several)
    found = Validator(dataset, model, device=CPU, group=ProcessGroup())
    before = found.validate(lambda: None)
    logits, true = score_valid(dataset, model)
    assert (true < 0).sum() == (0 if several else 7)
    temperature = found.temperature
    assert temperature == pytest.approx(fit_temperature(logits.numpy(), true), rel=1e-4)
    assert 0.05 < temperature < 6
    assert temperature != pytest.approx(1, rel=1e-2)
    assert before.loss == pytest.approx(compute_loss(logits / temperature, true), rel=1e-5)
    assert before.network_loss == before.loss
    assert found.ngram_share == 0.0
    thresholds = found.thresholds
    with torch.no_grad():
        model.head.weight *= 3
        model.head.bias *= 3
    larger = found.validate(lambda: None)
    assert larger.loss == pytest.approx(before.loss, rel=1e-5)
    assert found.temperature == pytest.approx(3 * temperature, rel=1e-4)
    assert larger.metrics == before.metrics
    if several:  # they are of the calibrated probabilities, which are the same
        assert found.thresholds == pytest.approx(thresholds, abs=1e-5)


@pytest.mark.parametrize("share", [0.25, "auto"])
@pytest.mark.parametrize("several", [False, True])
def test_what_is_judged_is_the_mix(several: bool, share: float | str, tmp_path: Path) -> None:
    dataset, model, ngrams = load(tmp_path, several=several)
    config = make_config(ngrams__share=share).ngrams
    found = Validator(dataset, model, device=CPU, group=ProcessGroup(), ngrams=ngrams, config=config)
    judgement = found.validate(lambda: None)
    logits, true = score_valid(dataset, model)
    valid = dataset.valid.select(np.arange(120))
    others = torch.from_numpy(ngrams.forward(valid.ids, valid.offsets, Spelling.of(dataset.tokenizer)))
    temperature = fit_temperature(logits.numpy(), true)
    others *= temperature / fit_temperature(others.numpy(), true, bounds=(1e-6, 1e6))
    wanted = share
    if share == "auto":
        wanted = fit_share(logits.numpy() / temperature, others.numpy() / temperature, true)
    assert found.ngram_share == pytest.approx(wanted, rel=1e-4)
    assert 0 < found.ngram_share < 1
    mixed = (1 - found.ngram_share) * logits + found.ngram_share * others
    assert found.temperature == pytest.approx(fit_temperature(mixed.numpy(), true), rel=1e-4)
    assert judgement.loss == pytest.approx(compute_loss(mixed / found.temperature, true), rel=1e-5)
    own = compute_loss(logits / fit_temperature(logits.numpy(), true), true)
    assert judgement.network_loss == pytest.approx(own, rel=1e-5)
    if share == "auto":  # the best of all shares
        assert judgement.loss < min(own, compute_loss(others / fit_temperature(others.numpy(), true), true))
    if several:
        given = mixed.div(found.temperature).sigmoid().numpy() >= found.thresholds
        assert judgement.metrics["accuracy"] == pytest.approx((given == true).all(axis=1).mean(), abs=1e-9)
    else:
        assert judgement.metrics["accuracy"] == pytest.approx((mixed.argmax(dim=1).numpy() == true).mean(), abs=1e-9)


def score_valid(dataset: Dataset, model: Classifier) -> tuple[Tensor, npt.NDArray[np.generic]]:
    """Return the network's scores (120, C) of valid, and what is true: (120,) classes, or (120, C) labels."""
    valid = dataset.valid.select(np.arange(120))
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(valid.ids), torch.from_numpy(valid.offsets))
    return logits, valid.classes if dataset.sets is None else dataset.sets.to_multi_hot(valid.classes)


def compute_loss(logits: Tensor, true: npt.NDArray[np.generic]) -> float:
    """Return the mean loss of a text whose label is known, or whose labels are."""
    wanted = torch.from_numpy(true)
    if true.ndim == 1:
        return float(torch.nn.functional.cross_entropy(logits.double(), wanted, ignore_index=-1))
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits.double(), wanted.double(), reduction="none")
    return float(losses.sum(dim=1).mean())
