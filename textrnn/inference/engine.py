"""From texts to the probabilities of labels, with a saved model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textrnn.corpus.batching import PackedBatch, pack, sorted_batches
from textrnn.inference.cells import Array, Packing, pool, run_layer
from textrnn.modelfile import SavedModel, load_model

_BATCH_TOKENS = 8192  # bounds the memory of a batch: some 6 KB a token and layer at the default widths


@dataclass(frozen=True)
class Prediction:
    """One label and its probability."""

    label: str
    probability: float


class Engine:
    """A model ready to predict."""

    def __init__(self, model: SavedModel) -> None:
        self.labels, self._tokenizer, self._weights = model.labels, model.tokenizer, model.weights
        self._config, self._max_length = model.config.model, model.config.data.max_length
        self._layers = [
            {name.removeprefix(prefix): array for name, array in model.weights.items() if name.startswith(prefix)}
            for prefix in (f"layers.{index}." for index in range(self._config.layers))
        ]

    @classmethod
    def load(cls, path: Path) -> Engine:
        """Load the model file at ``path``, or that of a run folder; raises ModelError where it cannot be used."""
        return cls(load_model(path))

    def predict_log_probabilities(self, texts: Sequence[str]) -> Array:
        """Return the logarithms of the probabilities (B, C) float32 of each text's labels, in the model's order."""
        result = np.empty((len(texts), len(self.labels)), np.float32)
        packed = pack(self._tokenizer.encode_all(texts, max_length=self._max_length))
        for rows, batch in sorted_batches(packed, _BATCH_TOKENS):
            scores = self._score(batch)
            scores -= scores.max(axis=1, keepdims=True)
            result[rows] = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return result

    def predict(self, texts: Sequence[str], *, top_k: int = 1) -> list[list[Prediction]]:
        """Return the ``top_k`` likeliest labels of each text, likeliest first; ties go by the order of the labels."""
        log_probabilities = self.predict_log_probabilities(texts)
        best = np.argsort(-log_probabilities, axis=1, kind="stable")[:, :top_k]
        return [
            [Prediction(self.labels[index], float(np.exp(row[index]))) for index in indices.tolist()]
            for row, indices in zip(log_probabilities, best, strict=True)
        ]

    def _score(self, batch: PackedBatch) -> Array:
        config, weights = self._config, self._weights
        packing = Packing.of(batch.offsets)
        x = weights["embedding.weight"][batch.ids]
        for layer in self._layers:
            x = run_layer(x, packing, layer, config=config)
        pooled = pool(x, batch.offsets, config.pooling, w=weights.get("pool.w"), bidirectional=config.bidirectional)
        scores: Array = pooled @ weights["head.weight"].T + weights["head.bias"]
        return scores
