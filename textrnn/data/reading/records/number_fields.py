"""Numbers in records: the weight of a text, and the probabilities of its labels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from textrnn.data.reading.records.selection import Distribution, FaultError
from textrnn.errors import shorten

_NUMBER = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*")
_LARGEST = 3e38  # of float32

SUM_TOLERANCE = 0.01
"""How far the probabilities of a text may be from a sum of 1, for rounded ones."""


def read_number(value: Any, name: str, *, least: float = 0) -> float:
    """Return the number in the field ``name``, which may be text, as the readers of tables and JSON give it.

    Raises:
        FaultError: it is missing, no finite number, or below ``least``.
    """
    value = value.item() if hasattr(value, "item") else value  # numpy's scalars
    if value is None or (isinstance(value, str) and not value.strip()):
        raise FaultError(f"'{shorten(name)}' is missing; write a number")
    is_number = _NUMBER.fullmatch(value) if isinstance(value, str) else type(value) in (int, float)
    try:
        number = float(value) if is_number else math.nan
    except OverflowError:
        number = math.inf
    if is_number and abs(number) > _LARGEST:
        raise FaultError(f"'{shorten(name)}' is larger than numbers can be here, {_LARGEST:.2g}")
    if not math.isfinite(number):
        shown = shorten(str(value)) if isinstance(value, str | float) else type(value).__name__
        raise FaultError(f"'{shorten(name)}' should be a number, not '{shown}'")
    if number < least:
        raise FaultError(f"'{shorten(name)}' is {value}; it cannot be negative")
    return number


def read_distribution(pairs: Iterable[tuple[str, Any]], *, multi_label: bool) -> Distribution:
    """Return the labels with their probabilities, those of a single-label text with a sum of exactly 1.

    Raises:
        FaultError: one is no probability, or the sum is not 1 (multi-label: one is above 1).
    """
    found = {label: read_number(value, label) for label, value in pairs}
    if too_large := next((label for label, p in found.items() if p > 1 + SUM_TOLERANCE), None):
        raise FaultError(f"the probability of '{shorten(too_large)}' is {found[too_large]:g}; it cannot be above 1")
    total = math.fsum(found.values())
    if not multi_label and abs(total - 1) > SUM_TOLERANCE:
        raise FaultError(f"the probabilities of the labels sum to {total:.4g}, not to 1", kind="wrong sum")
    scale = 1.0 if multi_label else 1 / total
    return {label: min(1.0, p * scale) for label, p in found.items() if p}


def find_labels(distribution: Distribution, *, multi_label: bool) -> list[str]:
    """Return the most probable label, the first of equal ones; multi-label: those with at least 0.5."""
    if multi_label:
        return [label for label, p in distribution.items() if p >= 0.5]
    return [max(distribution, key=distribution.__getitem__)]
