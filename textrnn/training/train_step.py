"""One training step: this rank's parts of a batch, in the configured precision."""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from hashlib import blake2b
from typing import Any, NamedTuple

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
from textrnn.ops.batch_layout import BatchLayout, to_device
from textrnn.ops.embedding import take_rows
from textrnn.ops.time_major import Index
from textrnn.preparation.pretrained_vectors import FrozenRows
from textrnn.training.distributed import ProcessGroup
from textrnn.training.ema import EMA
from textrnn.training.loss import NO_CLASS, TextLoss, make_targets
from textrnn.training.optimizer import AdamW

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
_FIRST_SCALE, _STEPS_TO_RAISE = 2.0**16, 2000  # as torch.amp.GradScaler's


class _Part(NamedTuple):
    """A part of a batch: the ``places`` (N,) of its tokens in the table, ``offsets`` (B+1,), and targets."""

    places: Index
    offsets: Index
    targets: npt.NDArray[Any]


class LossModule(nn.Module):
    """A classifier and its loss: the function that a step differentiates.

    The embedding's rows that a step reads are an argument, so that only these have gradients. With ``r_drop`` a batch
    holds every text twice, end to end, and dropout differs between the two. The loss is then the mean of both losses
    plus ``r_drop / 2`` times the divergence of the two predictions: half of equation 4 of Liang et al. 2021 ("R-Drop",
    arXiv 2106.14448), with ``r_drop`` as their alpha.
    """

    def __init__(self, model: Classifier, loss: TextLoss, *, embedding_dropout: float, r_drop: float) -> None:
        super().__init__()
        self.model, self._loss, self._p, self._r_drop = model, loss, embedding_dropout, r_drop

    def forward(self, table: Tensor, places: Tensor, *, layout: BatchLayout, targets: Tensor) -> Tensor:
        """Return the summed loss () of texts whose tokens are the rows ``places`` (N,) of ``table`` (R, D)."""
        if self._p:  # whole rows (Gal and Ghahramani 2016)
            table = table * torch.empty(len(table), 1, device=table.device).bernoulli_(1 - self._p).div_(1 - self._p)
        logits = self.model.forward_embeddings(take_rows(table, places), layout).float()
        if not self._r_drop:
            loss: Tensor = self._loss(logits, targets)
            return loss
        first, second = logits.chunk(2)
        both: Tensor = self._loss(logits, torch.cat([targets, targets]))
        return (both + self._r_drop * self._loss.divergence(first, second, targets)) / 2


class TrainStep:
    """The training step of a run.

    The random numbers of a step are a function of the run's seed, the step's number and the rank, so a checkpoint need
    not hold a generator's state. ``sets`` are the label sets of a multi-label data set.

    Raises:
        BackendError: the device does not support the precision.
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
        model.embedding.weight.requires_grad_(False)  # the optimizer updates its rows directly
        self.model, self.config, self.device, self.group, self.sets = model, config, device, group, sets
        self._frozen = frozen
        self.optimizer = AdamW(model.embedding.weight, model.network(), config)
        self.scale, self.steady = _FIRST_SCALE if config.precision == "fp16" else 1.0, 0
        self.average = EMA(model.embedding.weight, model.network(), config.ema) if config.ema else None
        module: nn.Module = LossModule(
            model, loss.to(device), embedding_dropout=config.embedding_dropout, r_drop=config.r_drop
        )
        if config.compile:
            logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns on the CPU: no CUDA
            module.compile(dynamic=True)
        if group.size > 1:
            devices = [device.index] if device.type == "cuda" else None
            module = DistributedDataParallel(module, device_ids=devices)
        self._loss_module = module

    def step(self, batch: PackedBatch, *, lr: float) -> float:
        """Train on this rank's parts of ``batch``; return the mean loss of the batch before the update.

        If a gradient is not finite, the model stays as it is. The loss returned is then NaN, except in fp16, which
        lowers the loss scale and continues.
        """
        self._seed()
        rows, places = find_rows(batch.ids, len(self.model.embedding.weight))
        chosen = torch.from_numpy(rows).to(self.device)
        table = self.model.embedding.weight.index_select(0, chosen).requires_grad_()
        total = torch.zeros((), device=self.device)
        parts = list(self._own_parts(batch, places))
        for number, part in enumerate(parts, start=1):
            with self._no_sync(number < len(parts)), self._autocast():
                loss = self._compute_loss(table, part) / len(batch)
            # DistributedDataParallel averages over the ranks; the loss is their sum
            with self._no_sync(number < len(parts)):
                torch.autograd.backward(loss * (self.scale * self.group.size))
            total += loss.detach()
        assert table.grad is not None
        self.group.all_reduce([table.grad.div_(self.group.size), total])
        if self.average:
            self.average.prepare(chosen)
        with self._preserve_frozen(chosen, table.grad):
            updated = self.optimizer.step(chosen, table.grad, lr=lr, scale=self.scale)
        if self.average:
            self.average.update(self.optimizer.steps)
        if self.config.precision == "fp16":
            self._adapt_scale(updated)
        elif not updated:
            return math.nan
        return float(total)

    def _seed(self) -> None:
        source = struct.pack("<3q", self.config.seed, self.optimizer.steps, self.group.rank)
        drawn = int.from_bytes(blake2b(source, digest_size=8).digest(), "little")
        # torch.manual_seed records a traceback for each device type that is not in use, which is slow
        torch.default_generator.manual_seed(drawn)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(drawn)

    def _own_parts(self, batch: PackedBatch, places: Index) -> Iterator[_Part]:
        """Yield this rank's parts of the batch. Every rank has the same number."""
        count = self.config.accumulate * self.group.size
        bounds = np.linspace(0, len(batch), count + 1).astype(np.int64)
        for index in range(self.group.rank, count, self.group.size):
            first, last = bounds[index], bounds[index + 1]
            classes = batch.classes[first:last]
            if first == last:  # fewer texts than parts: a text without weight, so that every rank has a part
                first, last, classes = 0, 1, np.array([NO_CLASS])
            start, end = batch.offsets[first], batch.offsets[last]
            targets = make_targets(classes, self.sets, self.model.head.out_features)
            part, offsets = places[start:end], batch.offsets[first : last + 1] - start
            if self.config.r_drop:  # in one pass: a batch of twice the size takes less than twice the time
                part, offsets = np.tile(part, 2), np.append(offsets, offsets[1:] + offsets[-1])
            yield _Part(part, offsets, targets)

    def _compute_loss(self, table: Tensor, part: _Part) -> Tensor:
        places, targets = to_device(part.places, self.device), to_device(part.targets, self.device)
        layout = BatchLayout.of(part.offsets, self.device)
        loss: Tensor = self._loss_module(table, places, layout=layout, targets=targets)
        return loss

    def _preserve_frozen(self, rows: Tensor, gradient: Tensor) -> AbstractContextManager[None]:
        if self._frozen is None:
            return nullcontext()
        return self._frozen.preserved(self.model.embedding.weight, rows, gradient)

    def _no_sync(self, more: bool) -> AbstractContextManager[None]:
        """Postpone the exchange of gradients if ``more`` parts follow."""
        if more and isinstance(self._loss_module, DistributedDataParallel):
            context: AbstractContextManager[None] = self._loss_module.no_sync()
            return context
        return nullcontext()

    def _autocast(self) -> AbstractContextManager[object]:
        dtype = _AUTOCAST.get(self.config.precision)
        return nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)

    def _adapt_scale(self, finite: bool) -> None:
        """Halve the loss scale if gradients overflowed float16; double it after ``_STEPS_TO_RAISE`` finite steps."""
        self.steady = self.steady + 1 if finite else 0
        if not finite:
            self.scale /= 2
        elif self.steady % _STEPS_TO_RAISE == 0:
            self.scale *= 2


def find_rows(ids: npt.NDArray[np.int32], V: int) -> tuple[Index, Index]:
    """Return the distinct ``ids`` (N,), sorted, and the index of each of ``ids`` among them."""
    if len(ids) * 16 < V:
        rows, places = np.unique(ids, return_inverse=True)
        return rows.astype(np.int64), places.astype(np.int64)
    seen = np.zeros(V, bool)
    seen[ids] = True
    found = np.flatnonzero(seen)
    place = np.empty(V, np.int64)
    place[found] = np.arange(len(found))
    return found.astype(np.int64), place[ids]
