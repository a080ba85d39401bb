"""The predictions that ``textrnn compare`` compares: those of models, and those in files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from textrnn.cli.commands.analysis.unknown_labels import report_unknown
from textrnn.cli.terminal import print_message
from textrnn.config import DataConfig
from textrnn.data.labels import PRINTED_SEPARATOR, join_labels, split_labels
from textrnn.data.reading.examples import Example
from textrnn.errors import DataError, name_file, shorten
from textrnn.evaluation.comparison import Candidate
from textrnn.evaluation.labelled_text import evaluate_labels
from textrnn.evaluation.prediction_file import read_predictions
from textrnn.evaluation.predictions import predict_examples
from textrnn.evaluation.single_label import evaluate_predictions
from textrnn.inference import UNKNOWN
from textrnn.inference.engine import Engine
from textrnn.models.calibration import CalibrationError
from textrnn.serialization.model_file import find_model

_PAIR = re.compile(r".* [0-9.]+")


def list_candidates(
    runs: Sequence[str],
    examples: Sequence[Example],
    *,
    engines: Mapping[str, Engine],
    data: str,
    config: DataConfig,
) -> list[Candidate]:
    """Return the predictions of ``runs`` for ``examples``, those of the file ``data``.

    ``engines`` are the models among the runs; the others are files of predictions. ``config`` is that of the data.

    Raises:
        DataError: a file of predictions does not suit the data.
    """
    separator = config.label_separator or PRINTED_SEPARATOR if config.multi_label else None
    candidates = [
        _predict(engines[run], run, examples)
        if run in engines
        else _read(run, examples, data=data, separator=separator)
        for run in runs
    ]
    files = [candidate for candidate in candidates if candidate.name not in engines]
    _check_predicted_labels(files, examples, engines=engines.values(), data=data)
    return candidates


def _predict(engine: Engine, run: str, examples: Sequence[Example]) -> Candidate:
    size = find_model(Path(run)).stat().st_size
    if engine.thresholds is None:
        predictions = predict_examples(engine, examples)
        evaluation = evaluate_predictions(predictions)
        labels = [predictions.labels[index] for index in predictions.predicted.tolist()]
        scores = predictions.calibrated
        report_unknown(evaluation, effect="counted wrong", name=run)
        return Candidate(run, labels, scores.confidence, evaluation.loss, evaluation.calibration_error, size)
    logits = engine.predict_logits([example.text for example in examples])
    sets = evaluate_labels(engine, examples, logits=logits)
    report_unknown(sets, effect="counted wrong", name=run)
    assigned = engine.assign_labels(engine.to_log_probabilities(logits))
    joined = [join_labels([engine.labels[index] for index in row.nonzero()[0]]) for row in assigned]
    return Candidate(run, joined, None, sets.loss, sets.calibration_error, size)


def _read(run: str, examples: Sequence[Example], *, data: str, separator: str | None) -> Candidate:
    found = read_predictions(run, texts=len(examples), data=name_file(data), separator=separator, note=print_message)
    if found.confidence is None:
        return Candidate(run, found.labels)
    error = CalibrationError()
    pairs = zip(found.labels, examples, strict=True)
    error.add(found.confidence, np.array([label == example.label for label, example in pairs]))
    return Candidate(run, found.labels, found.confidence, calibration_error=error.mean)


def _check_predicted_labels(
    candidates: Iterable[Candidate], examples: Sequence[Example], *, engines: Iterable[Engine], data: str
) -> None:
    """Raise DataError if a label of ``candidates``, files of predictions, is neither in DATA nor one of a model."""
    known = {label for engine in engines for label in engine.labels}
    place = f"neither in {name_file(data)} nor known to a model" if known else f"not in {name_file(data)}"
    known |= {label for example in examples for label in split_labels(example.label)}
    for candidate in candidates:
        for number, joined in enumerate(candidate.labels, 1):
            if unknown := next((label for label in split_labels(joined) if label not in known), None):
                cure = "use the labels of the data"
                if unknown == UNKNOWN:
                    cure = "a model that abstains gives every label with predict --ignore-thresholds"
                elif _PAIR.fullmatch(unknown):
                    cure = "write a tab between label and confidence"
                reason = f"label '{shorten(unknown)}' is {place}; {cure}"
                raise DataError(candidate.name, number, reason)
