"""From texts to the probabilities of labels, with a saved model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Ids, pack_ids
from textrnn.data.sampler import sorted_batches
from textrnn.inference import Precision
from textrnn.inference.network import Network, NumpyNetwork
from textrnn.inference.pooling import Array
from textrnn.models.calibration import mix, to_log_probabilities
from textrnn.models.ngram.features import Spelling
from textrnn.native import library
from textrnn.serialization.model_file import SavedModel, load_model


@dataclass(frozen=True)
class Prediction:
    """One label and its probability."""

    label: str
    probability: float


class Engine:
    """A model ready to predict.

    ``thresholds`` (C,) are those of a model that gives a text several labels (None: it gives one), and ``separator`` is
    what its training text had between them. Scores are divided by ``temperature`` before they become probabilities.

    ``network`` (None: a :class:`NumpyNetwork`) computes the scores. Methods may be called by several threads at once.
    Texts are ``str``, or ``bytes`` of valid UTF-8; ``threads`` says how many to compute with (None:
    :func:`textrnn.native.library.default_threads`) and changes no result; other texts change one by rounding at most.
    """

    def __init__(self, model: SavedModel, network: Network | None = None) -> None:
        self.labels, self.tokenizer = model.labels, model.tokenizer
        self._max_length = model.config.data.max_length
        self.thresholds = None if model.thresholds is None else np.array(model.thresholds)
        self.temperature = model.temperature
        self._ngrams, self._ngram_share = model.ngrams, model.ngram_share
        self._spelling = None if model.ngrams is None else Spelling.of(model.tokenizer)
        self.separator = model.config.data.label_separator
        self._network = network or NumpyNetwork(model)

    @classmethod
    def load(cls, path: Path, *, precision: Precision = "float32") -> Engine:
        """Load the model file at ``path``, or that of a run folder.

        Raises:
            ModelError: it cannot be used.
            BackendError: there are no products in ``precision`` here.
        """
        model = load_model(path)
        return cls(model, NumpyNetwork(model, precision))

    def predict_log_probabilities(self, texts: Sequence[str] | Sequence[bytes], *, threads: int | None = None) -> Array:
        """Return the logarithms of the probabilities (B, C) float32 of each text's labels, in the model's order.

        They are probabilities of labels that exclude each other or, where a text has several, of each by itself.
        """
        return self.to_log_probabilities(self.predict_logits(texts, threads=threads))

    def to_log_probabilities(self, logits: Array, *, temperature: float | None = None) -> Array:
        """Return the logarithms of the probabilities (B, C) that the ``logits`` (B, C) say.

        The temperature is the model's own or, where it is said, ``temperature``: 1.0 gives the uncalibrated ones.
        """
        wanted = self.temperature if temperature is None else temperature
        return to_log_probabilities(logits, wanted, several=self.thresholds is not None)

    def predict_logits(self, texts: Sequence[str] | Sequence[bytes], *, threads: int | None = None) -> Array:
        """Return the logits (B, C) float32 of each text's labels, before temperature and softmax or sigmoid."""
        return self.forward_ids(*self.encode(texts), threads=threads)

    def encode(self, texts: Sequence[str] | Sequence[bytes]) -> tuple[Ids, npt.NDArray[np.int64]]:
        """Return the ids of the texts end to end (N,) int32, and the length of each (B,) int64, 1 at least."""
        return self.tokenizer.encode_packed(texts, max_length=self._max_length)

    def forward_ids(self, ids: Ids, lengths: npt.NDArray[np.int64], *, threads: int | None = None) -> Array:
        """Return the logits (B, C) float32 of texts of which :meth:`encode` has made, or could make, ``ids``."""
        threads = threads or library.default_threads()
        packed = pack_ids(ids, lengths)
        logits = np.empty((len(packed), len(self.labels)), np.float32)
        for rows, batch in sorted_batches(packed, self._network.batch_tokens):
            logits[rows] = self._network.forward(batch, threads=threads)
        if self._ngrams is None or self._spelling is None:
            return logits
        ngram_logits = self._ngrams.forward(packed.ids, packed.offsets, self._spelling, threads=threads)
        return mix(logits, ngram_logits, self._ngram_share)

    def predict(
        self,
        texts: Sequence[str] | Sequence[bytes],
        *,
        top_k: int | None = None,
        threshold: float | None = None,
        threads: int | None = None,
    ) -> list[list[Prediction]]:
        """Return labels of each text, likeliest first; ties go by the order of the labels.

        A model of one label gives the ``top_k`` likeliest (None: one). A model of several gives those whose
        probability is at least their threshold; or the ``top_k`` likeliest; or those, and of them ``top_k`` at most,
        whose probability is at least ``threshold``.
        """
        if self.thresholds is None:
            top_k = top_k or 1
        if threshold is None and top_k is not None:
            threshold = 0.0  # the likeliest, however unlikely they are
        log_probabilities = self.predict_log_probabilities(texts, threads=threads)
        best = np.argsort(-log_probabilities, axis=1, kind="stable")[:, :top_k]
        given = np.take_along_axis(self.find_given(log_probabilities, threshold=threshold), best, axis=1)
        return [
            [Prediction(self.labels[index], float(np.exp(row[index]))) for index in indices[passes].tolist()]
            for row, indices, passes in zip(log_probabilities, best, given, strict=True)
        ]

    def find_given(self, log_probabilities: Array, *, threshold: float | None = None) -> npt.NDArray[np.bool_]:
        """Return which labels (B, C) have at least the probability ``threshold`` (None: each its own)."""
        wanted = self.thresholds if threshold is None else threshold
        assert wanted is not None
        given: npt.NDArray[np.bool_] = np.exp(log_probabilities) >= wanted
        return given
