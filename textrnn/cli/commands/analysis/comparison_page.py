"""The page and the verdicts that ``textrnn compare`` prints."""

from __future__ import annotations

from textrnn.cli.tables import align_numbers, format_size
from textrnn.errors import pluralize
from textrnn.evaluation.comparison import ALPHA, RESAMPLES, Comparison, Difference, RunFigures


def format_comparison(comparison: Comparison) -> str:
    """Return the metrics of all runs, and the differences to one of them with their p values."""
    runs = [["", "accuracy", "macro F1", "loss", "calibration error", "size"], *map(_format_run, comparison.runs)]
    columns = ["accuracy", "right alone", "p", "macro F1", "95 % interval", "p"]
    rows = [[f"minus {comparison.against}", *columns], *map(_format_difference, comparison.differences)]
    count = len(comparison.differences)
    tests = [f"p of accuracy: McNemar's exact test; of macro F1: paired bootstrap, {RESAMPLES:,} resamples"]
    if count > 1:
        tests.append(f"both corrected for {count} comparisons by Holm's method; intervals are not")
    lines = [f"{comparison.texts:,} texts", "", *align_numbers(runs), "", *align_numbers(rows), "", *tests]
    return "\n".join([*lines, ""])


def format_verdict(comparison: Comparison, difference: Difference) -> str:
    """Return one sentence on whether a difference can be chance."""
    winner, loser = difference.run, difference.against
    if difference.accuracy < 0:
        winner, loser = loser, winner
    if difference.accuracy_p < ALPHA:
        points = f"+{100 * abs(difference.accuracy):.1f} points of accuracy"
        return f"{winner} is better than {loser}: {points}, {_format_p(difference.accuracy_p)}"
    texts = pluralize(comparison.texts, "text", "texts")
    pair = f"{difference.run} and {difference.against}: no difference in accuracy that {texts} can show"
    if difference.texts_needed is not None:
        pair += f"; about {_round(difference.texts_needed):,} would be needed"
    if difference.macro_f1_p < ALPHA:
        points = f"{100 * difference.macro_f1:+.1f} points"
        pair += f", but {difference.run} has {points} of macro F1, {_format_p(difference.macro_f1_p)}"
    return pair


def _format_run(run: RunFigures) -> list[str]:
    loss = "-" if run.loss is None else f"{run.loss:.4f}"
    error = "-" if run.calibration_error is None else f"{100 * run.calibration_error:.2f} points"
    size = "-" if run.size is None else format_size(run.size)
    return [run.name, f"{100 * run.accuracy:.2f} %", f"{100 * run.macro_f1:.2f} %", loss, error, size]


def _format_difference(difference: Difference) -> list[str]:
    low, high = difference.macro_f1_interval
    return [
        difference.run,
        f"{100 * difference.accuracy:+.2f}",
        f"{difference.only_run_right:,} : {difference.only_against_right:,}",
        _format_p(difference.accuracy_p).removeprefix("p = ").removeprefix("p "),
        f"{100 * difference.macro_f1:+.2f}",
        f"{100 * low:+.2f} to {100 * high:+.2f}",
        _format_p(difference.macro_f1_p).removeprefix("p = ").removeprefix("p "),
    ]


def _format_p(p: float) -> str:
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _round(count: int) -> int:
    """Round ``count`` up to two digits."""
    scale = int(10 ** max(0, len(str(count)) - 2))
    return -(-count // scale) * scale
