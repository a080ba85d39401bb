"""Answers of an LLM or any other tool about raw text: a label or probabilities on each line, or nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.reading.io import Note, decode, read_file
from textrnn.data.reading.records.number_fields import read_distribution, read_number
from textrnn.data.reading.records.selection import Distribution, FaultError
from textrnn.errors import DataError, shorten

_LABEL, _PROBABILITY, _PROBABILITIES, _TOP = "label", "probability", "probabilities", "top"
_SHOWN = 5  # labels in messages


def read_answers(path: str, labels: Sequence[str], *, note: Note) -> Iterator[npt.NDArray[np.float32] | None]:
    """Yield the probabilities (C,) float32 of ``labels`` on each line of ``path``; None for a line without an answer.

    A line is empty, a label, JSON, or what ``textrnn predict`` writes: ``label<TAB>probability`` and more such pairs,
    or with ``--format probabilities`` those of all labels. JSON is null, a label, an object of labels and
    probabilities, or an object that has them, or null, under ``probabilities`` or ``label``. If the probabilities of
    only some labels are given, as ``label`` and ``probability`` or as ``top``, the other labels share the rest evenly.

    Raises:
        DataError: a line is none of these, has an unknown label or one twice, or its probabilities do not sum to 1.
    """
    columns = {label: column for column, label in enumerate(labels)}
    number = 0
    for chunk in read_file(path, note=note):
        for number, line in enumerate(decode(chunk).split("\n"), start=number + 1):  # noqa: B020 - goes on counting
            try:
                found = _parse(line.removesuffix("\r"), columns)
            except FaultError as fault:
                raise DataError(path, number, fault.reason) from None
            yield found


def _parse(line: str, columns: Mapping[str, int]) -> npt.NDArray[np.float32] | None:
    if not (text := line.strip()):
        return None
    if text not in columns and (text[0] in '{["' or text == "null"):
        try:
            value = _JSON.decode(text)
        except (ValueError, RecursionError):
            raise FaultError("not JSON; write an object of labels and probabilities on one line") from None
        distribution = _read_value(value, columns)
        return None if distribution is None else _fill(distribution, columns)
    fields = line.split("\t")
    if len(fields) == 1:
        return _fill({text: 1.0}, columns)
    numbers = [_is_number(field) for field in fields]
    are_pairs = len(fields) % 2 == 0 and all(numbers[1::2]) and all(label in columns for label in fields[::2])
    if all(numbers) and len(fields) == len(columns):
        if are_pairs:
            raise FaultError("labels and probabilities are both numbers; write JSON: predict --format jsonl")
        return _fill(read_distribution(zip(columns, fields, strict=True), multi_label=False), columns)
    if len(fields) % 2 or not all(numbers[1::2]):
        raise FaultError(f"has {len(fields)} fields; write a label, label<TAB>probability, or JSON")
    return _fill(_spread(zip(fields[::2], fields[1::2], strict=True), columns), columns)


def _read_value(value: Any, columns: Mapping[str, int]) -> Distribution | None:
    """Return the distribution of a JSON value, whose numbers are text; None if it is null."""
    if value is None:
        return None
    if isinstance(value, str):
        return {value: 1.0}
    if not isinstance(value, dict) or not value:
        raise FaultError("should be a label, or an object of labels and probabilities")
    own = [name for name in (_PROBABILITIES, _TOP, _LABEL) if name in value and name not in columns]
    if not own:
        return read_distribution(value.items(), multi_label=False)
    found = value[own[0]]
    if found is None:
        return None
    if own[0] == _PROBABILITIES and isinstance(found, dict) and found:
        return read_distribution(found.items(), multi_label=False)
    if own[0] == _TOP and isinstance(found, list) and all(isinstance(pair, dict) for pair in found):
        return _spread([(str(pair.get(_LABEL)), pair.get(_PROBABILITY, 1.0)) for pair in found], columns)
    if own[0] == _LABEL and isinstance(found, str):
        return _spread([(found, value.get(_PROBABILITY, 1.0))], columns)
    if own[0] == _LABEL and isinstance(found, dict) and found:
        return read_distribution(found.items(), multi_label=False)
    raise FaultError(f"'{own[0]}' should hold a label, or an object of labels and probabilities")


def _spread(pairs: Any, columns: Mapping[str, int]) -> Distribution:
    """Return the distribution of ``pairs`` of a label and a probability; other labels share the rest evenly."""
    given = _make_mapping(((label, read_number(value, label)) for label, value in pairs), name="label")
    others, rest = columns.keys() - given.keys(), 1 - math.fsum(given.values())
    each = {label: rest / len(others) for label in others} if rest > 0 else {}
    return read_distribution([*given.items(), *each.items()], multi_label=False)


def _make_mapping(pairs: Iterable[tuple[str, Any]], *, name: str) -> dict[str, Any]:
    """Return ``pairs`` as a mapping; raises FaultError, which calls their first parts ``name``, if two are equal."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise FaultError(f"the {name} '{shorten(key)}' is given twice")
        found[key] = value
    return found


_JSON = json.JSONDecoder(object_pairs_hook=partial(_make_mapping, name="key"), parse_int=str, parse_float=str)


def _fill(distribution: Distribution, columns: Mapping[str, int]) -> npt.NDArray[np.float32]:
    """Return the probabilities (C,) of ``distribution``; raises FaultError for a label that is not a column."""
    row = np.zeros(len(columns), np.float32)
    for label, probability in distribution.items():
        if label not in columns:
            known = ", ".join(map(shorten, list(columns)[:_SHOWN])) + (", ..." if len(columns) > _SHOWN else "")
            raise FaultError(f"label '{shorten(label)}' is not in the labelled rows, which have {known}")
        row[columns[label]] = probability
    return row


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
