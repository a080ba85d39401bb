"""The network of a model file, computed without torch."""

from __future__ import annotations

from threading import Lock
from typing import Protocol

import numpy as np

from textrnn.data.batch import PackedBatch
from textrnn.inference import Precision
from textrnn.inference.layers import Packing, make_layer
from textrnn.inference.pooling import Array, pool
from textrnn.serialization.model_file import SavedModel

_TABLE_BYTES = 1 << 27  # at most


class Network(Protocol):
    """What gives texts their scores."""

    batch_tokens: int
    """How many tokens it is best given at once."""

    def forward(self, batch: PackedBatch, *, threads: int) -> Array:
        """Return the logits (B, C) float32 of the texts of ``batch``; may be called by several threads at once."""


class NumpyNetwork:
    """A network in numpy and the C++ library; where there is no library, in numpy alone.

    Raises:
        BackendError: there are no products in ``precision`` here.
    """

    batch_tokens = 2048  # some 8 KB each at the default widths: what a layer has written, the next finds in the cache

    def __init__(self, model: SavedModel, precision: Precision = "float32") -> None:
        self._weights, self._config = model.weights, model.config.model
        self._layers = [
            make_layer(
                {name.removeprefix(prefix): array for name, array in model.weights.items() if name.startswith(prefix)},
                self._config,
                precision,
            )
            for prefix in (f"layers.{index}." for index in range(self._config.layers))
        ]
        self._embedding = model.weights["embedding.weight"]
        self._table: Array | None = None  # what the first layer's projection gives for each piece
        self._untabled = 4 * len(self._embedding) * self._layers[0].width > _TABLE_BYTES
        self._seen = 0  # tokens
        self._lock = Lock()

    def forward(self, batch: PackedBatch, *, threads: int) -> Array:
        """Return the logits (B, C) float32 of the texts of ``batch``."""
        table = self._find_table(len(batch.ids), threads)
        packing = Packing(batch.offsets)
        if table is None:
            x = self._layers[0].run(self._embedding[batch.ids], packing, threads=threads)
        else:
            by_piece = Packing(batch.offsets, np.ascontiguousarray(batch.ids))
            x = self._layers[0].run(self._embedding, by_piece, projected=table, threads=threads)
        for layer in self._layers[1:]:
            x = layer.run(x, packing, threads=threads)
        w, both = self._weights.get("pool.w"), self._config.bidirectional
        pooled = pool(x, batch.offsets, self._config.pooling, w=w, bidirectional=both, threads=threads)
        logits: Array = pooled @ self._weights["head.weight"].T + self._weights["head.bias"]
        return logits

    def _find_table(self, tokens: int, threads: int) -> Array | None:
        """Return the table, which is made once as many ``tokens`` have come by as it has rows, if it is not too large.

        One thread makes it; the others do without until it is there.
        """
        if self._table is None and not self._untabled and self._lock.acquire(blocking=False):
            try:
                self._seen += tokens
                if self._table is None and self._seen >= len(self._embedding):
                    self._table = self._layers[0].project(self._embedding, threads=threads)
            finally:
                self._lock.release()
        return self._table
