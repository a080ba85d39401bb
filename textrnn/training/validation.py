"""Validation: loss and metrics on the validation set, calibration, thresholds, and the share of the n-grams."""

from __future__ import annotations

import copy
import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from textrnn.config import NgramConfig
from textrnn.data.batch import Rows
from textrnn.data.sampler import sorted_batches
from textrnn.evaluation.metrics import LabelCounts
from textrnn.evaluation.multi_label import tune_thresholds
from textrnn.models.calibration import (
    PENALTY,
    Logits,
    fit_share,
    fit_temperature,
    mix,
    split_rows,
    to_log_probabilities,
)
from textrnn.models.cascade import Cascade, fit_cascade
from textrnn.models.classifier import Classifier
from textrnn.models.ngram.features import Spelling
from textrnn.models.ngram.table import NgramTable
from textrnn.preparation.dataset import Dataset
from textrnn.training.distributed import ProcessGroup
from textrnn.training.ema import EMA
from textrnn.training.loss import NO_CLASS, make_targets, sum_losses

VALID_TOKENS = 16384  # per batch
_NGRAM_TEMPERATURES = (1e-6, 1e6)  # wide bounds: a large penalty makes the logits of the n-grams very small
_HALF = 0.5  # the probability from which a soft label counts as one
_BLOCK = 1 << 14  # texts whose losses are computed together


@dataclass(frozen=True)
class Validation:
    """The result on the validation set: mean losses in nats per text with a known label, and metrics over all texts.

    ``loss`` and ``metrics`` are those of the model that would be saved now, with n-grams and calibration.
    ``network_loss`` is that of the network without n-grams, at a temperature of its own.
    """

    loss: float
    network_loss: float
    metrics: dict[str, float]


class Validator:
    """Validates the current weights, and holds the parts of the model that depend on the validation set.

    These are the ``temperature``, the ``thresholds`` of a multi-label model, and the share of the n-gram model
    (``ngram_share``) with the factor of its logits (``ngram_scale``). ``model`` is the network that was validated:
    the trained one, or a copy with the average of its weights. Only rank 0 has the n-gram model.

    Logits are held for one chunk of texts at a time. A set of more than one chunk is shuffled, and all parts are fitted
    to the first chunk. ``texts`` limits the number of texts that are read.
    """

    def __init__(
        self,
        dataset: Dataset,
        model: Classifier,
        *,
        device: torch.device,
        group: ProcessGroup,
        ngrams: NgramTable | None = None,
        config: NgramConfig | None = None,
        texts: int | None = None,
    ) -> None:
        self.dataset, self.device, self.group = dataset, device, group
        self.model = self._trained = model
        self.ngrams, self._share = ngrams, 0.0 if config is None else config.share
        self.ngram_share, self.ngram_scale = 0.0, 1.0
        self.temperature = self._network_temperature = 1.0
        self._ngram_temperature: float | None = None  # the same in every epoch
        self._chunks = _draw_chunks(min(texts or sys.maxsize, len(dataset.valid)), len(dataset.labels))
        self.thresholds: tuple[float, ...] | None = None
        self.cascade: Cascade | None = None  # of a single-label model with n-grams

    def sync_weights(self, average: EMA | None) -> None:
        """Copy the average of the weights into ``model``; without an average the trained network is validated."""
        if average is not None:
            if self.model is self._trained:
                self.model = copy.deepcopy(self._trained)
            embedding, network = average.read()
            self.model.load_state_dict({"embedding.weight": embedding, **network})

    @torch.no_grad()
    def validate(self, end_batch: Callable[[], None]) -> Validation:
        """Validate the current weights; in single-process training ``end_batch`` is called after each batch.

        Fits the share of the n-grams first, then the temperature, then the thresholds of the calibrated probabilities.
        """
        self.model.eval()
        known, network_loss, loss = 0, 0.0, 0.0
        counts: list[LabelCounts] = []
        errors: list[npt.NDArray[np.float64]] = []
        for rows in self._chunks:
            logits, true = self._forward(rows, end_batch), self._read_targets(rows)
            if not counts:
                self._fit(logits, self._find_fit_targets(rows, true))
            mixed = self._mix(logits, rows)
            known += int((self.dataset.valid.classes[rows] != NO_CLASS).sum())
            network_loss += self._sum_losses(logits, rows, temperature=self._network_temperature)
            loss += self._sum_losses(mixed, rows, temperature=self.temperature)
            counts.append(self._count(mixed, true))
            errors.append(self._find_errors(mixed, rows))
        metrics = reduce(operator.add, counts).summarize() | _summarize_errors(np.concatenate(errors))
        return Validation(loss / max(1, known), network_loss / max(1, known), metrics)

    def _find_fit_targets(self, rows: Rows, true: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what calibration fits: the labels that the model knows, the classes, or their probabilities."""
        sets, C, soft = self.dataset.label_sets, len(self.dataset.labels), self.dataset.valid.select_soft_labels(rows)
        if sets is None or soft is not None:
            return make_targets(self.dataset.valid.classes[rows], sets, C, soft=soft)
        return true[:, :C]

    def _fit(self, logits: Logits, true: npt.NDArray[Any]) -> None:
        """Fit all that depends on the validation set to the network's ``logits`` (B, C) of the first chunk."""
        is_multi_label = self.dataset.label_sets is not None
        fit = partial(fit_temperature, multi_label=is_multi_label)
        self.temperature = self._network_temperature = fit(logits, true, penalty=PENALTY)
        if self._share and self._first_ngram_logits.any():
            # brought to the network's temperature first, so that a share weighs logits of the same scale
            if self._ngram_temperature is None:
                self._ngram_temperature = fit(self._first_ngram_logits, true, bounds=_NGRAM_TEMPERATURES)
            self.ngram_scale = self._network_temperature / self._ngram_temperature
            own = np.float32(self._network_temperature)
            others = self._first_ngram_logits * (np.float32(self.ngram_scale) / own)
            share = self._share
            if share == "auto":
                self.ngram_share = fit_share(logits / own, others, true, multi_label=is_multi_label)
            else:
                self.ngram_share = float(share)
            logits = self._mix(logits, self._chunks[0])
            prior = self.ngram_scale**self.ngram_share  # both models at the scale that they were trained for
            self.temperature = fit(logits, true, penalty=PENALTY, prior=prior)
            if not is_multi_label and self.dataset.anchors is None:  # models of scores have no cascade
                alone = self._first_ngram_logits * np.float32(self.ngram_scale)
                self.cascade = fit_cascade(alone, logits, temperature=self._network_temperature)
        if is_multi_label:
            probabilities = np.exp(to_log_probabilities(logits, self.temperature, multi_label=True))
            self.thresholds = self._tune_thresholds(true >= _HALF, probabilities)

    def _tune_thresholds(self, true: npt.NDArray[np.bool_], probabilities: Logits) -> tuple[float, ...]:
        """Return the thresholds of the labels; one that no validation text has keeps that of an initial model."""
        tuned, initial = tune_thresholds(true, probabilities).tolist(), self.dataset.initial
        old = {} if initial is None else dict(zip(initial.labels, initial.model.thresholds or (), strict=False))
        has_texts = [bool(column.any()) for column in true.T]
        labels = zip(self.dataset.labels, tuned, has_texts, strict=True)
        return tuple(threshold if has else old.get(label, threshold) for label, threshold, has in labels)

    def _mix(self, logits: Logits, rows: Rows) -> Logits:
        """Return the network's ``logits`` (B, C) of the texts ``rows`` with the share of the n-grams."""
        if not self.ngram_share:
            return logits
        others = self._first_ngram_logits if rows is self._chunks[0] else self._forward_ngrams(rows)
        return mix(logits, others * np.float32(self.ngram_scale), self.ngram_share)

    def _count(self, logits: Logits, true: npt.NDArray[Any]) -> LabelCounts:
        C = logits.shape[1]
        if self.thresholds is None:
            return LabelCounts.of_classes(np.where(true < 0, C, true), logits.argmax(axis=1), C + 1)
        probabilities = np.exp(to_log_probabilities(logits, self.temperature, multi_label=True))
        return LabelCounts.of_sets(true, probabilities >= self.thresholds)

    def _find_errors(self, logits: Logits, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the predicted minus the true score of each text (B,), or nothing for labels."""
        anchors = self.dataset.anchors
        if anchors is None:
            return np.zeros(0)
        found = np.exp(to_log_probabilities(logits, self.temperature, multi_label=False)) @ anchors
        errors: npt.NDArray[np.float64] = found - self.dataset.valid.select_scores(rows)
        return errors

    def _read_targets(self, rows: Rows) -> npt.NDArray[Any]:
        """Return the true classes (B,), or the true labels (B, C) and those that the model does not know."""
        classes, sets = self.dataset.valid.classes[rows], self.dataset.label_sets
        return classes if sets is None else sets.to_multi_hot(classes)

    def _forward(self, rows: Rows, end_batch: Callable[[], None]) -> Logits:
        """Return the network's logits (B, C) of the validation texts ``rows``."""
        texts = self.dataset.windows.split(self.dataset.valid, rows)
        logits: Logits = np.zeros((len(texts), len(self.dataset.labels)), np.float32)
        for number, (places, batch) in enumerate(sorted_batches(texts, VALID_TOKENS)):
            if number % self.group.size != self.group.rank:
                continue
            logits[places] = self.model.predict_logits(batch)
            if self.group.size == 1:  # ranks have different numbers of batches
                end_batch()
        return texts.average(self._all_reduce(logits))

    @cached_property
    def _first_ngram_logits(self) -> Logits:
        """The logits of the n-grams for the first chunk, the same in every epoch."""
        return self._forward_ngrams(self._chunks[0])

    def _forward_ngrams(self, rows: Rows) -> Logits:
        """Return the logits (B, C) of the n-grams of the validation texts ``rows``."""
        logits: Logits = np.zeros((len(rows), len(self.dataset.labels)), np.float32)
        if self.ngrams is not None:
            spelling = Spelling.of(self.dataset.tokenizer)
            for places, batch in sorted_batches(self.dataset.valid, VALID_TOKENS, rows=rows):
                logits[places] = self.ngrams.forward(batch.ids, batch.offsets, spelling)
        return self._all_reduce(logits)

    def _all_reduce(self, part: Logits) -> Logits:
        """Return the sum of ``part`` over all ranks."""
        if self.group.size == 1:
            return part
        tensor = torch.from_numpy(part).to(self.device)
        self.group.all_reduce([tensor])
        total: Logits = tensor.cpu().numpy()
        return total

    def _sum_losses(self, logits: Logits, rows: Rows, *, temperature: float) -> float:
        """Return the sum of the losses of ``logits`` (B, C) / ``temperature`` over the texts with a known label."""
        classes, sets = self.dataset.valid.classes[rows], self.dataset.label_sets
        known = np.flatnonzero(classes != NO_CLASS)
        losses = 0.0
        for start in range(0, len(known), _BLOCK):
            places = known[start : start + _BLOCK]
            soft = self.dataset.valid.select_soft_labels(rows[places])
            targets = make_targets(classes[places], sets, logits.shape[1], soft=soft)
            calibrated = torch.from_numpy(logits[places] / np.float32(temperature))
            losses += float(sum_losses(calibrated, torch.from_numpy(targets), multi_label=sets is not None))
        return losses


def _summarize_errors(errors: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return mae and rmse of the errors of scores, or nothing without any."""
    if not len(errors):
        return {}
    return {"mae": float(np.abs(errors).mean()), "rmse": float(np.sqrt(np.square(errors).mean()))}


def _draw_chunks(B: int, C: int) -> list[Rows]:
    """Return rows of B texts in chunks of limited logits for C classes; the first is a random sample of them."""
    chunks = list(split_rows(B, C))
    rows = np.arange(B) if len(chunks) == 1 else np.random.default_rng(0).permutation(B)
    return [np.sort(rows[chunk]) for chunk in chunks]
