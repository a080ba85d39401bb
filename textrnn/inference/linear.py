"""Products with weights that do not change, in the precision that prediction was asked for."""

from __future__ import annotations

from textrnn.errors import BackendError
from textrnn.inference import Precision
from textrnn.ops import prepacked
from textrnn.ops.prepacked import Array

_DTYPES = {"float32": "float32", "bf16": "bfloat16", "int8": "int8"}


def unavailable(precision: Precision) -> str | None:
    """Return in a line why there are no products in ``precision`` here, or None where there are; float32 always is."""
    return None if precision == "float32" else prepacked.missing_isa(_DTYPES[precision])


class Product:
    """A weight (K, N) that rows are multiplied by; it does not change, and several threads may call it at once.

    In ``bf16`` rows and weight are rounded to bfloat16. In ``int8`` each row, and each column of the weight, is rounded
    to multiples of its largest magnitude / 127, and sums are exact.
    """

    def __init__(self, weight: Array, precision: Precision = "float32") -> None:
        """Pack ``weight`` (K, N) float32.

        Raises:
            BackendError: there are no products in ``precision`` here.
            ValueError: no finite float32 matrix, or one of more rows than int8 takes (131,072).
        """
        reason = unavailable(precision)
        if reason is not None:
            raise BackendError(f"precision {precision} is not available: {reason}")
        prepacked.check_weight(weight)
        here = prepacked.missing_isa(_DTYPES[precision]) is None  # float32 is numpy's elsewhere
        self._weight: Array | prepacked.PrepackedWeight = prepacked.pack(weight, _DTYPES[precision]) if here else weight

    def __call__(self, x: Array, *, threads: int) -> Array:
        """Return the product (M, N) float32 of ``x`` (M, K) float32, C-contiguous.

        Where the C++ library computes, an entry is the same to the bit whatever the other rows and ``threads`` are.

        Raises:
            ValueError: another dtype, shape or layout of ``x``.
        """
        if isinstance(self._weight, prepacked.PrepackedWeight):
            return prepacked.multiply(x, self._weight, threads=threads)
        prepacked.check_rows(x, len(self._weight))
        result: Array = x @ self._weight
        return result
