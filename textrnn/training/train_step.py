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
from textrnn.ops import fused
from textrnn.ops.batch_layout import BatchLayout, LayoutArrays, plan_layout, send
from textrnn.ops.device import HostCopy
from textrnn.ops.embedding import group_places, take_rows
from textrnn.ops.time_major import Index
from textrnn.preparation.pretrained_vectors import FrozenRows
from textrnn.training.distributed import ProcessGroup
from textrnn.training.ema import EMA
from textrnn.training.loss import NO_CLASS, LossScale, TextLoss, make_targets
from textrnn.training.optimizer import AdamW
from textrnn.training.starters.slow_parameters import SlowParameters

_AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}  # auto is resolved before


class _Part(NamedTuple):
    """What the device needs of a part of a batch, as arrays, or as tensors.

    These are the ``places`` (N,) of its tokens in the table, on CUDA the same by rows of the table
    (:func:`textrnn.ops.embedding.group_places`), the arrays of its layout, targets, and the weights of its texts.
    """

    places: Any
    by_row: Any
    layout: LayoutArrays
    targets: Any
    weights: Any


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

    def forward(
        self,
        table: Tensor,
        places: Tensor,
        *,
        layout: BatchLayout,
        targets: Tensor,
        by_row: tuple[Tensor, Tensor] | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Return the summed loss () of texts whose tokens are the rows ``places`` (N,) of ``table`` (R, D).

        ``weights`` (B,) float32 are those of the texts; None: all are 1.
        """
        if self._p:  # whole rows (Gal and Ghahramani 2016)
            table = table * torch.empty(len(table), 1, device=table.device).bernoulli_(1 - self._p).div_(1 - self._p)
        logits = self.model.forward_embeddings(take_rows(table, places, by_row), layout).float()
        if self._loss.is_plain and targets.dim() == 1 and weights is None and fused.supports(logits):
            return fused.softmax_loss(logits, targets, smoothing=self._loss.smoothing, r_drop=self._r_drop or None)
        if not self._r_drop:
            loss: Tensor = self._loss(logits, targets, weights)
            return loss
        first, second = logits.chunk(2)
        twice = None if weights is None else torch.cat([weights, weights])
        both: Tensor = self._loss(logits, torch.cat([targets, targets]), twice)
        return (both + self._r_drop * self._loss.divergence(first, second, targets, weights)) / 2


class TrainStep:
    """The training step of a run.

    The random numbers of a step are a function of the run's seed, the step's number and the rank, so a checkpoint need
    not hold a generator's state. ``sets`` are the label sets of a multi-label data set. A batch with more than
    ``part_tokens`` tokens (None: no limit) is computed in parts that have at most as many, or are one text.

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
        slow: SlowParameters | None = None,
        sets: MultiLabelSet | None = None,
        part_tokens: int | None = None,
    ) -> None:
        if config.precision == "fp16" and device.type == "cpu":
            raise BackendError("train.precision fp16: for CUDA devices; use bf16 or fp32 on the CPU")
        model.embedding.weight.requires_grad_(False)  # the optimizer updates its rows directly
        self.model, self.config, self.device, self.group, self.sets = model, config, device, group, sets
        self._frozen, self._slow, self._part_tokens = frozen, slow, part_tokens
        self.optimizer = AdamW(model.embedding.weight, model.network(), config)
        self.scale = LossScale(device, active=config.precision == "fp16")
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
        return self.start(batch, lr=lr).read()

    def start(self, batch: PackedBatch, *, lr: float) -> HostCopy:
        """Start :meth:`step`, and return the loss to read later. On a GPU the host then works ahead of the device."""
        self._seed()
        rows, places = find_rows(batch.ids, len(self.model.embedding.weight))
        kept = self.average.fade(rows) if self.average else None
        offsets, arrays = zip(*self._own_parts(batch, places, R=len(rows)), strict=True)
        chosen, kept, parts = send((rows, kept, list(arrays)), self.device)
        table = self.model.embedding.weight.index_select(0, chosen).requires_grad_()
        losses = []
        for number, (host, part) in enumerate(zip(offsets, parts, strict=True), start=1):
            with self._no_sync(number < len(parts)), self._autocast():
                loss = self._compute_loss(table, part, host) / len(batch)
            # DistributedDataParallel averages over the ranks; the loss is their sum
            with self._no_sync(number < len(parts)):
                torch.autograd.backward(self._scale_up(loss))
            losses.append(loss.detach())
            del loss  # and its graph, before the next part makes one
        total = sum(losses[1:], start=losses[0])
        assert table.grad is not None
        if self.group.size > 1:
            self.group.all_reduce([table.grad.div_(self.group.size), total])
        if self.average:
            self.average.prepare(chosen, kept, table.detach())
        with self._preserve_frozen(chosen, table.grad), self._slow_down(chosen):
            updated = self.optimizer.step(chosen, table.grad, lr=lr, scale=self.scale.factor, weights=table.detach())
        if self.average:
            self.average.update(self.optimizer.steps)
        self.scale.adapt(updated)
        return HostCopy(total if self.scale.active else _mark(total, updated))

    def _scale_up(self, loss: Tensor) -> Tensor:
        return loss * (self.scale.factor * self.group.size) if self.scale.active or self.group.size > 1 else loss

    def _seed(self) -> None:
        source = struct.pack("<3q", self.config.seed, self.optimizer.steps, self.group.rank)
        drawn = int.from_bytes(blake2b(source, digest_size=8).digest(), "little")
        # torch.manual_seed records a traceback for each device type that is not in use, which is slow
        torch.default_generator.manual_seed(drawn)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(drawn)

    def _own_parts(self, batch: PackedBatch, places: Index, *, R: int) -> Iterator[tuple[Index, _Part]]:
        """Yield this rank's parts of the batch, each with its offsets. Every rank has the same number."""
        is_cuda, is_sru = self.device.type == "cuda", self.model.cell == "sru"
        bounds = self._divide(batch)
        for index in range(self.group.rank, len(bounds) - 1, self.group.size):
            first, last = bounds[index], bounds[index + 1]
            classes = batch.classes[first:last]
            soft = None if batch.soft_labels is None else batch.soft_labels.select(np.arange(first, last))
            if first == last:  # fewer texts than parts: a text without weight, so that every rank has a part
                first, last, classes = 0, 1, np.array([NO_CLASS])
            start, end = batch.offsets[first], batch.offsets[last]
            targets = make_targets(classes, self.sets, self.model.head.out_features, soft=soft)
            weights = None if batch.weights is None else batch.weights[first:last]
            part, offsets = places[start:end], batch.offsets[first : last + 1] - start
            if self.config.r_drop:  # in one pass: a batch of twice the size takes less than twice the time
                part, offsets = np.tile(part, 2), np.append(offsets, offsets[1:] + offsets[-1])
            layout = plan_layout(offsets, self.device, has_order=not is_sru)
            yield offsets, _Part(part, group_places(part, R) if is_cuda else None, layout, targets, weights)

    def _divide(self, batch: PackedBatch) -> Index:
        """Return the bounds of the parts of ``batch``, as many for each rank."""
        count = step = self.config.accumulate * self.group.size
        limit = len(batch.ids) if self._part_tokens is None else self._part_tokens
        while True:
            bounds = np.linspace(0, len(batch), count + 1).astype(np.int64)
            if count >= len(batch) or np.diff(batch.offsets[bounds]).max() <= limit:
                return bounds
            count += step

    def _compute_loss(self, table: Tensor, part: _Part, offsets: Index) -> Tensor:
        layout = BatchLayout.sent(part.layout, offsets)
        inputs = {"layout": layout, "targets": part.targets, "by_row": part.by_row, "weights": part.weights}
        loss: Tensor = self._loss_module(table, part.places, **inputs)
        return loss

    def _preserve_frozen(self, rows: Tensor, gradient: Tensor) -> AbstractContextManager[None]:
        if self._frozen is None:
            return nullcontext()
        return self._frozen.preserved(self.model.embedding.weight, rows, gradient)

    def _slow_down(self, rows: Tensor) -> AbstractContextManager[None]:
        return nullcontext() if self._slow is None else self._slow.slowed(rows)

    def _no_sync(self, more: bool) -> AbstractContextManager[None]:
        """Postpone the exchange of gradients if ``more`` parts follow."""
        if more and isinstance(self._loss_module, DistributedDataParallel):
            context: AbstractContextManager[None] = self._loss_module.no_sync()
            return context
        return nullcontext()

    def _autocast(self) -> AbstractContextManager[object]:
        dtype = _AUTOCAST[self.config.precision]
        return nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)


def _mark(loss: Tensor, updated: bool | Tensor) -> Tensor:
    """Return ``loss``, or NaN for a step that changed nothing."""
    if isinstance(updated, Tensor):
        return loss + updated
    return loss if updated else torch.full_like(loss, math.nan)


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
