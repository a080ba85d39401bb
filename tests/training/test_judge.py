"""The valid pass: its loss is that of the scores, its temperature is theirs, and several ranks find what one finds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from samples import make_config, write_rows, write_sets
from textrnn.calibration import fit_temperature
from textrnn.classifier import Classifier
from textrnn.modelfile import load_model
from textrnn.training import Reporter, judge, train
from textrnn.training.dataset import Dataset, load_dataset
from textrnn.training.judge import Judge
from textrnn.training.ranks import Ranks

CPU = torch.device("cpu")


class Half(Ranks):
    """One of two ranks that come one after the other: what the first has is kept, and added to what the second has."""

    kept: list[Tensor]

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        if self.is_first:
            Half.kept = [tensor.clone() for tensor in tensors]
        else:
            for tensor, other in zip(tensors, Half.kept, strict=True):
                tensor.add_(other)


def load(folder: Path, *, several: bool) -> tuple[Dataset, Classifier]:
    """Return texts, 120 of them to judge by, and a network that has learned something."""
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
        train__epochs=2,
        train__batch_size=8,
        train__lr=0.01,
    )
    train(config, folder / "run", is_latest=False)
    dataset = load_dataset(config, Reporter())
    model = Classifier(len(dataset.tokenizer), len(dataset.labels), **config.model.model_dump())
    model.import_weights(load_model(folder / "run").weights)
    return dataset, model


@pytest.mark.parametrize("several", [False, True])
def test_several_ranks_find_what_one_finds(several: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "VALID_TOKENS", 150)  # so that there are batches for both
    dataset, model = load(tmp_path, several=several)
    one = Judge(dataset, model, device=CPU, ranks=Ranks())
    wanted_loss, wanted = one.validate(lambda: None)
    for rank in range(2):
        two = Judge(dataset, model, device=CPU, ranks=Half(rank, 2))
        loss, scores = two.validate(lambda: pytest.fail("ranks do not pause"))
    assert loss == pytest.approx(wanted_loss, rel=1e-12)
    assert scores == wanted
    assert (two.temperature, two.thresholds) == (one.temperature, one.thresholds)


@pytest.mark.parametrize("several", [False, True])
def test_the_loss_is_not_calibrated(several: bool, tmp_path: Path) -> None:
    """Scores three times as large have three times the temperature, another loss, and the same metrics."""
    dataset, model = load(tmp_path, several=several)
    found = Judge(dataset, model, device=CPU, ranks=Ranks())
    loss, metrics = found.validate(lambda: None)
    classes = torch.from_numpy(np.array(dataset.valid.classes))
    with torch.no_grad():
        ids, offsets = torch.from_numpy(dataset.valid.select(np.arange(120)).ids), dataset.valid.offsets
        scores = model.eval()(ids, torch.from_numpy(np.array(offsets)))
    if dataset.sets is None:
        assert (classes < 0).sum() == 7
        true = classes.numpy()
        wanted = torch.nn.functional.cross_entropy(scores, classes, ignore_index=-1)
    else:
        true = dataset.sets.make_matrix(classes.numpy())
        loss_of = torch.nn.functional.binary_cross_entropy_with_logits
        wanted = loss_of(scores, torch.from_numpy(true).float(), reduction="none").sum(dim=1).mean()
    assert loss == pytest.approx(float(wanted), rel=1e-5)
    assert found.temperature == pytest.approx(fit_temperature(scores.numpy(), true), rel=1e-4)
    thresholds = found.thresholds
    with torch.no_grad():
        model.head.weight *= 3
        model.head.bias *= 3
    before = found.temperature
    assert 0.05 < before < 6
    larger_loss, larger = found.validate(lambda: None)
    assert larger_loss != pytest.approx(loss, rel=1e-3)
    assert found.temperature == pytest.approx(3 * before, rel=1e-4)
    assert larger == metrics
    if several:  # they are of the calibrated probabilities, which are the same
        assert found.thresholds == pytest.approx(thresholds, abs=1e-5)
