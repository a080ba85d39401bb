"""A training step: the rows of the embedding that it reads, the loss scale of float16, and R-Drop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from samples import make_config
from textrnn.data.batch import PackedBatch
from textrnn.models.classifier import Classifier
from textrnn.ops.batch_layout import BatchLayout
from textrnn.training.distributed import ProcessGroup
from textrnn.training.loss import LossScale, TextLoss
from textrnn.training.train_step import LossModule, TrainStep, find_rows


@pytest.mark.parametrize("V", [40, 4000])  # by a table of the vocabulary, or by a sort
def test_find_rows_returns_the_distinct_ids(V: int) -> None:
    ids = np.random.default_rng(1).integers(0, 40, 100).astype(np.int32)
    rows, places = find_rows(ids, V)
    assert rows.tolist() == sorted(set(ids.tolist()))
    assert rows[places].tolist() == ids.tolist()


def make_train_step(*, part_tokens: int | None = None, **settings: object) -> TrainStep:
    torch.manual_seed(1)
    small = {"model__hidden": 4, "model__embedding": 6, "model__dropout": 0.0, "train__precision": "fp32"}
    config = make_config(**small | settings)
    loss = TextLoss(config.train, labels="ab", counts=[1, 1])
    model = Classifier(20, 2, **config.model.model_dump())
    group, cpu = ProcessGroup(), torch.device("cpu")
    return TrainStep(model, config.train, loss=loss, device=cpu, group=group, part_tokens=part_tokens)


def make_batch() -> PackedBatch:
    return PackedBatch(np.arange(5, dtype=np.int32), np.array([0, 2, 5]), np.array([0, 1]))


def test_a_step_with_infinite_gradients_changes_nothing() -> None:
    train_step = make_train_step()
    with torch.no_grad():
        train_step.model.head.weight[0, 0] = math.inf
    before = [value.clone() for value in train_step.model.state_dict().values()]
    assert math.isnan(train_step.step(make_batch(), lr=0.1))
    assert all(map(torch.equal, before, train_step.model.state_dict().values()))


def test_the_loss_scale_changes_no_step_and_falls_on_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, scaled = make_train_step(), make_train_step()
    monkeypatch.setattr(scaled, "scale", LossScale(torch.device("cpu"), active=True))
    losses = [train_step.step(make_batch(), lr=0.1) for train_step in (plain, scaled)]
    assert losses[0] == pytest.approx(losses[1])
    assert (scaled.scale.factor, scaled.scale.steady) == (2.0**16, 1)
    for mine, theirs in zip(plain.model.parameters(), scaled.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
    scaled.scale.factor = 2.0**127 * 1.9  # overflows with a gradient above one
    before = [value.clone() for value in scaled.model.parameters()]
    for _ in range(100):
        loss = scaled.step(make_batch(), lr=0.1)
        if scaled.scale.steady:
            break
        assert math.isfinite(loss)
        assert all(map(torch.equal, before, scaled.model.parameters()))
    assert scaled.scale.factor < 2.0**127
    assert scaled.scale.steady == 1
    assert scaled.optimizer.steps > 2
    scaled.scale.factor, scaled.scale.steady = 4.0, 1999
    scaled.step(make_batch(), lr=0.0)
    assert scaled.scale.factor == 8.0


def test_embedding_dropout_drops_whole_rows_in_training() -> None:
    train_step = make_train_step(model__cell="gru", train__embedding_dropout=0.5, train__r_drop=0)
    seen: list[torch.Tensor] = []
    train_step.model.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    rows = train_step.model.embedding.weight[:5].clone()
    for _ in range(20):
        train_step.step(make_batch(), lr=0.0)
    for x in seen:
        dropped = (x == 0).all(dim=1)
        torch.testing.assert_close(x[~dropped], 2 * rows[~dropped])
    share = torch.cat([(x == 0).all(dim=1) for x in seen]).double().mean()
    assert 0.3 < float(share) < 0.7


MULTI_HOT = torch.tensor([[1.0, 0.0], [1.0, 1.0], [-1.0, -1.0]])  # the last text has no label
CLASSES = torch.tensor([1, 0, -1])
each_kind = pytest.mark.parametrize("targets", [CLASSES, MULTI_HOT], ids=["classes", "labels"])


class Draws:
    """A LossModule on a small batch, and the logits of its network."""

    def __init__(self, targets: torch.Tensor, *, dropout: float, r_drop: float, **settings: object) -> None:
        self.targets = targets
        torch.manual_seed(1)
        small = {"model__hidden": 4, "model__embedding": 6, "model__dropout": dropout, "train__precision": "fp32"}
        config = make_config(**small | settings)
        self.model = Classifier(20, 2, **config.model.model_dump())
        self.text_loss = TextLoss(config.train, labels="ab", counts=[1, 1], texts=2 if targets.dim() == 2 else None)
        self.module = LossModule(self.model, self.text_loss, embedding_dropout=0.0, r_drop=r_drop)
        self.twice = bool(r_drop)
        self.logits: list[torch.Tensor] = []
        self.model.head.register_forward_hook(lambda *of: self.logits.append(of[-1]))

    def run(self) -> torch.Tensor:
        torch.manual_seed(3)
        places, offsets = torch.tensor([0, 3, 1, 2, 4, 4, 0]), torch.tensor([0, 3, 4, 7])
        if self.twice:
            places, offsets = places.repeat(2), torch.cat([offsets, offsets[1:] + 7])
        table = self.model.embedding.weight[:5]
        loss: torch.Tensor = self.module(table, places, layout=BatchLayout(offsets), targets=self.targets)
        return loss

    def gradients(self) -> list[torch.Tensor]:
        self.model.zero_grad()
        self.run().backward()
        return [value.grad.clone() for value in self.model.parameters() if value.grad is not None]


@each_kind
def test_r_drop_adds_the_divergence_to_the_mean_of_two_losses(targets: torch.Tensor) -> None:
    draws = Draws(targets, dropout=0.5, r_drop=3.0, train__label_smoothing=0.1)
    loss = draws.run()
    (logits,) = draws.logits  # both in one pass
    assert logits.shape == (6, 2)
    first, second = logits[:3], logits[3:]
    assert ((first - second).abs().amax(dim=1) > 1e-3).all()  # dropout differs
    mean = (draws.text_loss(first, targets) + draws.text_loss(second, targets)) / 2
    divergence = draws.text_loss.divergence(first, second, targets)
    assert divergence.item() > 0
    torch.testing.assert_close(loss, mean + 3.0 * divergence / 2)
    weaker = Draws(targets, dropout=0.5, r_drop=1.0, train__label_smoothing=0.1).run()  # with the same dropout
    torch.testing.assert_close(loss - weaker, divergence)


@each_kind
def test_r_drop_without_dropout_changes_nothing(targets: torch.Tensor) -> None:
    plain, twice = (Draws(targets, dropout=0.0, r_drop=r_drop) for r_drop in (0.0, 3.0))
    torch.testing.assert_close(twice.run(), plain.run())
    assert [len(logits) for logits in (*plain.logits, *twice.logits)] == [3, 6]
    torch.testing.assert_close(twice.logits[0][:3], twice.logits[0][3:])
    gradients, expected = twice.gradients(), plain.gradients()
    assert len(gradients) == len(expected) > 5
    for mine, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


@each_kind
def test_a_step_along_the_gradient_of_r_drop_lowers_the_divergence(targets: torch.Tensor) -> None:
    draws = Draws(targets, dropout=0.5, r_drop=2.0)
    strong = draws.gradients()
    before = draws.text_loss.divergence(*draws.logits[-1].chunk(2), targets)
    weak = Draws(targets, dropout=0.5, r_drop=1.0).gradients()
    with torch.no_grad():
        for value, more, less in zip(draws.model.parameters(), strong, weak, strict=True):
            value.sub_(0.01 * (more - less))
    draws.run()
    assert draws.text_loss.divergence(*draws.logits[-1].chunk(2), targets).item() < before.item()


def make_larger_batch(texts: int) -> PackedBatch:
    rng = np.random.default_rng(texts)
    offsets = np.append(0, rng.integers(1, 6, texts).cumsum())
    return PackedBatch(rng.integers(0, 20, offsets[-1]).astype(np.int32), offsets, np.arange(texts) % 2)


def run_steps(train_step: TrainStep, *, steps: int = 4, texts: int = 7) -> tuple[list[float], list[torch.Tensor]]:
    losses = []
    for _ in range(steps):
        losses.append(train_step.step(make_larger_batch(texts), lr=0.05))
        torch.rand(3)  # a step does not depend on the generator's state
    return losses, list(train_step.model.state_dict().values())


@pytest.mark.parametrize("texts", [7, 2])  # two texts in three parts leave one part empty
def test_accumulated_parts_of_a_step_with_r_drop_equal_one_step(texts: int) -> None:
    losses, weights = run_steps(make_train_step(train__r_drop=2.0), texts=texts)
    parts, others = run_steps(make_train_step(train__r_drop=2.0, train__accumulate=3), texts=texts)
    assert losses[0] != losses[-1]
    assert parts == pytest.approx(losses, rel=1e-5)
    for mine, theirs in zip(weights, others, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("part_tokens", "parts"), [(None, 1), (30, 1), (29, 2), (24, 2), (9, 5), (1, 5)])
def test_a_batch_with_many_tokens_is_computed_in_parts(part_tokens: int | None, parts: int) -> None:
    rng = np.random.default_rng(2)
    offsets = np.array([0, 3, 6, 10, 18, 30])
    batch = PackedBatch(rng.integers(0, 20, 30).astype(np.int32), offsets, rng.integers(0, 2, 5))
    whole, limited = make_train_step(), make_train_step(part_tokens=part_tokens)
    calls: list[int] = []
    limited._loss_module.register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[1])))
    assert limited.step(batch, lr=0.1) == pytest.approx(whole.step(batch, lr=0.1), rel=1e-5)
    assert len(calls) == parts
    for mine, theirs in zip(limited.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
