"""The network of a model file, computed without torch."""

from __future__ import annotations

import os
from threading import get_ident
from typing import Protocol

import numpy as np

from textrnn.data.batch import PackedBatch
from textrnn.inference import Precision
from textrnn.inference.layers import Packing, make_layer
from textrnn.inference.linear import Linear
from textrnn.inference.pooling import Array, pool
from textrnn.inference.sru_network import make_network
from textrnn.serialization.model_file import SavedModel

_MAX_TABLE_BYTES = 1 << 27


class Network(Protocol):
    """Computes the logits of texts."""

    batch_tokens: int
    """The best batch size in tokens."""

    def forward(self, batch: PackedBatch, *, threads: int) -> Array:
        """Return the logits (B, C) float32 of the texts of ``batch``; threads may call it concurrently."""


class NumpyNetwork:
    """A network computed by the C++ library, or by numpy if the library is missing.

    After enough tokens, the projections of the first layer are looked up in a table over the vocabulary.

    Raises:
        BackendError: this machine does not support ``precision``.
    """

    def __init__(self, model: SavedModel, precision: Precision = "fp32") -> None:
        self._model, self._precision = model, precision
        self._weights, self._config = model.weights, model.config.model
        self._layers = [
            make_layer(
                {name.removeprefix(prefix): array for name, array in model.weights.items() if name.startswith(prefix)},
                self._config,
                precision,
            )
            for prefix in (f"layers.{index}." for index in range(self._config.layers))
        ]
        self._fused = make_network(self._layers, model.weights, self._config)
        # layer by layer, the 8 KB of rows that a token has should stay in the third-level cache; in one call, a batch
        # only has to feed all threads
        self.batch_tokens = 2048 if self._fused is None else 1 << 16
        # not numpy's product: OpenBLAS can stop a process that forks while another thread multiplies
        self._head = Linear(np.ascontiguousarray(model.weights["head.weight"].T))
        self._embedding = model.weights["embedding.weight"]
        self._table: Array | None = None  # projections of the first layer for each piece
        self._table_too_large = 4 * len(self._embedding) * self._layers[0].width > _MAX_TABLE_BYTES
        self._seen = 0  # tokens; a race between threads loses a few, which does no harm
        self._builder: dict[int, int] = {}  # the thread that builds the table, by process: a fork copies no threads

    def __reduce__(self) -> tuple[type[NumpyNetwork], tuple[SavedModel, Precision]]:
        """Pickle what it was made from: prepacked weights fit the processors of one machine."""
        return NumpyNetwork, (self._model, self._precision)

    def forward(self, batch: PackedBatch, *, threads: int) -> Array:
        """Return the logits (B, C) float32 of the texts of ``batch``."""
        return self._head(self.embed(batch, threads=threads), threads=threads) + self._weights["head.bias"]

    def embed(self, batch: PackedBatch, *, threads: int) -> Array:
        """Return the pooled states (B, W) float32 of the texts of ``batch``, the input of the output layer."""
        table = self._project_vocabulary(len(batch.ids), threads)
        if self._fused is not None:
            ids = np.ascontiguousarray(batch.ids)
            return self._fused.pool(self._embedding, table, ids=ids, offsets=batch.offsets, threads=threads)
        packing = Packing(batch.offsets)
        if table is None:
            x = self._layers[0].forward(self._embedding[batch.ids], packing, threads=threads)
        else:
            by_piece = Packing(batch.offsets, np.ascontiguousarray(batch.ids))
            x = self._layers[0].forward(self._embedding, by_piece, projected=table, threads=threads)
        for layer in self._layers[1:]:
            x = layer.forward(x, packing, threads=threads)
        w, both = self._weights.get("pool.w"), self._config.bidirectional
        return pool(x, batch.offsets, self._config.pooling, w=w, bidirectional=both, threads=threads)

    def _project_vocabulary(self, tokens: int, threads: int) -> Array | None:
        """Return the table, or None while too few tokens were seen to justify it, or if it would be too large.

        One thread builds it; the others compute without it until it is ready.
        """
        if self._table is not None or self._table_too_large:
            return self._table
        self._seen += tokens
        process, thread = os.getpid(), get_ident()
        if self._seen >= len(self._embedding) and self._builder.setdefault(process, thread) == thread:
            try:
                self._table = self._layers[0].project(self._embedding, threads=threads)
            finally:
                del self._builder[process]
        return self._table
