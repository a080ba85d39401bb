"""A step of training: which rows of the embedding it reads, and the scale of float16's gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from samples import make_config
from textrnn.classifier import Classifier
from textrnn.corpus.batching import PackedBatch
from textrnn.training.loss import TextLoss
from textrnn.training.ranks import Ranks
from textrnn.training.step import Stepper, find_rows


@pytest.mark.parametrize("V", [40, 4000])  # a table of the vocabulary, or a sort
def test_finds_the_rows_that_are_read(V: int) -> None:
    ids = np.random.default_rng(1).integers(0, 40, 100).astype(np.int32)
    rows, places = find_rows(ids, V)
    assert rows.tolist() == sorted(set(ids.tolist()))
    assert rows[places].tolist() == ids.tolist()


def make_stepper(**settings: object) -> Stepper:
    torch.manual_seed(1)
    config = make_config(model__hidden=4, model__embedding=6, model__dropout=0.0, **settings)
    loss = TextLoss(config.train, labels="ab", counts=[1, 1])
    model = Classifier(20, 2, **config.model.model_dump())
    return Stepper(model, config.train, loss=loss, device=torch.device("cpu"), ranks=Ranks())


def make_batch() -> PackedBatch:
    return PackedBatch(np.arange(5, dtype=np.int32), np.array([0, 2, 5]), np.array([0, 1]))


def test_gradients_that_are_not_finite_move_nothing() -> None:
    stepper = make_stepper()
    with torch.no_grad():
        stepper.model.head.weight[0, 0] = math.inf
    before = [value.clone() for value in stepper.model.state_dict().values()]
    assert math.isnan(stepper.step(make_batch(), lr=0.1))
    assert all(map(torch.equal, before, stepper.model.state_dict().values()))


def test_the_scale_of_the_loss_changes_no_step_and_falls_where_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, scaled = make_stepper(), make_stepper()
    monkeypatch.setattr(scaled, "config", scaled.config.model_copy(update={"precision": "fp16"}))
    monkeypatch.setattr(Stepper, "_autocast", lambda _: torch.autocast("cpu", enabled=False))
    scaled.scale = 2.0**16
    losses = [stepper.step(make_batch(), lr=0.1) for stepper in (plain, scaled)]
    assert losses[0] == pytest.approx(losses[1])
    assert (scaled.scale, scaled.steady) == (2.0**16, 1)
    for mine, theirs in zip(plain.model.parameters(), scaled.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
    scaled.scale = 2.0**127 * 1.9  # times a gradient of more than one: infinite
    before = [value.clone() for value in scaled.model.parameters()]
    for _ in range(100):
        loss = scaled.step(make_batch(), lr=0.1)
        if scaled.steady:
            break
        assert math.isfinite(loss)
        assert all(map(torch.equal, before, scaled.model.parameters()))
    assert scaled.scale < 2.0**127
    assert scaled.steady == 1
    assert scaled.optimiser.steps > 2
    scaled.scale, scaled.steady = 4.0, 1999
    scaled.step(make_batch(), lr=0.0)
    assert scaled.scale == 8.0


def test_embedding_dropout_drops_whole_rows_in_training() -> None:
    stepper = make_stepper(train__embedding_dropout=0.5, train__lr=0.1)
    seen: list[torch.Tensor] = []
    score = stepper.model.score
    stepper.model.score = lambda x, offsets: seen.append(x.detach()) or score(x, offsets)  # type: ignore[assignment]
    rows = stepper.model.embedding.weight[:5].clone()
    for _ in range(20):
        stepper.step(make_batch(), lr=0.0)
    for x in seen:
        dropped = (x == 0).all(dim=1)
        torch.testing.assert_close(x[~dropped], 2 * rows[~dropped])
    share = torch.cat([(x == 0).all(dim=1) for x in seen]).double().mean()
    assert 0.3 < float(share) < 0.7
