"""The recurrent layers and the pooling of an SRU network in one call of the C++ library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from textrnn.config import ModelConfig
from textrnn.inference.layers import SRU, Ids, Layer
from textrnn.inference.pooling import NORM_EPSILON, Array
from textrnn.native import functions
from textrnn.ops.time_major import Index

_OUTPUTS = {"attention": "attended", "max": "largest", "mean": "mean", "last": "last"}


class SruNetwork:
    """SRU layers whose weights are all prepacked, with the pooling of ``config``."""

    def __init__(self, layers: Sequence[SRU], weights: Mapping[str, Array], config: ModelConfig) -> None:
        self._layers = layers  # they own the memory that the structs point to
        self._structs = np.frombuffer(b"".join(layer.pack() for layer in layers), np.uint8)
        self._w, self._parts = weights.get("pool.w"), config.pooling.split("+")
        self._width, self._alpha = config.hidden * (2 if config.bidirectional else 1), layers[0].alpha

    def pool(self, embedding: Array, projected: Array | None, *, ids: Ids, offsets: Index, threads: int) -> Array:
        """Return the pooled states (B, width) of texts of ``ids`` (N,) with ``offsets`` (B+1,).

        ``projected`` (V, U) has the projections of the rows of ``embedding`` (V, D), if they are known.

        Raises:
            MemoryError: there is not enough memory.
        """
        parts = {_OUTPUTS[part]: np.empty((len(offsets) - 1, self._width), np.float32) for part in self._parts}
        functions.sru_network(
            embedding=embedding,
            projected=projected,
            ids=ids,
            offsets=offsets,
            layers=self._structs,
            w=self._w,
            **parts,
            alpha=float(self._alpha),
            epsilon=float(NORM_EPSILON),
            threads=threads,
        )
        return np.concatenate([*parts.values()], axis=1)


def make_network(layers: Sequence[Layer], weights: Mapping[str, Array], config: ModelConfig) -> SruNetwork | None:
    """Return the network of ``layers``, or None if one is not an SRU with a prepacked weight."""
    prepacked = [layer for layer in layers if isinstance(layer, SRU) and layer.is_prepacked]
    return SruNetwork(prepacked, weights, config) if len(prepacked) == len(layers) else None
