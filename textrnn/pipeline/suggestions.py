"""The texts to label next: those that a model is least certain about, without near-duplicates.

Margin sampling: Scheffer, Decomain, Wrobel, "Active Hidden Markov Models for Information Extraction", IDA 2001.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from textrnn.config import DataConfig
from textrnn.data.minhash import SIMILAR, find_pairs, hash_texts, jaccard_similarity, minhash, normalize
from textrnn.data.reading.io import Note, read_file
from textrnn.data.reading.lines import read_texts
from textrnn.data.reading.rows import RowReader
from textrnn.inference.engine import Engine


@dataclass(frozen=True)
class Unlabelled:
    """A text without a label, and the line of its file where it starts."""

    line_number: int
    text: str


@dataclass(frozen=True)
class Suggestion:
    """A text to label, with the likeliest label, its probability, and the margin over the second in [0, 1]."""

    source: Unlabelled
    label: str
    confidence: float
    margin: float


def read_unlabelled(path: str, config: DataConfig, *, note: Note) -> list[Unlabelled]:
    """Return the texts of a file (``-``: standard input), as prediction reads them, except blank ones.

    Each line is a text, or with ``config.text`` each record of a table. ``note`` receives lines for the user.

    Raises:
        DataError: the file cannot be read, or a record is bad.
    """
    numbered: Iterable[tuple[int, str]]
    if config.text is None:
        numbered = enumerate(read_texts(path, config, note=note), start=1)
    else:
        chunks = read_file(path, encoding=config.encoding, note=note)
        reader = RowReader(path, chunks, config, labelled=False, note=note)
        numbered = ((row.number, row.text) for rows in reader for row in rows)
    return [Unlabelled(number, text) for number, text in numbered if text and not text.isspace()]


def suggest(
    engine: Engine, unlabelled: Sequence[Unlabelled], *, count: int, known: Sequence[str] = ()
) -> list[Suggestion]:
    """Return at most ``count`` of the texts to label, least certain first, for a single-label model.

    A text is passed over if it is similar to one of ``known``, or to a less certain one.
    """
    if not unlabelled:
        return []
    probabilities = np.exp(engine.predict_log_probabilities([entry.text for entry in unlabelled]))
    best = np.sort(probabilities, axis=1)[:, -2:]
    margins = best[:, -1] - best[:, 0]
    order = np.argsort(margins, kind="stable").tolist()
    fresh = find_dissimilar([unlabelled[row].text for row in order], known)
    predicted = probabilities.argmax(axis=1)
    return [
        Suggestion(unlabelled[row], engine.labels[predicted[row]], float(best[row, -1]), float(margins[row]))
        for row in (order[place] for place in islice(fresh, count))
    ]


def find_dissimilar(texts: Sequence[str], known: Sequence[str] = ()) -> Iterator[int]:
    """Yield the indices of the ``texts`` that are similar to no earlier one, and to none of ``known``.

    Similar texts are equal but for case, spaces and punctuation, or share 80 % of their character trigrams. Of
    trigrams, each text is compared with the first one that shares a band of its MinHash signature.
    """
    letters = normalize([text.replace("\n", " ") for text in (*known, *texts)])
    rows = np.unique(hash_texts(letters), return_index=True)[1]
    rows.sort()
    candidates: dict[int, list[int]] = {}
    for later, first in rows[find_pairs(minhash([letters[row] for row in rows]))].tolist():
        candidates.setdefault(later, []).append(first)
    for row in rows[rows >= len(known)].tolist():
        if all(jaccard_similarity(letters[row], letters[first]) < SIMILAR for first in candidates.get(row, ())):
            yield row - len(known)
