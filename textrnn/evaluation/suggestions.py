"""The texts to label next: uncertain ones that differ from each other.

Zhdanov, "Diverse mini-batch Active Learning", 2019 (arXiv 1901.05954): of the texts with the smallest margin several
times as many as asked for are clustered, weighted by their uncertainty, and each cluster gives the text at its center.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from textrnn.config import DataConfig
from textrnn.data.minhash import SIMILAR, find_pairs, hash_texts, jaccard_similarity, minhash, normalize
from textrnn.data.reading.examples import Example
from textrnn.data.reading.io import Note
from textrnn.data.reading.lines import read_numbered_texts
from textrnn.evaluation.predictions import predict_examples
from textrnn.inference.engine import Engine

CANDIDATES = 5
"""Texts that are clustered for each one that is asked for; in a simulation on trec, 5 saved more labels than 3."""

_DIMENSIONS = 50
_LEAST_WEIGHT = 1e-6  # of a text of which the model is sure

Floats = npt.NDArray[np.float64]


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
    numbered = read_numbered_texts(path, config, note=note)
    return [Unlabelled(number, text) for number, text in numbered if text and not text.isspace()]


def suggest(
    engine: Engine, unlabelled: Sequence[Unlabelled], *, count: int, known: Sequence[str] = ()
) -> list[Suggestion]:
    """Return at most ``count`` of the texts to label, least certain first, for a single-label model.

    A text is skipped if it is similar to one of ``known``, or to a less certain one. At most the less certain half
    of the other texts is clustered.
    """
    # the labels have no part in the margins
    examples = [Example(engine.labels[0], entry.text, entry.line_number) for entry in unlabelled]
    predictions = predict_examples(engine, examples)
    margins = predictions.margin
    order = np.argsort(margins, kind="stable").tolist()
    fresh = find_dissimilar([unlabelled[row].text for row in order], known)
    rows = [order[place] for place in islice(fresh, 2 * CANDIDATES * count)]
    rows = rows[: max(count, len(rows) // 2)]
    weights = np.maximum(1 - margins[rows], _LEAST_WEIGHT)
    chosen = choose_diverse([unlabelled[row].text for row in rows], weights, count)
    labels = [engine.labels[index] for index in predictions.predicted]
    confidence = predictions.calibrated.confidence
    return [
        Suggestion(unlabelled[row], labels[row], float(confidence[row]), float(margins[row]))
        for row in (rows[place] for place in chosen)
    ]


def choose_diverse(texts: Sequence[str], weights: npt.ArrayLike, count: int) -> list[int]:
    """Return the rising indices of ``count`` of the texts, one from each cluster of k-means with ``weights`` (B,).

    The distance is that of latent semantic analysis: 50 dimensions of the TF-IDF of character 2- to 4-grams.
    """
    if len(texts) <= count:
        return [*range(len(texts))]
    from sklearn.cluster import KMeans  # noqa: PLC0415 - slow to import
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

    x = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True).fit_transform(texts)
    x = TruncatedSVD(min(_DIMENSIONS, *x.shape), random_state=0).fit_transform(x)
    means = KMeans(count, n_init=1, random_state=0).fit(x, sample_weight=weights)
    distances: Floats = means.transform(x)
    free = np.ones(len(texts), np.bool_)
    for cluster in range(count):
        free[np.where(free, distances[:, cluster], np.inf).argmin()] = False
    return np.flatnonzero(~free).tolist()


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
