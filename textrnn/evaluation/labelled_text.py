"""Evaluation of a model on labelled text, single-label or multi-label as the model is."""

from __future__ import annotations

from collections.abc import Sequence

from textrnn.config import DataConfig
from textrnn.data.reading.examples import Example, read_examples
from textrnn.evaluation.multi_label import MultiLabelEvaluation, evaluate_multi_label
from textrnn.evaluation.single_label import Evaluation, evaluate_single_label
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array


def evaluate_file(engine: Engine, path: str, config: DataConfig) -> Evaluation | MultiLabelEvaluation:
    """Evaluate ``engine`` on the labelled text at ``path``, in the format of ``config``; raises DataError."""
    return evaluate_examples(engine, read_examples(path, config))


def evaluate_examples(
    engine: Engine, examples: Sequence[Example], *, threshold: float | None = None, logits: Array | None = None
) -> Evaluation | MultiLabelEvaluation:
    """Evaluate ``engine`` on ``examples``; ``logits`` (B, C) of the engine save computing them."""
    if engine.thresholds is None:
        return evaluate_single_label(engine, examples, logits=logits)
    return evaluate_multi_label(engine, examples, threshold=threshold, logits=logits)
