"""The valid pass: the loss and the metrics of a model as it stands, or of the mean of its weights."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch

from textrnn.calibration import Scores, fit_temperature, to_log_probabilities
from textrnn.classifier import Classifier
from textrnn.corpus.batching import PackedBatch, sorted_batches
from textrnn.metrics import score, score_sets
from textrnn.training.averaging import WeightAverage
from textrnn.training.dataset import Dataset
from textrnn.training.ranks import Ranks
from textrnn.training.step import to_device
from textrnn.training.targets import make_targets, sum_losses
from textrnn.training.thresholds import tune_thresholds

VALID_TOKENS = 16384  # of a valid batch


class Judge:
    """Holds what is judged and saved: ``model``, and as it was judged last its ``temperature`` and ``thresholds``.

    There are thresholds where texts have several labels.
    """

    def __init__(self, dataset: Dataset, model: Classifier, *, device: torch.device, ranks: Ranks) -> None:
        self.dataset, self.device, self.ranks = dataset, device, ranks
        self.model = self._trained = model
        self.temperature = 1.0
        self.thresholds: tuple[float, ...] | None = None

    def take(self, average: WeightAverage | None) -> None:
        """Take the weights that are trained, or a copy of their mean where one is kept."""
        if average is not None:
            if self.model is self._trained:
                self.model = copy.deepcopy(self._trained)
            embedding, network = average.read()
            self.model.load_state_dict({"embedding.weight": embedding, **network})

    @torch.no_grad()
    def validate(self, pause: Callable[[], None]) -> tuple[float, dict[str, float]]:
        """Return the mean loss over the valid texts with a known label, and the metrics over all of them.

        The loss is that of the scores as they are, without calibration, as the loss of training is. ``pause`` is called
        after each batch, but where several processes share them.
        """
        self.model.eval()
        valid = self.dataset.valid
        found: Scores = np.zeros((len(valid), len(self.dataset.labels)), np.float32)
        losses = np.zeros(1)
        for number, (rows, batch) in enumerate(sorted_batches(valid, VALID_TOKENS)):
            if number % self.ranks.size != self.ranks.rank:
                continue
            found[rows], loss = self.score(batch)
            losses += loss
            if self.ranks.size == 1:  # the ranks have different numbers of batches
                pause()
        if self.ranks.size > 1:  # elsewhere they need not go to the device, which may have no float64
            parts = [torch.from_numpy(part).to(self.device) for part in (found, losses)]
            self.ranks.add_up(parts)
            found, losses = (part.cpu().numpy() for part in parts)
        known = int((valid.classes >= 0).sum())
        return float(losses[0]) / max(1, known), self.measure(found)

    def measure(self, scores: Scores) -> dict[str, float]:
        """Return the metrics on valid of its ``scores`` (B, C).

        The temperature is fitted first and, where texts have several labels, the thresholds of the probabilities at it.
        """
        valid, sets = self.dataset.valid, self.dataset.sets
        if sets is None:
            self.temperature = fit_temperature(scores, valid.classes)
            return score(valid.classes, scores.argmax(axis=1))
        true = sets.make_matrix(valid.classes)
        known = true[:, : scores.shape[1]]
        self.temperature = fit_temperature(scores, known)
        probabilities = np.exp(to_log_probabilities(scores, self.temperature, several=True))
        thresholds = tune_thresholds(known, probabilities)
        self.thresholds = tuple(thresholds.tolist())
        return score_sets(true, probabilities >= thresholds)

    def score(self, batch: PackedBatch) -> tuple[Scores, float]:
        """Return the scores (B, C) of the texts, and the sum of the losses of those with a known label."""
        targets = make_targets(batch.classes, self.dataset.sets, len(self.dataset.labels))
        ids, offsets, wanted = (to_device(part, self.device) for part in (batch.ids, batch.offsets, targets))
        scores = self.model(ids, offsets)
        return scores.float().cpu().numpy(), float(sum_losses(scores, wanted))
