"""The message about labels of the data that a model does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textrnn.cli.terminal import print_message
from textrnn.errors import pluralize, shorten

if TYPE_CHECKING:
    from textrnn.evaluation.multi_label import MultiLabelEvaluation
    from textrnn.evaluation.single_label import Evaluation

_MAX_LABELS = 5


def report_unknown(evaluation: Evaluation | MultiLabelEvaluation, *, effect: str, name: str = "") -> None:
    """Print how many texts have labels that the model, called ``name``, does not know; ``effect`` is their part."""
    if evaluation.unknown_texts:
        texts = pluralize(evaluation.unknown_texts, "text has", "texts have")
        labels = list_labels(evaluation.unknown_labels)
        print_message(f"{name}{': ' if name else ''}{texts} labels that the model does not know ({labels}); {effect}")


def list_labels(labels: list[str]) -> str:
    """Return the first five of ``labels``, quoted, as in ``'tea', 'coffee', ...``."""
    shown = ", ".join(f"'{shorten(label)}'" for label in labels[:_MAX_LABELS])
    return shown + (", ..." if len(labels) > _MAX_LABELS else "")
