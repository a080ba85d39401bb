"""Files of predictions made by any tool: a line ``label<TAB>confidence`` for each text, the confidence optional."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.data.labels import join_labels, parse_label_set
from textrnn.data.reading.io import Note, decode, read_file
from textrnn.errors import DataError, shorten


@dataclass(frozen=True, eq=False)
class PredictionFile:
    """The labels of each text, several joined by tabs, and their probabilities (B,), if the file has them."""

    labels: list[str]
    confidence: npt.NDArray[np.float32] | None


def read_predictions(path: str, *, texts: int, data: str, separator: str | None, note: Note) -> PredictionFile:
    """Read the predictions of ``texts`` texts of the file ``data``.

    ``separator`` (None: single-label) separates the labels of a text, which may have none. Confidences are not read
    then: ``predict`` prints one for each label.

    Raises:
        DataError: a line is blank or no prediction, or there are more or fewer than ``texts``.
    """
    labels: list[str] = []
    confidences: list[float] = []
    width = 0
    for number, line in enumerate(_read_lines(path, note), 1):
        fields = line.split("\t")
        if separator is None and not fields[0].strip():
            raise DataError(path, number, "has no label; give the label of one text on each line, in their order")
        if number > texts:
            raise DataError(path, number, f"one line too many: {data} has {texts:,} texts; predict exactly these")
        if len(fields) > 2:
            raise DataError(path, number, f"has {len(fields)} fields, not label<TAB>confidence; cut -f1,2 keeps these")
        if len(fields) != (width := width or len(fields)):
            reason = "lacks" if width == 2 else "has"
            raise DataError(path, number, f"{reason} a confidence, unlike line 1; give one on every line, or on none")
        if separator is None:
            labels.append(fields[0])
            confidences += [_parse_confidence(path, number, field) for field in fields[1:]]
        else:
            labels.append(join_labels(parse_label_set(fields[0].replace(separator, "\t"))))
    if len(labels) < texts:
        raise DataError(path, len(labels) + 1, f"is missing: {data} has {texts:,} texts; predict each of them")
    return PredictionFile(labels, np.array(confidences, np.float32) if confidences else None)


def _read_lines(path: str, note: Note) -> Iterator[str]:
    for chunk in read_file(path, note=note):
        yield from (line.removesuffix("\r") for line in decode(chunk).split("\n"))


def _parse_confidence(path: str, number: int, field: str) -> float:
    try:
        value = float(field)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise DataError(
            path, number, f"confidence '{shorten(field)}' is not a number from 0 to 1; correct or remove it"
        )
    return value
