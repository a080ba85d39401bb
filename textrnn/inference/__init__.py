"""Prediction by a model file, numpy and the C++ library; no torch."""

from typing import Literal, cast, get_args

OutputFormat = Literal["tsv", "jsonl", "label", "probabilities"]
Precision = Literal["fp32", "bf16", "int8"]
RecordFormat = Literal["tsv", "csv", "jsonl"]

UNKNOWN = "unknown"
"""The default of the label that replaces those below a threshold of confidence."""


def parse_precision(name: str) -> Precision:
    """Return the precision called ``name``; ``float32`` is accepted for ``fp32``.

    Raises:
        ValueError: there is no such precision.
    """
    name = "fp32" if name == "float32" else name
    if name not in get_args(Precision):
        raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, not {name!r}")
    return cast("Precision", name)
