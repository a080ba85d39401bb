"""Accuracy of training in two halves, with `train --init`, and of training on all text at once.

python benchmarks/continue_training.py FOLDER... [--seeds N] [--hold-back LABEL]

divides FOLDER/train.tsv into two random halves; with --hold-back the first has no text of LABEL. A model of the first
half goes on with the second: with nothing to keep the old (`plain`), with its own predictions (`distilled`, the
default), and with the first half (`replay`). Accuracy is that on FOLDER/valid.tsv, or with --test on FOLDER/test.tsv.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import textrnn

MODES = ("all at once", "first half", "plain", "distilled", "replay")


def main() -> None:
    """Print a row for each set: accuracy in % of each way to train, the mean over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="each with train.tsv and valid.tsv")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--hold-back", metavar="LABEL", help="a label that only the second half has")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=NUMBER", help="settings of continued training")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rows", type=int, help="use this many rows only")
    parser.add_argument("--test", action="store_true", help="evaluate on test.tsv")
    options = parser.parse_args()
    print(f"| set | {' | '.join(options.modes)} |\n|---|{'---|' * len(options.modes)}", flush=True)
    for folder in options.folders:
        runs = [measure(folder, seed, options) for seed in range(1, options.seeds + 1)]
        means = [statistics.fmean(column) for column in zip(*runs, strict=True)]
        print(f"| {folder.name} | {' | '.join(f'{100 * mean:.2f}' for mean in means)} |", flush=True)


def measure(folder: Path, seed: int, options: argparse.Namespace) -> list[float]:
    """Return the accuracy of each of the modes."""
    valid = str(folder / "valid.tsv")
    settings = {"valid": valid, "train__seed": seed, "train__precision": options.precision}
    changes = {key.replace(".", "__"): float(value) for key, _, value in (item.partition("=") for item in options.set)}
    with tempfile.TemporaryDirectory() as name:
        first, second = (str(Path(name, file)) for file in ("first.tsv", "second.tsv"))
        write_halves(folder / "train.tsv", (first, second), rows=options.rows, held_back=options.hold_back)
        base = Path(name, "base")
        model = textrnn.train(first, out=base, **settings)
        found = {}
        for mode in options.modes:
            if mode == "all at once":
                both = Path(name, "both.tsv")
                both.write_text(Path(first).read_text("utf-8") + Path(second).read_text("utf-8"), "utf-8")
                model = textrnn.train(both, **settings)
            elif mode != "first half":
                own = {"replay": {"data__replay": first}, "plain": {"train__distill_share": 0.0}, "distilled": {}}[mode]
                model = textrnn.train(second, train__init=base, **{**settings, **changes, **own})
            else:
                model = textrnn.load(base)
            found[mode] = model.evaluate(folder / "test.tsv" if options.test else valid).accuracy
            print(f"{folder.name}, seed {seed}, {mode}: {found[mode]:.4f}", file=sys.stderr, flush=True)
    return [found[mode] for mode in options.modes]


def write_halves(path: Path, halves: Sequence[str], *, rows: int | None, held_back: str | None) -> None:
    """Write the lines of ``path`` to two files, in random order; the first has none with the label ``held_back``."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    random.Random(7).shuffle(lines)
    lines = lines[:rows]
    middle = len(lines) // 2
    first = [line for line in lines[:middle] if line.split("\t")[0] != held_back]
    Path(halves[0]).write_text("".join(first), encoding="utf-8")
    Path(halves[1]).write_text("".join(lines[middle:]), encoding="utf-8")


if __name__ == "__main__":
    main()
