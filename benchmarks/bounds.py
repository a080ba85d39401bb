"""What predict.py measured as tables, and the bounds that its figures are held to."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OURS, FASTTEXT, SVM, HELP = "textrnn", "fastText", "SVM", "--help"
PRECISIONS = ("bf16", "int8")  # beside float32, where the command has them
PRODUCTS, ENCODING = "products of the floor", "encoding of the floor"

Turns = dict[str, list[dict[str, float]]]  # of each contestant, what each turn took: seconds and what else is known
Value = float | None  # None: not measured


def seconds_of(turns: Turns, name: str) -> list[float]:
    return [turn["seconds"] for turn in turns.get(name, ())]


def divide(ours: Sequence[float], theirs: Sequence[float]) -> Value:
    """Return the median of the ratios within a turn; nothing where one of the two was not measured."""
    if not ours or not theirs:
        return None
    return statistics.median(x / y for x, y in zip(ours, theirs, strict=True))


def rates_of(turns: Turns, name: str, lines: int) -> list[float]:
    """Return the lines a second of each turn, without the start: without the time of the process with one line."""
    pairs = zip(seconds_of(turns, f"{name}, many"), seconds_of(turns, f"{name}, one"), strict=True)
    return [lines / max(many - one, 1e-9) for many, one in pairs]


def tabulate_processes(turns: Turns, names: Sequence[str], lines: int) -> list[str]:
    """Return a row for each process: minimum and median of its seconds, lines a second, its largest memory."""
    rows = [
        f"| | one line s | {lines:,} lines s | lines/s after the start | peak MB |",
        "|---|---|---|---|---|",
    ]
    for name in names:
        one, many = (seconds_of(turns, f"{name}, {size}") for size in ("one", "many"))
        rate = statistics.median(rates_of(turns, name, lines))
        peak = max(turn["peak"] for turn in turns[f"{name}, many"]) / 1e6
        rows.append(f"| {name} | {show(one)} | {show(many)} | {rate:,.0f} | {peak:,.0f} |")
        if "import_seconds" in turns[f"{name}, one"][0]:
            less = [
                [turn["seconds"] - turn["import_seconds"] for turn in turns[f"{name}, {size}"]]
                for size in ("one", "many")
            ]
            rows.append(f"| {name} without its import | {show(less[0])} | {show(less[1])} | | |")
    rows.append(f"| textrnn --help | {show(seconds_of(turns, HELP))} | | | |")
    rows += [f"| {name} | | {show(seconds_of(turns, name))} | | |" for name in (PRODUCTS, ENCODING)]
    return rows


def show(values: Sequence[float]) -> str:
    return f"{min(values):.3f}, {statistics.median(values):.3f}"


@dataclass(frozen=True)
class Bound:
    """What is wanted of a figure: that it is not above ``limit``, or with ``least`` not below it."""

    name: str
    value: Value
    limit: float
    least: bool = False

    @property
    def row(self) -> str:
        if self.value is None:
            return f"| {self.name} | - | {self._wanted} | not measured |"
        met = self.value >= self.limit if self.least else self.value <= self.limit
        return f"| {self.name} | {self.value:,.3f} | {self._wanted} | {'yes' if met else 'NO'} |"

    @property
    def _wanted(self) -> str:
        return f"{'>=' if self.least else '<='} {self.limit:g}"


def list_bounds(found: Mapping[str, Any]) -> list[Bound]:
    """Return the bounds with the figures of ``found``."""
    turns, lines, models = found["turns"], found["lines"], found["models"]
    one, many = seconds_of(turns, f"{OURS}, one"), seconds_of(turns, f"{OURS}, many")
    theirs = {size: seconds_of(turns, f"{FASTTEXT}, {size}") for size in ("one", "many")}
    parts = zip(seconds_of(turns, PRODUCTS), seconds_of(turns, ENCODING), strict=True)
    floor = [products + encoding for products, encoding in parts]
    bounds = [
        Bound("one line, s", statistics.median(one), 0.35),
        Bound("one line, times fastText", divide(one, theirs["one"]), 1),
        Bound(f"{lines:,} lines, times the floor", divide(many, floor), 1.6),
        Bound(f"{lines:,} lines, times fastText", divide(many, theirs["many"]), 4),
    ]
    for precision in PRECISIONS:  # one of the two is enough
        seconds = seconds_of(turns, f"{OURS} {precision}, many")
        agreement = found["precisions"].get(precision, {}).get("agreement")
        share = None if agreement is None else 100 * agreement
        bounds.append(Bound(f"{precision}: {lines:,} lines, times fastText", divide(seconds, theirs["many"]), 2))
        bounds.append(Bound(f"{precision}: labels as in float32, %", share, 99.5, least=True))
    rates = (rates_of(turns, name, lines) for name in (OURS, SVM))
    gigabyte = found["gigabyte"]
    return [
        *bounds,
        Bound("model, MB", models[OURS]["bytes"] / 1e6, 20),
        Bound("lines/s after the start, times the SVM", divide(*rates), 1.5, least=True),
        Bound("peak memory on 1 GB, MB", None if gigabyte is None else gigabyte["peak"] / 1e6, 400),
        Bound("textrnn --help, s", statistics.median(seconds_of(turns, HELP)), 0.25),
    ]


def report(found: Mapping[str, Any]) -> list[str]:
    """Return the lines of all tables of ``found``, which is what --json keeps."""
    lines = [f"{found['lines']:,} lines, {found['pieces']:,} pieces, {found['threads']} threads; minimum, median", ""]
    lines += [*tabulate_processes(found["turns"], found["processes"], found["lines"]), ""]
    lines += ["| | test accuracy % | model MB |", "|---|---|---|"]
    for name, model in found["models"].items():
        lines.append(f"| {name} | {100 * model['accuracy']:.2f} | {model['bytes'] / 1e6:.1f} |")
    lines.append("")
    for precision, values in found["precisions"].items():
        share = f"{100 * values['agreement']:.2f} % of the test text's labels are float32's"
        lines += [f"{precision}: {share}; no probability changes by more than {values['largest change']:.4f}", ""]
    if found["gigabyte"] is not None:
        gigabyte = found["gigabyte"]
        lines += [f"1 GB: {gigabyte['seconds']:.0f} s, peak {gigabyte['peak'] / 1e6:,.0f} MB", ""]
    bounds = [bound.row for bound in list_bounds(found)]
    return [*lines, "| | figure | wanted | met |", "|---|---|---|---|", *bounds, "", "of bf16 and int8 one is enough"]
