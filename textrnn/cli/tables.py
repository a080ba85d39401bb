"""Tables and evaluation pages that commands print for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from textrnn.errors import pluralize

if TYPE_CHECKING:
    from textrnn.evaluation.multi_label import LabelScore, MultiLabelEvaluation
    from textrnn.evaluation.single_label import ClassScore, Evaluation

_MAX_LABELS = 100
_MAX_MATRIX_LABELS = 12
_MAX_MISTAKES = 20
_Score = TypeVar("_Score", bound="ClassScore")
_SCORES = ["label", "precision", "recall", "F1", "support"]


def format_table(rows: list[list[str]]) -> list[str]:
    """Return ``rows`` as lines with aligned columns: text to the left, numbers to the right."""
    from rich.cells import cell_len

    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for text, width, last in zip(row, widths, rows[-1], strict=True):
            padding = " " * (width - cell_len(text))
            is_number = last.replace(".", "").replace(",", "").isdigit()
            cells.append(padding + text if is_number else text + padding)
        lines.append("  ".join(cells).rstrip())
    return lines


def align_numbers(rows: list[list[str]]) -> list[str]:
    """Return ``rows`` as lines with aligned columns: the first to the left, all others to the right."""
    from rich.cells import cell_len

    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = [[" " * (width - cell_len(cell)) + cell for cell, width in zip(row, widths, strict=True)] for row in rows]
    return [
        "  ".join([row[0] + " " * (widths[0] - cell_len(row[0])), *cells[1:]])
        for row, cells in zip(rows, padded, strict=True)
    ]


def format_size(size: int) -> str:
    """Return a number of bytes, as in ``5.7 MB``."""
    for scale, unit in ((1_000_000, "MB"), (1_000, "kB")):
        if size >= scale:
            return f"{size / scale:,.1f} {unit}"
    return pluralize(size, "byte", "bytes")


def format_counts(counts: dict[str, int], *, limit: int) -> str:
    """Return the first ``limit`` labels with their counts, as in ``tea 40, coffee 38, and 2 labels more``."""
    shown = ", ".join(f"{label} {count:,}" for label, count in [*counts.items()][:limit])
    rest = len(counts) - limit
    return f"{shown}, and {pluralize(rest, 'label', 'labels')} more" if rest > 0 else shown


def format_evaluation(evaluation: Evaluation | MultiLabelEvaluation) -> str:
    """Return the page that ``textrnn evaluate`` prints."""
    from textrnn.evaluation.multi_label import MultiLabelEvaluation

    accuracy = f"accuracy     {100 * evaluation.accuracy:.2f} %  ({evaluation.correct}"
    lines = [f"macro F1     {100 * evaluation.macro_f1:.2f} %", f"weighted F1  {100 * evaluation.weighted_f1:.2f} %"]
    if isinstance(evaluation, MultiLabelEvaluation):
        lines = [f"micro F1     {100 * evaluation.micro_f1:.2f} %", *lines, f"{accuracy} with all labels right)"]
        shown, rest = _choose_labels(evaluation.classes)
        thresholds = ["-" if label.threshold is None else f"{label.threshold:.3f}" for label in shown]
        rows = [[*_format_scores(c), f"{t:>9}"] for c, t in zip(shown, thresholds, strict=True)]
        tables = [*format_table([[*_SCORES, "threshold"], *rows]), *rest]
    else:
        lines = [f"{accuracy} right)", *lines]
        single, rest = _choose_labels(evaluation.classes)
        tables = [*format_table([_SCORES, *map(_format_scores, single)]), *rest]
        tables += ["", "confusion (rows: true, columns: predicted)", *_format_confusion(evaluation)]
    return "\n".join([f"texts        {evaluation.texts}", *lines, *_format_calibration(evaluation), "", *tables, ""])


def _choose_labels(classes: list[_Score]) -> tuple[list[_Score], list[str]]:
    """Return the labels to show, the most frequent if there are too many, and a line on the others."""
    if len(classes) <= _MAX_LABELS:
        return classes, []
    shown = sorted(classes, key=lambda label: -label.support)[:_MAX_LABELS]
    return shown, [f"and {pluralize(len(classes) - _MAX_LABELS, 'label', 'labels')} more; --json has all"]


def _format_scores(c: ClassScore | LabelScore) -> list[str]:
    return [c.label, f"{100 * c.precision:.1f}", f"{100 * c.recall:.1f}", f"{100 * c.f1:.1f}", str(c.support)]


def _format_calibration(evaluation: Evaluation | MultiLabelEvaluation) -> list[str]:
    loss = "-" if evaluation.loss is None else f"{evaluation.loss:.4f}"
    note = "the model is not calibrated"
    if evaluation.temperature != 1:
        if evaluation.loss_uncalibrated is not None:
            loss += f"  ({evaluation.loss_uncalibrated:.4f} uncalibrated)"
        uncalibrated = f"{100 * evaluation.calibration_error_uncalibrated:.2f} uncalibrated"
        note = f"{uncalibrated}, temperature {evaluation.temperature:.3f}"
    error = f"{100 * evaluation.calibration_error:.2f} percentage points on average"
    return [
        f"loss         {loss}",
        f"calibration  probabilities off by {error}  ({note})",
        "             (ECE: of the predictions made with 90 % confidence, about 90 % should be correct)",
    ]


def _format_confusion(evaluation: Evaluation) -> list[str]:
    """Return the whole matrix, or its largest errors if it is too wide for a terminal."""
    labels = evaluation.labels
    if len(labels) <= _MAX_MATRIX_LABELS:
        matrix = evaluation.confusion_matrix
        rows = [[label, *map(str, row)] for label, row in zip(labels, matrix, strict=True)]
        return format_table([["", *labels], *rows])
    mistakes = sorted((-count, i, j) for i, j, count in evaluation.confusion if i != j)[:_MAX_MISTAKES]
    rows = [[labels[i], labels[j], str(-count)] for count, i, j in mistakes]
    title = f"the {len(rows)} most frequent mistakes; --json has all"
    return [title, *format_table([["true", "predicted", "texts"], *rows])]
