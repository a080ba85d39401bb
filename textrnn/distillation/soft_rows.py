"""The training and the validation set of a student: JSON Lines with a label or with probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.data.reading.examples import Example
from textrnn.files import compressed_write

Probabilities = npt.NDArray[np.float32]

_LEAST, _MOST = 0.0005, 0.01
"""Probabilities below ``_LEAST`` are left out, unless those of a text sum to ``_MOST`` or more."""


class RowWriter:
    """Formats rows for C ``labels``."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = [json.dumps(label, ensure_ascii=False) for label in labels]

    def format_rows(self, texts: Sequence[str], targets: Probabilities) -> bytes:
        """Return a line for each of ``texts`` with its ``targets`` (B, C): a label if one has all of it."""
        kept = targets >= _LEAST
        kept |= (targets > 0) & ((targets * ~kept).sum(axis=1, keepdims=True) >= _MOST)
        shares = targets * kept
        shares /= shares.sum(axis=1, keepdims=True)
        lines = []
        for text, row, own in zip(texts, shares, kept, strict=True):
            classes = own.nonzero()[0].tolist()
            if len(classes) == 1:
                label = self._labels[classes[0]]
            else:
                pairs = zip(classes, row[classes].tolist(), strict=True)
                label = f"{{{', '.join(f'{self._labels[column]}: {share:.4g}' for column, share in pairs)}}}"
            lines.append(f'{{"text": {json.dumps(text, ensure_ascii=False)}, "label": {label}}}\n')
        return "".join(lines).encode("utf-8", "replace")


def write_rows(path: Path, labels: Sequence[str], blocks: Iterable[tuple[Sequence[str], Probabilities]]) -> None:
    """Write the texts of ``blocks`` with their targets (B, C) to ``path``, compressed as its name says."""
    writer = RowWriter(labels)
    with compressed_write(path) as file:
        for texts, targets in blocks:
            file.write(writer.format_rows(texts, targets))


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write ``examples`` unchanged, with their label or distribution, to ``path``."""
    with compressed_write(path) as file:
        for example in examples:
            row = {"text": example.text, "label": example.distribution or example.label}
            file.write((json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "replace"))
