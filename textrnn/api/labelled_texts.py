"""Labelled text in the memory of a program: texts, with a label or several labels for each."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from textrnn.data.labels import is_label, join_labels, split_labels
from textrnn.data.reading.examples import Example
from textrnn.data.reading.records.number_fields import find_labels, read_distribution, read_number
from textrnn.data.reading.records.selection import Distribution, FaultError
from textrnn.errors import pluralize

WEIGHT = "weight"
"""The key of weights in written text."""
PathLike = str | os.PathLike[str]

_MISSING = ("NAType", "NaTType")  # of pandas


def has_several(label: object) -> bool:
    """Return whether ``label`` is a collection of the labels of a multi-label text."""
    return isinstance(label, list | tuple | set | frozenset)


def make_examples(texts: Iterable[str], labels: Iterable[Any] | None, *, is_score: bool = False) -> list[Example]:
    """Return B examples of ``texts`` with their ``labels``; line numbers count from 1.

    A label is a ``str`` or an ``int``, or a list, tuple or set of these: the labels of a multi-label text. It may also
    be a dict of labels and their probabilities. With ``is_score``, it is a number instead.

    Raises:
        TypeError: an element has another type, or ``labels`` is None.
        ValueError: there are other numbers of labels and texts, none at all, a label is blank or has a tab or a line
            break, or probabilities do not sum to 1.
    """
    if labels is None:
        raise TypeError("labels are missing: give one for each text, or the path of a labelled file as texts")
    checked = check_texts(texts)
    if isinstance(labels, str | bytes | Mapping) or hasattr(labels, "columns"):
        raise TypeError(f"labels should be a list with one for each text, not {type(labels).__name__}")
    listed = [*labels]
    multi_label = any(map(has_several, listed))
    found = [
        (_read_score(place, label), None) if is_score else _read_labels(place, label, multi_label=multi_label)
        for place, label in enumerate(listed)
    ]
    if len(found) != len(checked):
        count = f"{pluralize(len(found), 'label', 'labels')} for {pluralize(len(checked), 'text', 'texts')}"
        raise ValueError(f"{count}: give one for each")
    if not found:
        raise ValueError("there are no texts")
    pairs = enumerate(zip(found, checked, strict=True), start=1)
    return [Example(label, text, number, distribution) for number, ((label, distribution), text) in pairs]


def check_path(path: PathLike, labels: Iterable[Any] | None) -> str:
    """Return the ``path`` of a labelled file as text; raises TypeError if ``labels`` are given too."""
    if labels is not None:
        raise TypeError(f"labels: the file {os.fspath(path)!r} has its own; leave them out, or give a list of texts")
    return os.fspath(path)


def write_examples(
    path: Path, examples: Sequence[Example], *, weights: Sequence[float] | None = None, multi_label: bool
) -> None:
    """Write ``examples`` as JSON Lines, with the keys text and label, and :data:`WEIGHT` with ``weights``."""
    with path.open("w", encoding="utf-8") as file:
        for number, example in enumerate(examples):
            label: object = split_labels(example.label) if multi_label else example.label
            record = {"text": example.text, "label": example.distribution or label}
            record |= {} if weights is None else {WEIGHT: weights[number]}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def check_weights(weights: Iterable[float], B: int) -> list[float]:
    """Return the ``weights`` of B texts as a list; raises ValueError if one is negative or no number."""
    found = [number.item() if hasattr(number, "item") else number for number in weights]
    if len(found) != B:
        raise ValueError(f"{pluralize(len(found), 'weight', 'weights')} for {pluralize(B, 'text', 'texts')}")
    try:
        return [read_number(number, f"weights[{place}]") for place, number in enumerate(found)]
    except FaultError as fault:
        raise ValueError(fault.reason) from None


def check_texts(texts: Iterable[str]) -> list[str]:
    """Return ``texts`` as a list of ``str`` that UTF-8 can encode; raises TypeError for anything else."""
    kind = type(texts).__name__
    if isinstance(texts, str | bytes):
        raise TypeError(f"texts should be a list of str, not one {kind}; write [text] for a single text")
    if hasattr(texts, "columns"):  # pandas, polars, pyarrow
        raise TypeError(f"texts should be one column, such as df['text'], not a whole {kind}")
    if isinstance(texts, Mapping) or not isinstance(texts, Iterable):
        raise TypeError(f"texts should be a list of str, not {kind}")
    if isinstance(texts, Set):
        raise TypeError(f"texts should be a list of str, not {kind}, which has no order")
    if (shape := getattr(texts, "shape", None)) is not None and len(shape) != 1:
        raise TypeError(f"texts should be one column of str, not an array of shape {tuple(shape)}")
    checked: list[Any] = list(texts)
    wrong = [number for number, text in enumerate(checked) if not isinstance(text, str)]
    if wrong:
        first = checked[wrong[0]]
        found = first if isinstance(first, float | None) else type(first).__name__  # NaN and None mark missing texts
        count = f"{len(wrong):,} of {pluralize(len(checked), 'text', 'texts')}"
        raise TypeError(f"texts[{wrong[0]}] should be a str, not {found} ({count}); drop, fill or convert them first")
    return [clean(text) for text in checked]


def _read_labels(place: int, label: Any, *, multi_label: bool) -> tuple[str, Distribution | None]:
    """Return the label, or the labels joined, and their probabilities if ``label`` gives these."""
    if not isinstance(label, Mapping):
        return _read_label(place, label), None
    try:
        pairs = [(_read_label(place, name), number) for name, number in label.items()]
        distribution = read_distribution(pairs, multi_label=multi_label)
    except FaultError as fault:
        raise ValueError(f"labels[{place}]: {fault.reason}") from None
    return join_labels(find_labels(distribution, multi_label=multi_label)), distribution


def _read_score(place: int, score: Any) -> str:
    """Return a score as the text of a file."""
    if hasattr(score, "item") and getattr(score, "ndim", 1) == 0:  # numpy's scalars
        score = score.item()
    try:
        return repr(read_number(score, f"labels[{place}]", least=-math.inf))
    except FaultError as fault:
        raise ValueError(fault.reason) from None


def is_missing(value: object) -> bool:
    """Return whether ``value`` is None, NaN, or what pandas has instead."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or type(value).__name__ in _MISSING


def _read_label(place: int, label: Any) -> str:
    """Return the label, or several joined, as an example has it."""
    if has_several(label):
        return join_labels(sorted(_read_label(place, part) for part in label))
    if hasattr(label, "item") and getattr(label, "ndim", 1) == 0:  # numpy's scalars
        label = label.item()
    if isinstance(label, bool) or not isinstance(label, str | int):
        what = label if is_missing(label) else type(label).__name__
        raise TypeError(f"labels[{place}] should be a str or an int, not {what}")
    name = clean(str(label))
    if not is_label(name):
        raise ValueError(f"labels[{place}] is blank, or contains a tab or line break")
    return name


def clean(text: str) -> str:
    """Return ``text`` with question marks for lone surrogates, which UTF-8 cannot encode."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
