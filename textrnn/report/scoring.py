"""Scoring a model on a labelled file, as suits the number of labels that it gives a text."""

from __future__ import annotations

from collections.abc import Sequence

from textrnn.config import DataConfig
from textrnn.corpus.examples import Example, read_examples
from textrnn.inference.engine import Engine
from textrnn.inference.rows import Array
from textrnn.report.evaluation import Evaluation, evaluate
from textrnn.report.sets import SetEvaluation, evaluate_sets


def score(
    engine: Engine, path: str, config: DataConfig, *, threshold: float | None = None
) -> Evaluation | SetEvaluation:
    """Score ``engine`` on the labelled text at ``path``, which is written as ``config`` says.

    Raises:
        DataError: at the first fault of the file, with its line.
    """
    return score_examples(engine, read_examples(path, config), threshold=threshold)


def score_examples(
    engine: Engine, examples: Sequence[Example], *, threshold: float | None = None, scores: Array | None = None
) -> Evaluation | SetEvaluation:
    """Score ``engine`` on ``examples``; ``scores`` (B, C) are its own, where they are there already."""
    if engine.thresholds is None:
        return evaluate(engine, examples, scores=scores)
    return evaluate_sets(engine, examples, threshold=threshold, scores=scores)
