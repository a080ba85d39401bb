"""Validation: loss and metrics on the validation set, calibration, thresholds, and the share of the n-grams."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from textrnn.config import NgramConfig
from textrnn.data.sampler import sorted_batches
from textrnn.evaluation.metrics import multi_label_metrics, single_label_metrics
from textrnn.evaluation.thresholds import tune_thresholds
from textrnn.models.calibration import Logits, fit_share, fit_temperature, mix, to_log_probabilities
from textrnn.models.classifier import Classifier
from textrnn.models.ngram.features import Spelling
from textrnn.models.ngram.table import NgramTable
from textrnn.preparation.dataset import Dataset
from textrnn.training.distributed import ProcessGroup
from textrnn.training.ema import EMA
from textrnn.training.loss import NO_CLASS, make_targets, sum_losses

VALID_TOKENS = 16384  # per batch
_NGRAM_TEMPERATURES = (1e-6, 1e6)  # wide bounds: a large penalty makes the logits of the n-grams very small
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
    ) -> None:
        self.dataset, self.device, self.group = dataset, device, group
        self.model = self._trained = model
        self.ngrams, self._share = ngrams, 0.0 if config is None else config.share
        self.ngram_share, self.ngram_scale = 0.0, 1.0
        self.temperature = 1.0
        self.thresholds: tuple[float, ...] | None = None

    def sync_weights(self, average: EMA | None) -> None:
        """Copy the average of the weights into ``model``; without an average the trained network is validated."""
        if average is not None:
            if self.model is self._trained:
                self.model = copy.deepcopy(self._trained)
            embedding, network = average.read()
            self.model.load_state_dict({"embedding.weight": embedding, **network})

    @torch.no_grad()
    def validate(self, end_batch: Callable[[], None]) -> Validation:
        """Validate the current weights; in single-process training ``end_batch`` is called after each batch."""
        self.model.eval()
        logits: Logits = np.zeros((len(self.dataset.valid), len(self.dataset.labels)), np.float32)
        for number, (rows, batch) in enumerate(sorted_batches(self.dataset.valid, VALID_TOKENS)):
            if number % self.group.size != self.group.rank:
                continue
            logits[rows] = self.model.predict_logits(batch)
            if self.group.size == 1:  # ranks have different numbers of batches
                end_batch()
        return self.evaluate(self._all_reduce(logits))

    def evaluate(self, logits: Logits) -> Validation:
        """Evaluate the network's ``logits`` (B, C) of the validation set.

        Fits the share of the n-grams first, then the temperature, then the thresholds of the calibrated probabilities.
        """
        sets = self.dataset.label_sets
        true: npt.NDArray[Any] = self.dataset.valid.classes
        if sets is not None:
            true = sets.to_multi_hot(true)
        known = true if sets is None else true[:, : logits.shape[1]]
        self.temperature = fit_temperature(logits, known)
        loss = network_loss = self._compute_loss(logits, self.temperature)
        if self._share and self._ngram_logits.any():
            # brought to the network's temperature first, so that a share weighs logits of the same scale
            temperature = fit_temperature(self._ngram_logits, known, bounds=_NGRAM_TEMPERATURES)
            self.ngram_scale = self.temperature / temperature
            others, own = self._ngram_logits * np.float32(self.ngram_scale), np.float32(self.temperature)
            share = self._share
            self.ngram_share = fit_share(logits / own, others / own, known) if share == "auto" else float(share)
            logits = mix(logits, others, self.ngram_share)
            self.temperature = fit_temperature(logits, known)
            loss = self._compute_loss(logits, self.temperature)
        if sets is None:
            return Validation(loss, network_loss, single_label_metrics(true, logits.argmax(axis=1)))
        probabilities = np.exp(to_log_probabilities(logits, self.temperature, multi_label=True))
        thresholds = tune_thresholds(known, probabilities)
        self.thresholds = tuple(thresholds.tolist())
        return Validation(loss, network_loss, multi_label_metrics(true, probabilities >= thresholds))

    @cached_property
    def _ngram_logits(self) -> Logits:
        """The logits (B, C) of the n-grams on the validation set, the same in every epoch."""
        valid = self.dataset.valid
        logits: Logits = np.zeros((len(valid), len(self.dataset.labels)), np.float32)
        if self.ngrams is not None:
            spelling = Spelling.of(self.dataset.tokenizer)
            for rows, batch in sorted_batches(valid, VALID_TOKENS):
                logits[rows] = self.ngrams.forward(batch.ids, batch.offsets, spelling)
        return self._all_reduce(logits)

    def _all_reduce(self, part: Logits) -> Logits:
        """Return the sum of ``part`` over all ranks."""
        if self.group.size == 1:
            return part
        tensor = torch.from_numpy(part).to(self.device)
        self.group.all_reduce([tensor])
        total: Logits = tensor.cpu().numpy()
        return total

    def _compute_loss(self, logits: Logits, temperature: float) -> float:
        """Return the mean loss of ``logits`` (B, C) / ``temperature`` over the texts with a known label."""
        classes, sets = self.dataset.valid.classes, self.dataset.label_sets
        known = np.flatnonzero(classes != NO_CLASS)
        losses = 0.0
        for start in range(0, len(known), _BLOCK):
            rows = known[start : start + _BLOCK]
            targets = make_targets(classes[rows], sets, logits.shape[1])
            calibrated = torch.from_numpy(logits[rows] / np.float32(temperature))
            losses += float(sum_losses(calibrated, torch.from_numpy(targets)))
        return losses / max(1, len(known))
