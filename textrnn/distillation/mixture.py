"""Targets of a student: the teacher's probabilities at a temperature, and the share of true labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import SoftLabels
from textrnn.distillation.characters import Characters
from textrnn.models.calibration import PENALTY, fit_temperature, to_log_probabilities
from textrnn.models.ngram.fitting import fit_ngrams

Probabilities = npt.NDArray[np.float32]

TEMPERATURES, SHARES = (0.5, 1.0, 2.0), (0.0, 0.25, 0.5, 0.75, 1.0)
"""The values that are tried."""
MAX_TEXTS = 5_000
"""Labelled, raw and validation texts, each, that the choice is made on."""
MAX_CHARACTERS = 500
"""Characters of each of them: so the choice takes seconds, and little memory."""

_SEED = 0


@dataclass(frozen=True)
class Mixture:
    """How targets are made: probabilities at ``temperature``, and on labelled rows ``true_share`` of the true label."""

    temperature: float = 1.0
    true_share: float = 0.5

    def soften(self, probabilities: Probabilities) -> Probabilities:
        """Return ``probabilities`` (B, C) to the power of 1 / temperature, with a sum of 1 again."""
        if self.temperature == 1:
            return probabilities
        highest = probabilities.max(axis=1, keepdims=True)  # divided by, so that small ones do not underflow
        raised = (probabilities / highest) ** np.float32(1 / self.temperature)
        softened: Probabilities = raised / raised.sum(axis=1, keepdims=True)
        return softened

    def mix(self, true: Probabilities, teacher: Probabilities | None) -> Probabilities:
        """Return the targets (B, C) of labelled rows, given what is ``true`` (B, C) and the teacher's probabilities.

        They are true_share * true + (1 - true_share) * softened; without ``teacher`` what is true.
        """
        if teacher is None:
            return true
        share = np.float32(self.true_share)
        mixed: Probabilities = share * true + (1 - share) * self.soften(teacher)
        return mixed


@dataclass(frozen=True, eq=False)
class Trial:
    """A small distillation, by which a mixture is chosen.

    ``true`` (L, C) and ``teacher`` (L, C) are those of the labelled ``texts``, ``raw`` (R, C) the teacher's
    probabilities of the ``raw_texts``, and ``valid`` (V,) int64 the classes of the ``valid_texts`` (-1: unknown).
    """

    texts: list[str]
    true: Probabilities
    teacher: Probabilities | None
    raw_texts: list[str]
    raw: Probabilities
    valid_texts: list[str]
    valid: npt.NDArray[np.int64]

    def choose(self, fixed: dict[str, float], *, note: Callable[[str], None]) -> Mixture:
        """Return the mixture with the lowest validation loss of an n-gram model that learns from its targets.

        First the temperature is chosen, then the share; ``fixed`` has those that are given. A value other than the
        default must lower the loss by more than the standard error of the difference.
        """
        best = replace(Mixture(), **fixed)
        if self.teacher is None:
            best = replace(best, true_share=1.0)
        choices = {"temperature": TEMPERATURES, "true_share": SHARES}
        for name in (*fixed, *(() if self.teacher is not None else ("true_share",))):
            choices.pop(name, None)
        if (self.raw.max(axis=1) > 1 - 1e-6).all():  # hard answers have no temperature
            choices.pop("temperature", None)
        if not choices or not (self.valid >= 0).any():
            return best
        measure = self.make_measure()
        losses = measure(best)
        first = losses
        for name, values in choices.items():
            default = losses
            for value in values:
                tried = replace(best, **{name: value})
                found = measure(tried)
                if _is_lower(found, default) and found.mean() < losses.mean():
                    best, losses = tried, found
        change = "" if losses is first else f", valid loss {losses.mean():.4f} instead of {first.mean():.4f}"
        share = "" if self.teacher is None else f", {100 * best.true_share:.0f} % true labels on labelled rows"
        note(f"targets: temperature {best.temperature:g}{share} (chosen with an n-gram model{change})")
        return best

    @property
    def _all_texts(self) -> list[str]:
        return [*self.texts, *self.raw_texts]

    def make_measure(self) -> Callable[[Mixture], npt.NDArray[np.float64]]:
        """Return a function that gives the calibrated loss (V,) of each validation text under a mixture."""
        characters = Characters()
        texts, valid_texts = ([text[:MAX_CHARACTERS] for text in part] for part in (self._all_texts, self.valid_texts))
        batch, valid = characters.encode(texts), characters.encode(valid_texts)
        spelling, C = characters.spelling, self.true.shape[1]
        cache: dict[Mixture, npt.NDArray[np.float64]] = {}

        def measure(mixture: Mixture) -> npt.NDArray[np.float64]:
            if mixture in cache:
                return cache[mixture]
            targets = np.concatenate([mixture.mix(self.true, self.teacher), mixture.soften(self.raw)])
            rows, classes = targets.nonzero()
            soft = SoftLabels(rows, classes, targets[rows, classes])
            table = fit_ngrams(
                batch, spelling, classes=C, targets=targets.argmax(axis=1), find_soft=soft.select, seed=_SEED
            )
            known = self.valid >= 0
            logits = np.zeros((len(self.valid), C), np.float32)
            if table is not None:
                logits = table.forward(valid.ids, valid.offsets, spelling)
            temperature = fit_temperature(logits, self.valid, penalty=PENALTY)
            log_probabilities = to_log_probabilities(logits[known], temperature, multi_label=False)
            cache[mixture] = -log_probabilities[np.arange(known.sum()), self.valid[known]].astype(np.float64)
            return cache[mixture]

        return measure


def _is_lower(losses: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> bool:
    """Return whether the mean of ``losses`` (V,) is lower by more than the standard error of the difference."""
    difference = others - losses
    error = difference.std() / np.sqrt(len(difference))
    return bool(difference.mean() > error)


def sample_rows(count: int) -> npt.NDArray[np.int64]:
    """Return at most ``MAX_TEXTS`` of ``count`` rows, drawn at random, rising."""
    if count <= MAX_TEXTS:
        return np.arange(count)
    return np.sort(np.random.default_rng(_SEED).choice(count, MAX_TEXTS, replace=False))
