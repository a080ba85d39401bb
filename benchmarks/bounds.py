"""Tables of the figures of predict.py, and the targets they are compared with."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OURS, FASTTEXT, SVM, HELP = "textrnn", "fastText", "SVM", "--help"
SMALL_FASTTEXT = f"{FASTTEXT} of 200,000 buckets"
PRECISIONS = ("bf16", "int8")  # next to float32
PRODUCTS, ENCODING = "products of the floor", "encoding of the floor"

Turns = dict[str, list[dict[str, float]]]  # for each contestant, the figures of each turn: seconds and others
Value = float | None  # None: not measured


def list_seconds(turns: Turns, name: str) -> list[float]:
    """Return the seconds of each turn; empty if not measured."""
    return [turn["seconds"] for turn in turns.get(name, ())]


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Value:
    """Return the median of the ratios within a turn, or None if one of the two was not measured."""
    if not ours or not theirs:
        return None
    return statistics.median(x / y for x, y in zip(ours, theirs, strict=True))


def list_rates(turns: Turns, name: str, lines: int) -> list[float]:
    """Return the lines per second of each turn after the start, which is the time with one line."""
    pairs = zip(list_seconds(turns, f"{name}, many"), list_seconds(turns, f"{name}, one"), strict=True)
    return [lines / max(many - one, 1e-9) for many, one in pairs]


def tabulate_processes(turns: Turns, names: Sequence[str], lines: int) -> list[str]:
    """Return a row per process: minimum and median of its seconds, lines per second, peak memory."""
    rows = [
        f"| | one line s | {lines:,} lines s | lines/s after the start | peak MB |",
        "|---|---|---|---|---|",
    ]
    for name in names:
        one, many = (turns[f"{name}, {size}"] for size in ("one", "many"))
        rate = statistics.median(list_rates(turns, name, lines))
        peak = max(turn["peak"] for turn in many) / 1e6
        cells = (format_seconds([turn["seconds"] for turn in part]) for part in (one, many))
        rows.append(f"| {name} | {' | '.join(cells)} | {rate:,.0f} | {peak:,.0f} |")
        if "import_seconds" in one[0]:
            cells = (
                format_seconds([turn["seconds"] - turn["import_seconds"] for turn in part]) for part in (one, many)
            )
            rows.append(f"| {name} without its import | {' | '.join(cells)} | | |")
    rows.append(f"| textrnn --help | {format_seconds(list_seconds(turns, HELP))} | | | |")
    rows += [f"| {name} | | {format_seconds(list_seconds(turns, name))} | | |" for name in (PRODUCTS, ENCODING)]
    return rows


def format_seconds(values: Sequence[float]) -> str:
    """Return minimum and median."""
    return f"{min(values):.3f}, {statistics.median(values):.3f}"


@dataclass(frozen=True)
class Target:
    """A figure and its limit: a maximum, or with ``minimum`` a minimum."""

    name: str
    value: Value
    limit: float
    minimum: bool = False

    @property
    def row(self) -> str:
        """The row of the table."""
        target = f"{'>=' if self.minimum else '<='} {self.limit:g}"
        if self.value is None:
            return f"| {self.name} | - | {target} | not measured |"
        met = self.value >= self.limit if self.minimum else self.value <= self.limit
        return f"| {self.name} | {self.value:,.3f} | {target} | {'yes' if met else 'NO'} |"


def tabulate_targets(targets: Sequence[Target]) -> list[str]:
    """Return the table of the targets."""
    return ["| | figure | target | met |", "|---|---|---|---|", *(target.row for target in targets)]


def list_targets(figures: Mapping[str, Any]) -> list[Target]:
    """Return the targets with their figures."""
    turns, lines, models = figures["turns"], figures["lines"], figures["models"]
    one, many = list_seconds(turns, f"{OURS}, one"), list_seconds(turns, f"{OURS}, many")
    theirs = {size: list_seconds(turns, f"{FASTTEXT}, {size}") for size in ("one", "many")}
    parts = zip(list_seconds(turns, PRODUCTS), list_seconds(turns, ENCODING), strict=True)
    floor = [products + encoding for products, encoding in parts]
    targets = [
        Target("one line, s", statistics.median(one), 0.20),
        Target("one line, times fastText", median_ratio(one, theirs["one"]), 1),
        Target(f"{lines:,} lines, times the floor", median_ratio(many, floor), 1.6),
    ]
    rivals = {name: list_seconds(turns, f"{name}, many") for name in (FASTTEXT, SMALL_FASTTEXT)}
    targets += [Target(f"{lines:,} lines, times {name}", median_ratio(many, of), 2.5) for name, of in rivals.items()]
    for precision in PRECISIONS:
        seconds = list_seconds(turns, f"{OURS} {precision}, many")
        agreement = figures["precisions"].get(precision, {}).get("agreement")
        share = None if agreement is None else 100 * agreement
        for name, of in rivals.items():
            targets.append(Target(f"{precision}: {lines:,} lines, times {name}", median_ratio(seconds, of), 1.5))
        targets.append(Target(f"{precision}: labels equal to float32, %", share, 99.8, minimum=True))
    rates = (list_rates(turns, name, lines) for name in (OURS, SVM))
    gigabyte = figures["gigabyte"]
    return [
        *targets,
        Target("model, MB", models[OURS]["bytes"] / 1e6, 20),
        Target("lines/s after the start, times the SVM", median_ratio(*rates), 1.5, minimum=True),
        Target("peak memory on 1 GB, MB", None if gigabyte is None else gigabyte["peak"] / 1e6, 400),
        Target("textrnn --help, s", statistics.median(list_seconds(turns, HELP)), 0.25),
    ]


def report(figures: Mapping[str, Any]) -> list[str]:
    """Return the lines of all tables."""
    head = f"{figures['lines']:,} lines, {figures['pieces']:,} tokens, {figures['threads']} threads; minimum, median"
    lines = [head, "", *tabulate_processes(figures["turns"], figures["processes"], figures["lines"]), ""]
    lines += ["| | test accuracy % | model MB |", "|---|---|---|"]
    for name, model in figures["models"].items():
        lines.append(f"| {name} | {100 * model['accuracy']:.2f} | {model['bytes'] / 1e6:.1f} |")
    lines.append("")
    for precision, values in figures["precisions"].items():
        share = f"{100 * values['agreement']:.2f} % of the test labels equal those of float32"
        lines += [f"{precision}: {share}; the largest change of a probability is {values['largest change']:.4f}", ""]
    if figures["gigabyte"] is not None:
        gigabyte = figures["gigabyte"]
        lines += [f"1 GB: {gigabyte['seconds']:.0f} s, peak {gigabyte['peak'] / 1e6:,.0f} MB", ""]
    return [*lines, *tabulate_targets(list_targets(figures))]
