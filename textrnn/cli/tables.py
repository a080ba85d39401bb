"""Tables and evaluation pages that commands print for people."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from textrnn.errors import pluralize

if TYPE_CHECKING:
    from textrnn.evaluation.abstention import Guarantee
    from textrnn.evaluation.multi_label import LabelScore, MultiLabelEvaluation
    from textrnn.evaluation.single_label import ClassScore, Evaluation

_MAX_LABELS = 100
_MAX_MATRIX_LABELS = 30
_MIN_LABEL_CELLS = 8
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
        f"calibration  probabilities off by {error}",
        f"             (ECE, {note}; about 90 % of the",
        "             predictions made with 90 % confidence should be correct)",
    ]


def _format_confusion(evaluation: Evaluation) -> list[str]:
    """Return the matrix under the names of the labels, or under numbers if these are too wide for the terminal.

    If it is too wide even so, return its largest errors.
    """
    width, labels = shutil.get_terminal_size().columns, evaluation.labels
    if len(labels) <= _MAX_MATRIX_LABELS:
        matrix = [list(map(str, row)) for row in evaluation.confusion_matrix]
        numbers = [str(number) for number in range(1, len(labels) + 1)]
        room = width - sum(2 + max(map(len, column)) for column in zip(numbers, *matrix, strict=True))
        numbered = [_abbreviate(f"{number} {label}", room) for number, label in zip(numbers, labels, strict=True)]
        for heads, names in ((labels, labels), (numbers, numbered)):
            table = format_table([["", *heads], *([name, *row] for name, row in zip(names, matrix, strict=True))])
            if max(map(measure_cells, table)) <= width and (heads is labels or room >= _MIN_LABEL_CELLS):
                return table
    mistakes = sorted((-count, i, j) for i, j, count in evaluation.confusion if i != j)[:_MAX_MISTAKES]
    rows = [[labels[i], labels[j], str(-count)] for count, i, j in mistakes]
    title = f"the {len(rows)} most frequent mistakes; --json has all"
    return [title, *format_table([["true", "predicted", "texts"], *rows])]


def _abbreviate(text: str, cells: int) -> str:
    """Return ``text``, or its beginning and three dots if it is wider than ``cells`` cells of a terminal."""
    from rich.cells import set_cell_size

    return text if measure_cells(text) <= cells else set_cell_size(text, max(0, cells - 3)).rstrip() + "..."


def measure_cells(text: str) -> int:
    """Return the cells that ``text`` takes on a terminal."""
    from rich.cells import cell_len

    return cell_len(text)


def format_guarantees(guarantees: Sequence[Guarantee]) -> str:
    """Return the thresholds, with what each covers and guarantees."""
    first = guarantees[0]
    if first.label is None:
        lines = [f"threshold    {_format_threshold(first)}", *(f"             {line}" for line in _describe(first))]
    else:
        rows = [
            [guarantee.label or "", _format_threshold(guarantee), *_format_counts(guarantee)]
            for guarantee in guarantees
        ]
        lines = [
            f"thresholds for a precision of at least {100 * (1 - first.max_error):g} %, each with 95 % confidence",
            *format_table([["predicted label", "threshold", "covered %", "errors", "texts"], *rows]),
        ]
    return "\n".join(["", *lines, ""])


def _format_threshold(guarantee: Guarantee) -> str:
    return "none" if guarantee.threshold is None else f"{guarantee.threshold:.6f}"


def _format_counts(guarantee: Guarantee) -> list[str]:
    return [f"{100 * guarantee.coverage:.1f}", str(guarantee.errors), str(guarantee.covered)]


def _describe(guarantee: Guarantee) -> list[str]:
    goal = f"at most {100 * guarantee.max_error:g} % errors with 95 % confidence"
    if guarantee.threshold is None:
        return [f"(no confidence guarantees {goal})"]
    errors = pluralize(guarantee.errors, "error", "errors")
    return [f"(covers {100 * guarantee.coverage:.1f} % of the texts, {errors} among them:", f"{goal})"]
