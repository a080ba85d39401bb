"""One step of training: a batch in parts, on one rank of several, in the precision that was asked for."""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from textrnn.config import TrainConfig
from textrnn.data.batch import PackedBatch
from textrnn.data.labels import MultiLabelSet
from textrnn.errors import BackendError
from textrnn.models.classifier import Classifier
from textrnn.ops.embedding import take_rows
from textrnn.preparation.pretrained_vectors import FrozenRows
from textrnn.training.distributed import ProcessGroup
from textrnn.training.ema import EMA
from textrnn.training.loss import NO_CLASS, TextLoss, make_targets
from textrnn.training.optimizer import AdamW

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
_FIRST_SCALE, _STEPS_TO_RAISE_IT = 2.0**16, 2000  # as torch.amp.GradScaler's


class LossModule(nn.Module):
    """What is differentiated: a classifier above its embedding, whose rows are a tensor of their own in each step.

    With ``r_drop`` each text is scored twice, with values dropped by chance both times, and what it costs is the mean
    of both losses and half of ``r_drop`` times how far the two are apart: half of what Liang et al. 2021 ("R-Drop",
    arXiv 2106.14448, equation 4) minimise, with ``r_drop`` as their alpha.
    """

    def __init__(self, model: Classifier, loss: TextLoss, *, embedding_dropout: float, r_drop: float) -> None:
        super().__init__()
        self.model, self._loss, self._p, self._r_drop = model, loss, embedding_dropout, r_drop

    def forward(self, table: Tensor, places: Tensor, offsets: Tensor, targets: Tensor) -> Tensor:
        """Return the sum of the losses of the texts whose pieces are the rows ``places`` (N,) of ``table`` (R, D)."""
        if self._p:  # whole rows (Gal and Ghahramani 2016)
            table = table * torch.empty(len(table), 1, device=table.device).bernoulli_(1 - self._p).div_(1 - self._p)
        if self._r_drop:  # both at once: a batch of twice the size takes less than twice the time
            places, offsets = torch.cat([places, places]), torch.cat([offsets, offsets[1:] + offsets[-1]])
        logits = self.model.forward_embedded(take_rows(table, places), offsets).float()
        if not self._r_drop:
            loss: Tensor = self._loss(logits, targets)
            return loss
        first, second = logits.chunk(2)
        right: Tensor = self._loss(logits, torch.cat([targets, targets]))
        return (right + self._r_drop * self._loss.compare(first, second, targets)) / 2


class TrainStep:
    """Makes the steps of a run.

    What a step draws at random is a function of the run's seed, the step's number and the rank, so that nothing of it
    need be kept to go on from a checkpoint. Where texts have several labels, ``sets`` are what classes stand for.

    Raises:
        BackendError: a precision that the device has not.
    """

    def __init__(
        self,
        model: Classifier,
        config: TrainConfig,
        *,
        loss: TextLoss,
        device: torch.device,
        group: ProcessGroup,
        frozen: FrozenRows | None = None,
        sets: MultiLabelSet | None = None,
    ) -> None:
        if config.precision == "fp16" and device.type == "cpu":
            raise BackendError("train.precision fp16: for CUDA devices; use bf16 or fp32 on the CPU")
        model.embedding.weight.requires_grad_(False)  # its rows are moved by themselves
        self.model, self.config, self.device, self.group, self.sets = model, config, device, group, sets
        self._frozen = frozen
        self.optimizer = AdamW(model.embedding.weight, model.network(), config)
        self.scale, self.steady = _FIRST_SCALE if config.precision == "fp16" else 1.0, 0
        self.average = EMA(model.embedding.weight, model.network(), config.ema) if config.ema else None
        scorer: nn.Module = LossModule(
            model, loss.to(device), embedding_dropout=config.embedding_dropout, r_drop=config.r_drop
        )
        if config.compile:
            logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it misses CUDA on the CPU
            scorer.compile(dynamic=True)
        if group.size > 1:
            devices = [device.index] if device.type == "cuda" else None
            scorer = DistributedDataParallel(scorer, device_ids=devices)
        self._scorer = scorer

    def step(self, batch: PackedBatch, *, lr: float) -> float:
        """Move the model by ``batch``, of which this rank computes its parts; return the mean loss before it.

        The loss is not a number where the gradients are not finite, but for fp16, whose scale is lowered then; the
        model does not move.
        """
        self._seed()
        rows, places = find_rows(batch.ids, len(self.model.embedding.weight))
        chosen = torch.from_numpy(rows).to(self.device)
        table = self.model.embedding.weight.index_select(0, chosen).requires_grad_()
        total = torch.zeros((), device=self.device)
        parts = list(self._own_parts(batch, places))
        for number, part in enumerate(parts, start=1):
            with self._without_exchange(number < len(parts)), self._autocast():
                loss = self._scorer(table, *self._place(*part)) / len(batch)
            # DistributedDataParallel takes the mean over the ranks where the sum is meant
            with self._without_exchange(number < len(parts)):
                (loss * (self.scale * self.group.size)).backward()
            total += loss.detach()
        assert table.grad is not None
        self.group.all_reduce([table.grad.div_(self.group.size), total])
        if self.average:
            self.average.prepare(chosen)
        with self._holding(chosen, table.grad):
            moved = self.optimizer.step(chosen, table.grad, lr=lr, scale=self.scale)
        if self.average:
            self.average.update(self.optimizer.steps)
        if self.config.precision == "fp16":
            self._adapt_scale(moved)
        elif not moved:
            return math.nan
        return float(total)

    def _seed(self) -> None:
        source = struct.pack("<3q", self.config.seed, self.optimizer.steps, self.group.rank)
        drawn = int.from_bytes(blake2b(source, digest_size=8).digest(), "little")
        # torch.manual_seed would note for later, with a traceback, what to do with devices that are not in use
        torch.default_generator.manual_seed(drawn)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(drawn)

    def _own_parts(
        self, batch: PackedBatch, places: npt.NDArray[np.int64]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[Any]]]:
        """Yield this rank's parts of the batch: places, offsets and targets; every rank has as many."""
        count = self.config.accumulate * self.group.size
        bounds = np.linspace(0, len(batch), count + 1).astype(np.int64)
        for index in range(self.group.rank, count, self.group.size):
            first, last = bounds[index], bounds[index + 1]
            classes = batch.classes[first:last]
            if first == last:  # fewer texts than parts: a text that does not count, so that every rank has a part
                first, last, classes = 0, 1, np.array([NO_CLASS])
            start, end = batch.offsets[first], batch.offsets[last]
            targets = make_targets(classes, self.sets, self.model.head.out_features)
            yield places[start:end], batch.offsets[first : last + 1] - start, targets

    def _holding(self, rows: Tensor, gradient: Tensor) -> AbstractContextManager[None]:
        return (
            nullcontext()
            if self._frozen is None
            else self._frozen.preserved(self.model.embedding.weight, rows, gradient)
        )

    def _without_exchange(self, wanted: bool) -> AbstractContextManager[None]:
        if wanted and isinstance(self._scorer, DistributedDataParallel):
            context: AbstractContextManager[None] = self._scorer.no_sync()
            return context
        return nullcontext()

    def _autocast(self) -> AbstractContextManager[object]:
        dtype = _AUTOCAST.get(self.config.precision)
        return nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)

    def _place(self, *arrays: npt.NDArray[Any]) -> tuple[Tensor, ...]:
        return tuple(to_device(array, self.device) for array in arrays)

    def _adapt_scale(self, finite: bool) -> None:
        """Halve the scale of the loss where gradients were too large for float16, and double it after a long time."""
        self.steady = self.steady + 1 if finite else 0
        if not finite:
            self.scale /= 2
        elif self.steady % _STEPS_TO_RAISE_IT == 0:
            self.scale *= 2


def find_rows(ids: npt.NDArray[np.int32], V: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the different ``ids`` (N,), sorted, and the place of each of ``ids`` among them."""
    if len(ids) * 16 < V:
        rows, places = np.unique(ids, return_inverse=True)
        return rows.astype(np.int64), places.astype(np.int64)
    seen = np.zeros(V, bool)
    seen[ids] = True
    found = np.flatnonzero(seen)
    place = np.empty(V, np.int64)
    place[found] = np.arange(len(found))
    return found.astype(np.int64), place[ids]


def to_device(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """Return ``array`` on ``device``; to CUDA it is copied while other things go on."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
