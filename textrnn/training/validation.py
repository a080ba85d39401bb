"""The valid pass: the loss and the metrics of a model as it stands, or of the mean of its weights."""

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
from textrnn.data.batch import PackedBatch
from textrnn.data.sampler import sorted_batches
from textrnn.evaluation.metrics import score, score_multi_label
from textrnn.evaluation.thresholds import tune_thresholds
from textrnn.models.calibration import Logits, fit_share, fit_temperature, mix, to_log_probabilities
from textrnn.models.classifier import Classifier
from textrnn.models.ngram.features import Spelling
from textrnn.models.ngram.table import NgramTable
from textrnn.preparation.dataset import Dataset
from textrnn.training.distributed import ProcessGroup
from textrnn.training.ema import EMA
from textrnn.training.loss import NO_CLASS, make_targets, sum_losses
from textrnn.training.train_step import to_device

VALID_TOKENS = 16384  # of a valid batch
_ANY_TEMPERATURE = (1e-6, 1e6)  # of n-grams, whose penalty may make their scores as small as it likes
_TEXTS = 1 << 14  # whose losses are computed together


@dataclass(frozen=True)
class Validation:
    """What is found on valid: mean losses over the texts with a known label, and the metrics over all texts.

    All are those of what would be saved now, n-grams and temperature in it, so that the loss tells of no more than what
    is wrong; ``network_loss`` is that of the network without n-grams, at a temperature of its own.
    """

    loss: float
    network_loss: float
    metrics: dict[str, float]


class Validator:
    """Holds what is judged and saved, as it was judged last.

    That is ``model``; what the scores of its n-gram branch are multiplied with (``ngram_scale``), and the share that
    they have then (``ngram_share``); the ``temperature``; and where texts have several labels their ``thresholds``.
    Of several ranks the first has the branch.
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

    def take(self, average: EMA | None) -> None:
        """Take the weights that are trained, or a copy of their mean where one is kept."""
        if average is not None:
            if self.model is self._trained:
                self.model = copy.deepcopy(self._trained)
            embedding, network = average.read()
            self.model.load_state_dict({"embedding.weight": embedding, **network})

    @torch.no_grad()
    def validate(self, pause: Callable[[], None]) -> Validation:
        """Evaluate the current weights; ``pause`` is called after each batch in single-process training."""
        self.model.eval()
        found: Logits = np.zeros((len(self.dataset.valid), len(self.dataset.labels)), np.float32)
        for number, (rows, batch) in enumerate(sorted_batches(self.dataset.valid, VALID_TOKENS)):
            if number % self.group.size != self.group.rank:
                continue
            found[rows] = self.forward(batch)
            if self.group.size == 1:  # the ranks have different numbers of batches
                pause()
        return self.measure(self._add_up(found))

    def forward(self, batch: PackedBatch) -> Logits:
        """Return the network's logits (B, C) of the texts."""
        ids, offsets = (to_device(part, self.device) for part in (batch.ids, batch.offsets))
        logits: Logits = self.model(ids, offsets).float().cpu().numpy()
        return logits

    def measure(self, logits: Logits) -> Validation:
        """Evaluate the network's ``logits`` (B, C) of valid.

        The share of the n-grams is fitted first, then the temperature and, where texts have several labels, the
        thresholds of the probabilities at it.
        """
        sets = self.dataset.sets
        true: npt.NDArray[Any] = self.dataset.valid.classes
        if sets is not None:
            true = sets.make_matrix(true)
        known = true if sets is None else true[:, : logits.shape[1]]
        self.temperature = fit_temperature(logits, known)
        loss = network_loss = self._measure_loss(logits, self.temperature)
        if self._share and self._ngram_scores.any():
            # at the network's temperature, so that a share is one of scores that say as much
            self.ngram_scale = self.temperature / fit_temperature(self._ngram_scores, known, bounds=_ANY_TEMPERATURE)
            wide, own = self._ngram_scores * np.float32(self.ngram_scale), np.float32(self.temperature)
            share = self._share
            self.ngram_share = fit_share(logits / own, wide / own, known) if share == "auto" else float(share)
            logits = mix(logits, wide, self.ngram_share)
            self.temperature = fit_temperature(logits, known)
            loss = self._measure_loss(logits, self.temperature)
        if sets is None:
            return Validation(loss, network_loss, score(true, logits.argmax(axis=1)))
        probabilities = np.exp(to_log_probabilities(logits, self.temperature, multi_label=True))
        thresholds = tune_thresholds(known, probabilities)
        self.thresholds = tuple(thresholds.tolist())
        return Validation(loss, network_loss, score_multi_label(true, probabilities >= thresholds))

    @cached_property
    def _ngram_scores(self) -> Logits:
        """The logits (B, C) of the n-grams on valid, which stay as they are."""
        valid = self.dataset.valid
        found: Logits = np.zeros((len(valid), len(self.dataset.labels)), np.float32)
        if self.ngrams is not None:
            spelling = Spelling.of(self.dataset.tokenizer)
            for rows, batch in sorted_batches(valid, VALID_TOKENS):
                found[rows] = self.ngrams.forward(batch.ids, batch.offsets, spelling)
        return self._add_up(found)

    def _add_up(self, part: Logits) -> Logits:
        """Return the sum of what the ranks have."""
        if self.group.size == 1:
            return part
        tensor = torch.from_numpy(part).to(self.device)
        self.group.add_up([tensor])
        added: Logits = tensor.cpu().numpy()
        return added

    def _measure_loss(self, logits: Logits, temperature: float) -> float:
        """Return the mean loss of ``logits`` (B, C), divided by ``temperature``, over the texts with a known label."""
        classes, sets = self.dataset.valid.classes, self.dataset.sets
        known = np.flatnonzero(classes != NO_CLASS)
        losses = 0.0
        for start in range(0, len(known), _TEXTS):
            rows = known[start : start + _TEXTS]
            targets = make_targets(classes[rows], sets, logits.shape[1])
            calibrated = torch.from_numpy(logits[rows] / np.float32(temperature))
            losses += float(sum_losses(calibrated, torch.from_numpy(targets)))
        return losses / max(1, len(known))
