"""Evaluation of a model on labelled text: of one label, of several, or of scores, as the model is."""

from __future__ import annotations

from collections.abc import Sequence

from textrnn.config import DataConfig
from textrnn.data.reading.examples import Example, read_examples
from textrnn.evaluation.multi_label import MultiLabelEvaluation, evaluate_multi_label
from textrnn.evaluation.regression import ScoreEvaluation, evaluate_scores, predict_scores, read_scores
from textrnn.evaluation.single_label import Evaluation, evaluate_single_label
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array

AnyEvaluation = Evaluation | MultiLabelEvaluation | ScoreEvaluation


def evaluate_file(engine: Engine, path: str, config: DataConfig) -> AnyEvaluation:
    """Evaluate ``engine`` on the labelled text at ``path``, in the format of ``config``; raises DataError."""
    return evaluate_examples(engine, read_examples(path, config))


def evaluate_examples(engine: Engine, examples: Sequence[Example], *, threshold: float | None = None) -> AnyEvaluation:
    """Evaluate ``engine`` on ``examples``; ``threshold`` is for multi-label models."""
    if engine.anchors is not None:
        return evaluate_scores(predict_scores(engine, examples), read_scores([example.label for example in examples]))
    return evaluate_labels(engine, examples, threshold=threshold)


def evaluate_labels(
    engine: Engine, examples: Sequence[Example], *, threshold: float | None = None, logits: Array | None = None
) -> Evaluation | MultiLabelEvaluation:
    """Evaluate ``engine``, a model of labels, on ``examples``; ``logits`` (B, C) of it save computing them."""
    if engine.thresholds is None:
        return evaluate_single_label(engine, examples, logits=logits)
    return evaluate_multi_label(engine, examples, threshold=threshold, logits=logits)
