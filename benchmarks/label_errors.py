"""Recall of planted label errors, beside that of logistic regression on TF-IDF.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/label_errors.py [--sets trec subj chatbot_ko] [--shares 0.05 0.1]
        [--seeds 1 2 3] [--folds 5] [--epochs N]

replaces a share of the labels of each training set by another one, drawn with the seed, and ranks all texts by
out-of-fold probabilities. Prints the share of the planted errors among as many texts as were planted: those that
``textrnn data errors --train`` ranks first, and those that scikit-learn's TfidfVectorizer and LogisticRegression with
their defaults do. Precision and found are those of the texts that ``data errors`` lists. With --epochs, ``train
--kfold`` trains the network too, and ``data errors -m`` uses it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from process import run_textrnn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from textrnn.cli.commands.data.data_errors import PENALTY
from textrnn.config import DataConfig, Override, load_config
from textrnn.data.reading.examples import read_examples
from textrnn.evaluation.label_errors import find_label_errors, score_rows
from textrnn.experiments.held_out import fit_held_out
from textrnn.experiments.out_of_fold import OutOfFold, read_out_of_fold
from textrnn.experiments.variations import CrossValidation
from textrnn.reporter import Reporter

HEADER = ["| | textrnn | TF-IDF + LR | listed | precision | found |", "|---|---|---|---|---|---|"]


@dataclass(frozen=True)
class Planted:
    """A training set at ``path`` with wrong labels in ``rows``; ``labels`` (B,) are the given ones."""

    path: Path
    texts: list[str]
    labels: npt.NDArray[np.int64]
    rows: frozenset[int]

    def recall(self, scores: npt.NDArray[Any]) -> float:
        """Return the share of the planted rows among as many rows with the highest ``scores`` (B,)."""
        first = np.argsort(-scores, kind="stable")[: len(self.rows)]
        return len(self.rows & set(first.tolist())) / len(self.rows)


def plant(source: Path, path: Path, *, share: float, seed: int) -> Planted:
    """Write the file ``source`` to ``path`` with a ``share`` of its labels replaced by another one."""
    examples = read_examples(str(source), DataConfig())
    names = sorted({example.label for example in examples})
    rng = np.random.default_rng(seed)
    labels = np.array([names.index(example.label) for example in examples])
    rows = rng.choice(len(labels), round(share * len(labels)), replace=False)
    labels[rows] = (labels[rows] + rng.integers(1, len(names), len(rows))) % len(names)
    lines = [f"{names[label]}\t{example.text}\n" for label, example in zip(labels, examples, strict=True)]
    path.write_text("".join(lines), encoding="utf-8")
    return Planted(path, [example.text for example in examples], labels, frozenset(rows.tolist()))


def predict_by_textrnn(planted: Planted, *, folds: int, epochs: int | None) -> OutOfFold:
    """Return the probabilities that ``data errors --train`` uses, or those of ``train --kfold`` with ``epochs``."""
    if epochs is not None:
        folder = planted.path.parent
        options = ("--kfold", folds, "--epochs", epochs, "--out", "folds")
        run_textrnn("train", "--train", planted.path, *options, cwd=folder)
        return read_out_of_fold(folder / "folds")
    values = {"data.train": str(planted.path), "data.fold": f"1/{folds}", "ngrams.penalty": PENALTY}
    config = load_config(overrides=[Override(key, value, key) for key, value in values.items()])
    return fit_held_out(CrossValidation(config, folds), reporter=Reporter())


def predict_by_regression(planted: Planted, folds: int) -> npt.NDArray[np.float32]:
    """Return the out-of-fold probabilities (B, C) of logistic regression on TF-IDF."""
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    probabilities: npt.NDArray[np.float32] = cross_val_predict(
        model, planted.texts, planted.labels, cv=folds, method="predict_proba"
    ).astype(np.float32)
    return probabilities


def measure(planted: Planted, *, folds: int, epochs: int | None) -> list[float]:
    """Return the figures of a row of the table: recalls, listed texts, their precision, planted errors among them."""
    found = predict_by_textrnn(planted, folds=folds, epochs=epochs)
    errors = find_label_errors(found.probabilities, found.true)
    hits = len(planted.rows & set(errors.rows.tolist()))
    regression = predict_by_regression(planted, folds)
    return [
        planted.recall(score_rows(found.probabilities, found.true)),
        planted.recall(score_rows(regression, planted.labels)),
        len(errors),
        hits / max(1, len(errors)),
        hits / len(planted.rows),
    ]


def format_row(name: str, rows: Sequence[Sequence[float]]) -> str:
    """Return the means of ``rows``, one for each seed, as a row of the table."""
    textrnn, regression, listed, precision, found = map(statistics.fmean, zip(*rows, strict=True))
    return f"| {name} | {textrnn:.3f} | {regression:.3f} | {listed:,.0f} | {precision:.2f} | {found:.2f} |"


def main() -> None:
    """Plant, rank, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["trec", "subj", "chatbot_ko"])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.05, 0.1])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int)
    options = parser.parse_args()
    data = Path(os.environ["TEXTRNN_TEST_DATA"])
    print(*HEADER, sep="\n", flush=True)
    for name in options.sets:
        for share in options.shares:
            rows = []
            for seed in options.seeds:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder, "train.tsv")
                    planted = plant(data / name / "train.tsv", path, share=share, seed=seed)
                    rows.append(measure(planted, folds=options.folds, epochs=options.epochs))
            print(format_row(f"{name}, {100 * share:g} %", rows), flush=True)


if __name__ == "__main__":
    main()
