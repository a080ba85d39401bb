"""Prediction of label probabilities for texts, by a saved model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Ids, PackedBatch, Rows, pack_ids
from textrnn.data.sampler import sorted_batches
from textrnn.data.windows import Windows
from textrnn.inference import Precision
from textrnn.inference.network import Network, NumpyNetwork
from textrnn.inference.pooling import Array
from textrnn.models.calibration import mix, to_log_probabilities
from textrnn.models.cascade import measure_margins
from textrnn.models.ngram.features import Spelling
from textrnn.native import library
from textrnn.serialization.model_file import SavedModel, load_model
from textrnn.tokenization.window_encoding import encode_window_pieces, encode_windows


@dataclass(frozen=True)
class Prediction:
    """One label and its probability."""

    label: str
    probability: float


def round_score(score: float) -> float:
    """Return ``score`` with six significant digits, as commands print it."""
    return float(f"{score:.6g}")


def replace_unknown(
    predictions: list[Prediction], minimum: float | Mapping[str, float], unknown_label: str
) -> list[Prediction]:
    """Return the ``predictions`` of one text, with ``unknown_label`` for the first if its probability is too low.

    ``minimum`` is the lowest sufficient probability, of any label or by label (labels that it lacks: 0).
    """
    if not predictions:
        return predictions
    first, *rest = predictions
    least = minimum if isinstance(minimum, float) else minimum.get(first.label, 0.0)
    return [replace(first, label=unknown_label), *rest] if first.probability < least else predictions


class Engine:
    """A model ready to predict.

    ``model`` is what it was made from. ``thresholds`` (C,) are those of a multi-label model, else None; ``separator``
    separated the labels of its training set. Logits are divided by ``temperature`` before softmax or sigmoid.
    ``network`` (None: :class:`NumpyNetwork`) computes the logits. Texts whose margin of the n-gram model alone
    (:class:`textrnn.models.cascade.Cascade`) reaches ``margin`` skip the network (None: no text does).
    ``confidence_thresholds`` are the probabilities below which a label of a single-label model is not to be trusted, by
    label, if the model has such; no method applies them. ``anchors`` (C,) float64 are the scores that the labels of a
    model of scores stand for, else None.

    The network reads ``windows`` of long texts, and its logits and vectors are the mean over those of a text. The
    n-grams are those of all that is read of a text.

    Threads may call the methods concurrently. Texts are ``str``, or ``bytes`` of valid UTF-8. ``threads`` is the number
    of threads that compute (None: :func:`textrnn.native.library.default_threads`). It never changes a result; other
    texts of a call change it only by rounding.
    """

    def __init__(self, model: SavedModel, network: Network | None = None, margin: float | None = None) -> None:
        self.model = model
        self.labels, self.tokenizer = model.labels, model.tokenizer
        self.windows = Windows.of(model.config.data)
        self.thresholds = None if model.thresholds is None else np.array(model.thresholds)
        self.temperature = model.temperature
        self._ngrams, self._ngram_share = model.ngrams, model.ngram_share
        self.cascade, self.margin = model.cascade, margin
        self._spelling = None if model.ngrams is None else Spelling.of(model.tokenizer)
        self.separator = model.config.data.label_separator
        self.data_config = model.config.data
        thresholds = model.confidence_thresholds or ()
        self.confidence_thresholds = dict(zip(model.labels, thresholds, strict=bool(thresholds)))
        is_score = model.config.data.target == "score"
        self.anchors = np.array(model.labels, np.float64) if is_score else None
        self._network = network or NumpyNetwork(model)

    @property
    def has_ngrams(self) -> bool:
        """True if the model has an n-gram model beside the network."""
        return self._ngrams is not None

    def __reduce__(self) -> tuple[type[Engine], tuple[SavedModel, Network, float | None]]:
        """Pickle what it was made from; the model travels as the bytes of its file."""
        return Engine, (self.model, self._network, self.margin)

    @classmethod
    def load(cls, path: Path, *, precision: Precision = "fp32") -> Engine:
        """Load the model file at ``path``, or the one in that run folder.

        Raises:
            ModelError: the model is missing or damaged.
            BackendError: this machine does not support ``precision``.
        """
        model = load_model(path)
        return cls(model, NumpyNetwork(model, precision))

    def predict_log_probabilities(self, texts: Sequence[str] | Sequence[bytes], *, threads: int | None = None) -> Array:
        """Return the log probabilities (B, C) float32 of each text's labels, in the order of :attr:`labels`.

        The probabilities of a text add up to 1, except in a multi-label model, where labels are independent.
        """
        return self.to_log_probabilities(self.predict_logits(texts, threads=threads))

    def to_log_probabilities(self, logits: Array, *, temperature: float | None = None) -> Array:
        """Return the log probabilities (B, C) of ``logits`` (B, C).

        ``temperature`` replaces that of the model; 1.0 gives uncalibrated probabilities.
        """
        temperature = self.temperature if temperature is None else temperature
        return to_log_probabilities(logits, temperature, multi_label=self.thresholds is not None)

    def predict_logits(self, texts: Sequence[str] | Sequence[bytes], *, threads: int | None = None) -> Array:
        """Return the logits (B, C) float32 of each text's labels, before temperature and softmax or sigmoid."""
        return self.forward_ids(*self.encode(texts), threads=threads)

    def predict_scores(
        self, texts: Sequence[str] | Sequence[bytes], *, threads: int | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the score (B,) of each text, by a model of scores: the mean of the anchors by their probabilities."""
        assert self.anchors is not None
        return self.to_scores(self.predict_log_probabilities(texts, threads=threads))

    def to_scores(self, log_probabilities: Array) -> npt.NDArray[np.float64]:
        """Return the scores (B,) of ``log_probabilities`` (B, C), by a model of scores."""
        assert self.anchors is not None
        scores: npt.NDArray[np.float64] = np.exp(log_probabilities) @ self.anchors
        return scores

    def encode(self, texts: Sequence[str] | Sequence[bytes]) -> tuple[Ids, npt.NDArray[np.int64]]:
        """Return the ids that are read, end to end (N,) int32, and how many of each text (B,) int64, at least 1."""
        return encode_windows(self.tokenizer, texts, self.windows)

    def encode_pieces(self, text: str) -> list[str]:
        """Return the pieces of the ids that :meth:`encode` gives for ``text``; empty text has none."""
        return encode_window_pieces(self.tokenizer, text, self.windows)

    def forward_ids(self, ids: Ids, lengths: npt.NDArray[np.int64], *, threads: int | None = None) -> Array:
        """Return the logits (B, C) float32 of texts encoded as by :meth:`encode`.

        With a ``margin``, those of the n-grams alone are scaled: divided by the temperature of the model, they give the
        probabilities of the n-gram model's own temperature.
        """
        threads = threads or library.default_threads()
        packed = pack_ids(ids, lengths)
        if self._ngrams is None or self._spelling is None:
            return self._forward_network(packed, threads=threads)
        ngram_logits = self._ngrams.forward(packed.ids, packed.offsets, self._spelling, threads=threads)
        if self._ngram_share == 1:  # the network has no weight
            return ngram_logits
        if self.margin is None or self.cascade is None:
            return mix(self._forward_network(packed, threads=threads), ngram_logits, self._ngram_share)
        rest = np.flatnonzero(measure_margins(ngram_logits, self.cascade.temperature) < np.float32(self.margin))
        logits: Array = ngram_logits * np.float32(self.temperature / self.cascade.temperature)
        network_logits = self._forward_network(packed, rows=rest, threads=threads)
        logits[rest] = mix(network_logits, ngram_logits[rest], self._ngram_share)
        return logits

    def _forward_network(self, packed: PackedBatch, *, rows: Rows | None = None, threads: int) -> Array:
        """Return the network's logits of all texts, or of ``rows`` alone."""
        if rows is None and len(packed) == 1 and len(packed.ids) <= self.windows.size:
            # sorting and copying it would take a tenth of the time
            return self._network.forward(packed, threads=threads)
        texts = self.windows.split(packed, rows)
        logits = np.empty((len(texts), len(self.labels)), np.float32)
        for places, batch in sorted_batches(texts, self._network.batch_tokens):
            logits[places] = self._network.forward(batch, threads=threads)
        return texts.average(logits)

    def embed(self, texts: Sequence[str] | Sequence[bytes], *, threads: int | None = None) -> Array:
        """Return the vectors (B, W) float32 of the texts: the pooled states of the network, before the output layer.

        ``W`` is :attr:`width`. The n-grams have no part in it.
        """
        assert isinstance(self._network, NumpyNetwork)
        windows, threads = self.windows.split(pack_ids(*self.encode(texts))), threads or library.default_threads()
        vectors = np.empty((len(windows), self.width), np.float32)
        for places, batch in sorted_batches(windows, self._network.batch_tokens):
            vectors[places] = self._network.embed(batch, threads=threads)
        return windows.average(vectors)

    @property
    def width(self) -> int:
        """The number of columns of :meth:`embed`."""
        return int(self.model.weights["head.weight"].shape[1])

    @property
    def is_network_used(self) -> bool:
        """False if the n-grams have all the weight."""
        return self._ngrams is None or self._ngram_share < 1

    def predict(
        self,
        texts: Sequence[str] | Sequence[bytes],
        *,
        top_k: int | None = None,
        threshold: float | None = None,
        threads: int | None = None,
    ) -> list[list[Prediction]]:
        """Return the labels of each text, likeliest first; equal probabilities keep the order of the labels.

        A single-label model returns the ``top_k`` likeliest labels (None: 1). A multi-label model returns the labels
        with at least the probability ``threshold`` (None: the threshold of each label), at most ``top_k``. With
        ``top_k`` alone it returns that many, whatever their probability.
        """
        log_probabilities = self.predict_log_probabilities(texts, threads=threads)
        return self.rank_labels(log_probabilities, top_k=top_k, threshold=threshold)

    def rank_labels(
        self, log_probabilities: Array, *, top_k: int | None = None, threshold: float | None = None
    ) -> list[list[Prediction]]:
        """Return the labels of each text by its ``log_probabilities`` (B, C), as :meth:`predict` does."""
        if self.thresholds is None:
            top_k = top_k or 1
        if threshold is None and top_k is not None:
            threshold = 0.0
        best = np.argsort(-log_probabilities, axis=1, kind="stable")[:, :top_k]
        assigned = np.take_along_axis(self.assign_labels(log_probabilities, threshold=threshold), best, axis=1)
        return [
            [Prediction(self.labels[index], float(np.exp(row[index]))) for index in indices[passes].tolist()]
            for row, indices, passes in zip(log_probabilities, best, assigned, strict=True)
        ]

    def assign_labels(self, log_probabilities: Array, *, threshold: float | None = None) -> npt.NDArray[np.bool_]:
        """Return which labels (B, C) have at least the probability ``threshold`` (None: that of each label)."""
        minimum = self.thresholds if threshold is None else threshold
        assert minimum is not None
        assigned: npt.NDArray[np.bool_] = np.exp(log_probabilities) >= minimum
        return assigned
