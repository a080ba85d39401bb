"""Baselines: fastText, and a linear SVM on TF-IDF.

accuracy.py and predict.py compare with them. Their settings are chosen on the validation set; ties go to the candidate
that is better on the test set, which favors the baselines.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from textrnn.config import DataConfig
from textrnn.data.reading.examples import Example, read_examples

PARTS = ("train", "valid", "test")
Result = dict[str, Any]


@dataclass(frozen=True)
class Candidate:
    """A trained baseline: its accuracy on the validation and test sets, its settings and the model."""

    valid: float
    test: float
    settings: dict[str, float]
    model: Any = None


def choose(candidates: Iterable[Candidate]) -> Candidate:
    """Return the candidate that is best on the validation set."""
    return max(candidates, key=lambda candidate: (candidate.valid, candidate.test))


def evaluate(candidates: Iterable[Candidate]) -> Result:
    """Return the result of the best candidate; ``seconds`` is the time to train all of them."""
    start = time.monotonic()
    best = choose(candidates)
    seconds = time.monotonic() - start
    return {"accuracy": best.test, "valid": best.valid, "settings": best.settings, "seconds": seconds}


def read_parts(data: Path) -> dict[str, list[Example]]:
    """Return the examples of each part of a data set."""
    return {part: read_examples(str(find_part(data, part)), DataConfig()) for part in PARTS}


def find_part(data: Path, part: str) -> Path:
    """Return the file of a part of a data set, which may be compressed."""
    plain = data / f"{part}.tsv"
    return plain if plain.exists() else data / f"{part}.tsv.xz"


def has_fasttext() -> bool:
    """Return whether fastText is installed; report on stderr if it is not."""
    if importlib.util.find_spec("fasttext") is not None:
        return True
    print("fastText is left out: it is not installed (pip install 'textrnn[peers]')", file=sys.stderr)
    return False


def train_fasttext(
    data: Path, seed: int, *, ngrams: Sequence[int] = (1, 2), buckets: int = 200_000
) -> Iterator[Candidate]:
    """Yield fastText with each value of ``wordNgrams``, at three learning rates.

    ``buckets`` is the number of rows that word n-grams share; fastText's own default is 2,000,000. With two threads no
    two runs are the same.
    """
    import fasttext  # noqa: PLC0415 - optional

    parts = read_parts(data)
    labels = sorted({example.label for examples in parts.values() for example in examples})
    numbers = {label: number for number, label in enumerate(labels)}  # labels may contain spaces
    with tempfile.TemporaryDirectory() as folder:
        for part, examples in parts.items():
            lines = [f"__label__{numbers[example.label]} {example.text}\n" for example in examples]
            Path(folder, part).write_text("".join(lines), encoding="utf-8")
        fixed = {"dim": 100, "bucket": buckets, "thread": 2, "seed": seed, "verbose": 0}
        for n, (rate, epochs) in product(ngrams, ((0.5, 25), (0.25, 50), (1.0, 25))):
            settings = {"wordNgrams": n, "lr": rate, "epoch": epochs}
            model = fasttext.train_supervised(str(Path(folder, "train")), **settings, **fixed)
            valid, test = (model.test(str(Path(folder, part)))[1] for part in ("valid", "test"))
            yield Candidate(valid, test, settings, model)


def train_svm(data: Path) -> Iterator[Candidate]:
    """Yield linear SVMs on TF-IDF of word 1- and 2-grams and character 2- to 5-grams; the models take texts."""
    parts = read_parts(data)
    options = {"sublinear_tf": True, "lowercase": False}
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", **options),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, **options),
    ).fit([example.text for example in parts["train"]])
    x = {part: features.transform([example.text for example in examples]) for part, examples in parts.items()}
    y = {part: [example.label for example in examples] for part, examples in parts.items()}
    for C in (0.1, 0.3, 1, 3):
        svm = LinearSVC(C=C, random_state=0).fit(x["train"], y["train"])
        valid, test = (float(svm.score(x[part], y[part])) for part in ("valid", "test"))
        yield Candidate(valid, test, {"C": C}, make_pipeline(features, svm))
