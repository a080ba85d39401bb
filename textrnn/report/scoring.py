"""Scoring a model on a labelled file, as suits the number of labels that it gives a text."""

from __future__ import annotations

from textrnn.config import DataConfig
from textrnn.corpus.examples import read_examples
from textrnn.inference.engine import Engine
from textrnn.report.evaluation import Evaluation, evaluate
from textrnn.report.sets import SetEvaluation, evaluate_sets


def score(
    engine: Engine, path: str, config: DataConfig, *, threshold: float | None = None
) -> Evaluation | SetEvaluation:
    """Score ``engine`` on the labelled text at ``path``, which is written as ``config`` says.

    Raises:
        DataError: at the first fault of the file, with its line.
    """
    examples = read_examples(path, config)
    if engine.thresholds is None:
        return evaluate(engine, examples)
    return evaluate_sets(engine, examples, threshold=threshold)
