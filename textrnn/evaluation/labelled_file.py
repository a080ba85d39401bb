"""Scoring a model on a labelled file, as suits the number of labels that it gives a text."""

from __future__ import annotations

from collections.abc import Sequence

from textrnn.config import DataConfig
from textrnn.data.formats import Example, read_examples
from textrnn.evaluation.multi_label import MultiLabelEvaluation, evaluate_multi_label
from textrnn.evaluation.single_label import Evaluation, evaluate
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array


def score(
    engine: Engine, path: str, config: DataConfig, *, threshold: float | None = None
) -> Evaluation | MultiLabelEvaluation:
    """Score ``engine`` on the labelled text at ``path``, which is written as ``config`` says.

    Raises:
        DataError: at the first fault of the file, with its line.
    """
    return score_examples(engine, read_examples(path, config), threshold=threshold)


def score_examples(
    engine: Engine, examples: Sequence[Example], *, threshold: float | None = None, logits: Array | None = None
) -> Evaluation | MultiLabelEvaluation:
    """Score ``engine`` on ``examples``; ``logits`` (B, C) are its own, where they are there already."""
    if engine.thresholds is None:
        return evaluate(engine, examples, logits=logits)
    return evaluate_multi_label(engine, examples, threshold=threshold, logits=logits)
