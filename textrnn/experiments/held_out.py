"""Cross-validated predictions: a model predicts the texts of the fold that it did not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from textrnn.config import Config
from textrnn.data.encoded import Corpus
from textrnn.errors import DataError
from textrnn.experiments.out_of_fold import OutOfFold, SourceText, read_training_set
from textrnn.experiments.variations import CrossValidation
from textrnn.inference.engine import Engine
from textrnn.models.calibration import PENALTY, fit_temperature, to_log_probabilities
from textrnn.models.ngram.features import Spelling
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import ProgressOnly, Reporter
from textrnn.training.model_setup import fit_ngram_model
from textrnn.training.train import reporting


class _Fold(NamedTuple):
    """The rows (B,) of a fold in the training set, their classes (B,) and log probabilities or logits (B, C)."""

    rows: npt.NDArray[np.int64]
    true: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]


def predict_held_out(runs: Mapping[Path, Config]) -> OutOfFold:
    """Return the probabilities of each text by the run of ``runs`` whose fold has it.

    Raises:
        DataError: the training set has changed since the runs.
    """
    folds: list[_Fold] = []
    labels: tuple[str, ...] = ()
    for folder, config in runs.items():
        engine = Engine.load(folder)
        corpus, labels = load_dataset(config, Reporter()).valid, engine.labels
        logits = [engine.forward_ids(batch.ids, np.diff(batch.offsets)) for batch in corpus.blocks()]
        folds.append(_make_fold(corpus, engine.to_log_probabilities(np.concatenate(logits))))
    texts = read_training_set(next(iter(runs.values())).data)
    return _join(texts, folds, labels, temperature=1.0)


def fit_held_out(experiment: CrossValidation, *, reporter: Reporter) -> OutOfFold:
    """Return the probabilities of each text by an n-gram model, without a network, fitted to the other folds.

    Raises:
        ConfigError: the experiment is invalid.
        DataError: a file is unusable, a fold is empty, or the texts have no n-grams.
    """
    experiment.check()
    configs = list(experiment.variations.values())
    folds: list[_Fold] = []
    labels: tuple[str, ...] = ()
    with reporting(reporter):
        texts = read_training_set(configs[0].data, note=reporter.note)
        load_dataset(configs[-1], ProgressOnly(reporter))  # if any fold is empty, the last one is
        for number, config in enumerate(configs, start=1):
            reporter.note(f"fold {number} of {len(configs)}")
            dataset = load_dataset(config, ProgressOnly(reporter))
            table = fit_ngram_model(config, dataset, Reporter())
            if table is None:
                raise DataError(texts[0].file, None, "the texts have no n-grams to learn from")
            spelling, corpus, labels = Spelling.of(dataset.tokenizer), dataset.valid, dataset.labels
            logits = [table.forward(batch.ids, batch.offsets, spelling) for batch in corpus.blocks()]
            folds.append(_make_fold(corpus, np.concatenate(logits)))
    return _join(texts, folds, labels)


def _make_fold(corpus: Corpus, logits: npt.NDArray[np.float32]) -> _Fold:
    assert corpus.rows is not None  # a fold selects rows
    return _Fold(corpus.rows, corpus.classes, logits)


def _join(
    texts: Sequence[SourceText], folds: list[_Fold], labels: tuple[str, ...], *, temperature: float | None = None
) -> OutOfFold:
    """Return the ``texts`` that a fold has, in their order; ``temperature`` (None: fitted) calibrates the logits.

    The only text of a label is in no fold.
    """
    joined = [np.concatenate(column) for column in zip(*folds, strict=True)]
    rows, true, logits = (column[np.argsort(joined[0])] for column in joined)
    if rows[-1] >= len(texts) or [texts[row].example.label for row in rows] != [labels[column] for column in true]:
        raise DataError(texts[0].file, None, "the training set has changed since the runs; train again")
    temperature = fit_temperature(logits, true, penalty=PENALTY) if temperature is None else temperature
    probabilities = np.exp(to_log_probabilities(logits, temperature, multi_label=False))
    return OutOfFold([texts[row] for row in rows], labels, true, probabilities)
