"""Errors of predicted scores, beside ridge regression on TF-IDF.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/scores.py [--epochs N] [--seeds 1 2 3] [--test]

trains on ratings_ko (Korean reviews rated 1 to 10) with ``data.target=score``. Ridge regression has TF-IDF of words
and pairs of words and of 2 to 5 characters; its penalty is chosen on the validation set. Prints mean absolute error,
root of the mean squared error, Pearson's and Spearman's correlation on the validation set, or with --test on the test
set, and the seconds of each.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from process import run_textrnn
from scipy.stats import pearsonr, spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_union

from textrnn.config import DataConfig
from textrnn.data.reading.examples import read_examples
from textrnn.inference.engine import Engine

Scores = npt.NDArray[np.float64]
PENALTIES = (1.0, 3.0, 10.0, 30.0)


def read(folder: Path, part: str) -> tuple[list[str], Scores]:
    examples = read_examples(str(folder / f"{part}.tsv.xz"), DataConfig())
    return [example.text for example in examples], np.array([float(example.label) for example in examples])


def measure(name: str, found: Scores, true: Scores, seconds: float) -> None:
    errors = found - true
    mae, rmse = np.abs(errors).mean(), np.sqrt(np.square(errors).mean())
    pearson, spearman = pearsonr(found, true)[0], spearmanr(found, true)[0]
    print(f"| {name} | {mae:.3f} | {rmse:.3f} | {pearson:.3f} | {spearman:.3f} | {seconds:.0f} |", flush=True)


def predict_by_ridge(train: tuple[list[str], Scores], valid: tuple[list[str], Scores], texts: list[str]) -> Scores:
    """Return the scores of ``texts`` by the penalty that is best on the validation set."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)
    vectorizer = make_union(words, characters)
    x: Any = vectorizer.fit_transform(train[0])
    held = vectorizer.transform(valid[0])
    models = [Ridge(alpha=penalty, solver="sag", random_state=0).fit(x, train[1]) for penalty in PENALTIES]
    best = min(models, key=lambda model: np.square(model.predict(held) - valid[1]).mean())
    found: Scores = best.predict(vectorizer.transform(texts))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, help="of textrnn; by default as the command chooses")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="other keys of the config")
    parser.add_argument("--test", action="store_true", help="measure on the test set")
    options = parser.parse_args()
    folder = Path(os.environ["TEXTRNN_TEST_DATA"]) / "ratings_ko"
    train, valid = read(folder, "train"), read(folder, "valid")
    texts, true = read(folder, "test") if options.test else valid
    print("| | MAE | RMSE | Pearson | Spearman | s |\n|---|---|---|---|---|---|")
    measure("mean of the training set", np.full(len(true), train[1].mean()) + np.arange(len(true)) * 1e-12, true, 0)
    start = time.perf_counter()
    found = predict_by_ridge(train, valid, texts)
    measure("ridge on TF-IDF", found, true, time.perf_counter() - start)
    with tempfile.TemporaryDirectory(prefix="textrnn-") as name:
        for seed in options.seeds:
            out = Path(name) / f"run{seed}"
            files = ["--train", folder / "train.tsv.xz", "--valid", folder / "valid.tsv.xz", "--out", out]
            keys = ["data.target=score", "train.report=false", f"train.seed={seed}", *options.set]
            epochs = [] if options.epochs is None else ["--epochs", options.epochs]
            start = time.perf_counter()
            run_textrnn("train", *files, *epochs, *(word for key in keys for word in ("--set", key)))
            seconds = time.perf_counter() - start
            measure(f"textrnn, seed {seed}", Engine.load(out).predict_scores(texts), true, seconds)


if __name__ == "__main__":
    main()
