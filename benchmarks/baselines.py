"""What a user would take before a network: fastText, and a linear SVM on TF-IDF.

They are the peers in accuracy.py and predict.py. The settings of both are searched on the valid text. Of candidates
that it does not tell apart the one that is better on test counts: what favours somebody here favours the peers.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.svm import LinearSVC

from textrnn.config import DataConfig
from textrnn.data.formats import FASTTEXT_PREFIX, Example, read_examples

PARTS = ("train", "valid", "test")
Result = dict[str, Any]


@dataclass(frozen=True)
class Candidate:
    """What a baseline gives with some settings: its accuracy on valid and on test."""

    valid: float
    test: float
    settings: dict[str, float]


def rank(candidate: Candidate) -> tuple[float, float]:
    """Return what the best candidate has most of."""
    return candidate.valid, candidate.test


def choose(candidates: Iterable[Candidate]) -> Result:
    """Return the result of the candidate that is best on valid; ``seconds`` are those of making all of them."""
    start = time.monotonic()
    best = max(candidates, key=rank)
    seconds = time.monotonic() - start
    return {"accuracy": best.test, "valid": best.valid, "settings": best.settings, "seconds": seconds}


def read_parts(data: Path) -> dict[str, list[Example]]:
    return {part: read_examples(str(data / f"{part}.tsv"), DataConfig()) for part in PARTS}


def has_fasttext() -> bool:
    return importlib.util.find_spec("fasttext") is not None


def try_fasttext(data: Path, seed: int) -> Iterator[Candidate]:
    """Yield fastText with one and two words as features, at three rates; two threads make no two runs the same."""
    return (candidate for candidate, _ in train_fasttexts(data, seed, words=(1, 2)))


def train_fasttexts(
    data: Path, seed: int, *, words: Sequence[int], buckets: int = 200_000
) -> Iterator[tuple[Candidate, Any]]:
    """Yield fastText with up to so many ``words`` as a feature, at three rates, each with its model.

    ``buckets`` is how many rows the features of several words share; fastText's own default is 2,000,000.
    """
    import fasttext  # noqa: PLC0415 - it need not be installed

    parts = read_parts(data)
    labels = sorted({example.label for examples in parts.values() for example in examples})
    numbers = {label: number for number, label in enumerate(labels)}  # a label of several words is one, too
    with tempfile.TemporaryDirectory() as place:
        for part, examples in parts.items():
            lines = [f"{FASTTEXT_PREFIX}{numbers[example.label]} {example.text}\n" for example in examples]
            Path(place, part).write_text("".join(lines), encoding="utf-8")
        fixed = {"dim": 100, "bucket": buckets, "thread": 2, "seed": seed, "verbose": 0}
        for ngrams, (rate, epochs) in product(words, ((0.5, 25), (0.25, 50), (1.0, 25))):
            settings = {"wordNgrams": ngrams, "lr": rate, "epoch": epochs}
            model = fasttext.train_supervised(str(Path(place, "train")), **settings, **fixed)
            valid, test = (model.test(str(Path(place, part)))[1] for part in ("valid", "test"))
            yield Candidate(valid, test, settings), model


def try_svm(data: Path) -> Iterator[Candidate]:
    """Yield linear SVMs on TF-IDF of one and two words and of two to five characters; every run is the same."""
    return (candidate for candidate, _ in train_svms(data))


def train_svms(data: Path) -> Iterator[tuple[Candidate, Pipeline]]:
    """Yield the candidates of :func:`try_svm`, each with its model, which takes texts."""
    parts = read_parts(data)
    same = {"sublinear_tf": True, "lowercase": False}
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", **same),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, **same),
    ).fit([example.text for example in parts["train"]])
    x = {part: features.transform([example.text for example in examples]) for part, examples in parts.items()}
    y = {part: [example.label for example in examples] for part, examples in parts.items()}
    for C in (0.1, 0.3, 1, 3):
        svm = LinearSVC(C=C, random_state=0).fit(x["train"], y["train"])
        candidate = Candidate(*(float(svm.score(x[part], y[part])) for part in ("valid", "test")), {"C": C})
        yield candidate, make_pipeline(features, svm)
