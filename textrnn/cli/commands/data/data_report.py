"""The page that ``textrnn data check`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from textrnn.cli.tables import align_numbers, format_table
from textrnn.data.check import Report
from textrnn.data.check.findings import FAULT, Finding, Group
from textrnn.errors import has_rows, pluralize

_MAX_LABELS = 20


def format_report(report: Report) -> str:
    """Return tables of files and labels, then findings as ``file:line: ...``, faults first."""
    lines = [*_format_files(report), "", *_format_labels(report)]
    texts = {file.path: file.texts for file in report.files}
    for title, is_fault in (("faults: train refuses these", True), ("warnings", False)):
        groups = [group for group in report.findings.groups if (group.kind == FAULT) == is_fault]
        if groups:
            lines += ["", title]
        for group in groups:
            lines += ["", _format_title(group, texts), *_format_shown(group)]
    faults, warnings = (report.findings.count(faults=kind) for kind in (True, False))
    lines += ["", *report.findings.notes, f"faults: {faults:,}, warnings: {warnings:,}"]
    return "\n".join(lines) + "\n"


def _format_title(group: Group, texts: Mapping[str, int]) -> str:
    total = f" of {texts[group.path]:,}" if group.what.startswith("texts") else ""
    first = f", the first {len(group.shown)}" if 0 < len(group.shown) < group.count else ""
    return f"{group.kind}: {group.what} ({group.count:,}{total} in {group.path}{first}):"


def _format_shown(group: Group) -> Iterator[str]:
    """Yield a line for each different message, with the numbers of all lines that it is about."""
    by_message: dict[str, list[Finding]] = {}
    for finding in group.shown:
        by_message.setdefault(finding.message, []).append(finding)
    for first, *others in by_message.values():
        lines = [str(finding.line) for finding in others if finding.line is not None]
        unit = "row" if has_rows(first.path) else "line"
        more = f" (also {unit}{'s' if len(lines) > 1 else ''} {', '.join(lines)})" if lines else ""
        yield f"{first}{more}"


def _format_files(report: Report) -> list[str]:
    in_pieces = report.unit == "pieces"
    quantiles = list(report.files[0].lengths)
    rows = [["file", "", "texts", "labels", "empty", *quantiles, f"over {report.max_length:,}", "cut", "unknown"]]
    for file in report.files:
        total = file.pieces if file.pieces is not None else file.characters
        bound = "" if in_pieces or not file.cut else "< "
        labels = "-" if file.scores is not None else str(len(file.labels))
        rows.append(
            [
                *(file.path, file.role or "", f"{file.texts:,}", labels, f"{file.empty:,}"),
                *(f"{length:,}" for length in file.lengths.values()),
                *(_format_share(file.cut_texts, file.texts), bound + _format_share(file.cut, total)),
                "-" if file.unknown is None else _format_share(file.unknown, total),
            ]
        )
    over = f"'over' is the share of texts longer than data.max_length={report.max_length}"
    note = (
        f"lengths in pieces; {over}, 'cut' the share of pieces that data.long_texts={report.long_texts} does not read, "
        "'unknown' the share of unknown pieces"
        if in_pieces
        else f"lengths in characters; {over}, 'cut' an upper bound of the share that is cut; --tokenizer counts pieces"
    )
    return [*format_table(rows), note]


def _format_share(part: int, total: int) -> str:
    return f"{100 * part / max(1, total):.2f} %"


def _format_labels(report: Report) -> list[str]:
    if any(file.scores is not None for file in report.files):
        return _format_scores(report)
    totals: Counter[str] = Counter()
    for file in report.files:
        totals.update(file.labels)
    labels = sorted(totals, key=lambda label: (-totals[label], label))
    rows = [["label", *(file.role or file.path for file in report.files)]]
    rows += [[label, *(f"{file.labels.get(label, 0):,}" for file in report.files)] for label in labels[:_MAX_LABELS]]
    rest = len(labels) - _MAX_LABELS
    more = [f"and {pluralize(rest, 'label', 'labels')} more; --json has them all"] if rest > 0 else []
    return [*format_table(rows), *more]


def _format_scores(report: Report) -> list[str]:
    found = [(file.role or file.path, file.scores) for file in report.files if file.scores is not None]
    rows = [["score", *(name for name, _ in found)]]
    rows += [[key, *(f"{scores[key]:.6g}" for _, scores in found)] for key in ("lowest", "mean", "highest")]
    return align_numbers(rows)
