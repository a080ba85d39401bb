"""What ``textrnn data check`` prints for a person."""

from __future__ import annotations

from collections.abc import Mapping

from textrnn.cli.commands.evaluate import format_table
from textrnn.data.check import Report
from textrnn.data.check.findings import FAULT, Group
from textrnn.errors import pluralize

_LABELS_SHOWN = 20


def format_report(report: Report) -> str:
    """Return figures, then findings as ``file:line: ...``, faults first."""
    lines = [*_format_files(report), "", *_format_labels(report)]
    groups = report.findings.groups
    texts = {file.path: file.texts for file in report.files}
    for title, chosen in (
        ("faults: train refuses these", [group for group in groups if group.kind == FAULT]),
        ("warnings", [group for group in groups if group.kind != FAULT]),
    ):
        if chosen:
            lines += ["", title]
        for group in chosen:
            lines += ["", _title(group, texts), *map(str, group.shown)]
    faults, warnings = (report.findings.count(faults=kind) for kind in (True, False))
    lines += ["", *report.findings.notes, f"faults: {faults:,}, warnings: {warnings:,}"]
    return "\n".join(lines) + "\n"


def _title(group: Group, texts: Mapping[str, int]) -> str:
    of_all = f" of {texts[group.path]:,}" if group.what.startswith("texts") else ""
    first = f", the first {len(group.shown)}" if 0 < len(group.shown) < group.count else ""
    return f"{group.kind}: {group.what} ({group.count:,}{of_all} in {group.path}{first}):"


def _format_files(report: Report) -> list[str]:
    in_pieces = report.unit == "pieces"
    quantiles = list(report.files[0].lengths)
    over = f"over {report.max_length:,}"
    rows = [["file", "", "texts", "labels", "empty", *quantiles, over, "cut", "unknown"]]
    for file in report.files:
        total = file.pieces if file.pieces is not None else file.characters
        cut = ("" if in_pieces or not file.cut else "< ") + _percent(file.cut, total)
        rows.append(
            [
                *(file.path, file.role or "", f"{file.texts:,}", str(len(file.labels)), f"{file.empty:,}"),
                *(f"{length:,}" for length in file.lengths.values()),
                *(_percent(file.cut_texts, file.texts), cut),
                "-" if file.unknown is None else _percent(file.unknown, total),
            ]
        )
    told = (
        f"lengths in pieces; 'over' is the share of texts longer than data.max_length={report.max_length}, "
        "'cut' that of the pieces beyond it, 'unknown' that of pieces that the tokenizer does not know"
        if in_pieces
        else f"lengths in characters, for there is no --tokenizer; a text of no more than data.max_length="
        f"{report.max_length} characters has no more pieces than that (as a rule), so no more than these are cut"
    )
    return [*format_table(rows), told]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.2f} %"


def _format_labels(report: Report) -> list[str]:
    totals: dict[str, int] = {}
    for file in report.files:
        for label, count in file.labels.items():
            totals[label] = totals.get(label, 0) + count
    order = sorted(totals, key=lambda label: (-totals[label], label))
    rows = [["label", *(file.role or file.path for file in report.files)]]
    rows += [[label, *(f"{file.labels.get(label, 0):,}" for file in report.files)] for label in order[:_LABELS_SHOWN]]
    more = len(order) - _LABELS_SHOWN
    return format_table(rows) + (
        [f"and {pluralize(more, 'label', 'labels')} more; --json has them all"] if more > 0 else []
    )
