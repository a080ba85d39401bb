"""The page and the verdicts that ``textrnn compare`` prints."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import replace

from textrnn.cli.tables import align_numbers, format_size, measure_cells
from textrnn.errors import pluralize
from textrnn.evaluation.comparison import ALPHA, RESAMPLES, Comparison, Difference, RunFigures


def format_comparison(comparison: Comparison) -> str:
    """Return the metrics of all runs, the differences to one of them with their p values, and the verdicts.

    If the tables would be wider than the terminal, runs have numbers instead of names. Verdicts are one line each, but
    fit the terminal if stdout is one.
    """
    width = shutil.get_terminal_size().columns
    tables, legend = _format_tables(comparison), []
    if max(map(measure_cells, tables)) > width:
        names = {run.name: f"run {number}" for number, run in enumerate(comparison.runs, start=1)}
        comparison = _rename(comparison, names)
        tables, legend = _format_tables(comparison), [*(f"{names[name]}  {name}" for name in names), ""]
    tests = [f"p of accuracy: McNemar's exact test; of macro F1: bootstrap, {RESAMPLES:,} resamples"]
    if (count := len(comparison.differences)) > 1:
        tests.append(f"both corrected for {count} comparisons by Holm's method; intervals are not")
    verdicts = [format_verdict(comparison, difference) for difference in comparison.differences]
    if sys.stdout is not None and sys.stdout.isatty():
        verdicts = [line for verdict in verdicts for line in textwrap.wrap(verdict, width)]
    return "\n".join([f"{comparison.texts:,} texts", "", *legend, *tables, "", *tests, "", *verdicts, ""])


def _rename(comparison: Comparison, names: Mapping[str, str]) -> Comparison:
    return replace(
        comparison,
        against=names[comparison.against],
        runs=tuple(replace(run, name=names[run.name]) for run in comparison.runs),
        differences=tuple(
            replace(each, run=names[each.run], against=names[each.against]) for each in comparison.differences
        ),
    )


def _format_tables(comparison: Comparison) -> list[str]:
    columns = ["", "accuracy", "macro F1", "loss", "calibration error", "size"]
    tested = ["", "accuracy", "right alone", "p", "macro F1", "95 % interval", "p"]
    return [
        *align_numbers([columns, *map(_format_run, comparison.runs)]),
        "",
        f"minus {comparison.against}:",
        *align_numbers([tested, *map(_format_difference, comparison.differences)]),
    ]


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
