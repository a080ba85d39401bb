"""Matrix products with constant weights, in the precision of prediction."""

from __future__ import annotations

from textrnn.errors import BackendError
from textrnn.inference import Precision
from textrnn.ops import prepacked
from textrnn.ops.prepacked import Array

_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8"}


def missing_support(precision: Precision) -> str | None:
    """Return why this machine cannot compute in ``precision``, or None if it can; fp32 is always supported."""
    return None if precision == "fp32" else prepacked.missing_isa(_DTYPES[precision])


def find_isa(precision: Precision) -> str:
    """Return the name of the instructions that compute in ``precision`` here."""
    return prepacked.find_isa(_DTYPES[precision])


class Linear:
    """A product of rows with a constant weight (K, N); threads may call it concurrently.

    bf16 rounds rows and weight to bfloat16. int8 rounds each row, and each column of the weight, to multiples of its
    largest magnitude / 127; the sums are exact.
    """

    def __init__(self, weight: Array, precision: Precision = "fp32") -> None:
        """Prepack ``weight`` (K, N) float32.

        Raises:
            BackendError: this machine does not support ``precision``.
            ValueError: the weight is not a finite float32 matrix, or has more than 131,072 rows in int8.
        """
        reason = missing_support(precision)
        if reason is not None:
            raise BackendError(f"precision {precision} is not available: {reason}")
        prepacked.check_weight(weight)
        dtype = _DTYPES[precision]
        supported = prepacked.missing_isa(dtype) is None  # numpy computes fp32 where the library does not
        self.weight: Array | prepacked.PrepackedWeight = prepacked.pack(weight, dtype) if supported else weight

    def __call__(self, x: Array, *, threads: int) -> Array:
        """Return the product (M, N) float32 of ``x`` (M, K) float32, C-contiguous.

        With the C++ library, an entry has the same bits whatever the other rows and ``threads`` are.

        Raises:
            ValueError: ``x`` has another dtype, shape or layout.
        """
        if isinstance(self.weight, prepacked.PrepackedWeight):
            return prepacked.multiply(x, self.weight, threads=threads)
        prepacked.check_rows(x, len(self.weight))
        result: Array = x @ self.weight
        return result
