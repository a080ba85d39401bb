"""Accuracy of training in two halves, with `train --init`, and of training on all text at once.

python benchmarks/continue_training.py FOLDER... [--seeds N] [--rows N] [--first-lacks LABEL] [--second-lacks LABEL]

divides FOLDER/train.tsv into two random halves; one of them may lack a label. Texts that are in FOLDER/valid.tsv too
are left out: `train --init` never trains on those, and other trainings would be validated on what they know. A model of
the first half continues with the second: with nothing to keep the old (`plain`), with its own predictions
(`distilled`), and with the first half (`replay`). Accuracy and loss are those on FOLDER/valid.tsv, which training
validates with too unless --hold-out is given; with --test they are those on FOLDER/test.tsv.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import textrnn

MODES = ("all at once", "first half", "plain", "distilled", "replay")


def main() -> None:
    """Print a row for each set: accuracy in % and loss in nats of each way to train, the means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="each with train.tsv and valid.tsv")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="use this many rows of train.tsv, both halves together")
    parser.add_argument("--first-lacks", metavar="LABEL", help="a label that only the second half has")
    parser.add_argument("--second-lacks", metavar="LABEL", help="a label that only the first half has")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=NUMBER", help="settings of continued training")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--hold-out", action="store_true", help="hold the validation set out of the training text")
    parser.add_argument("--test", action="store_true", help="evaluate on test.tsv")
    options = parser.parse_args()
    print(f"| set | {' | '.join(options.modes)} |\n|---|{'---|' * len(options.modes)}", flush=True)
    for folder in options.folders:
        runs = [measure(folder, seed, options) for seed in range(1, options.seeds + 1)]
        columns = [
            [statistics.fmean(values) for values in zip(*column, strict=True)] for column in zip(*runs, strict=True)
        ]
        cells = (f"{100 * accuracy:.2f} ({loss:.3f})" for accuracy, loss in columns)
        print(f"| {folder.name} | {' | '.join(cells)} |", flush=True)


def measure(folder: Path, seed: int, options: argparse.Namespace) -> list[tuple[float, float]]:
    """Return the accuracy and the loss of each of the modes."""
    settings: dict[str, Any] = {"train__seed": seed, "train__precision": options.precision}
    if not options.hold_out:
        settings["valid"] = str(folder / "valid.tsv")
    changes = {key.replace(".", "__"): float(value) for key, _, value in (item.partition("=") for item in options.set)}
    own: dict[str, dict[str, Any]] = {
        "plain": {"train__distill_share": 0.0},
        "distilled": {"train__distill_share": 0.5},
    }
    found = []
    with tempfile.TemporaryDirectory() as name:
        first, second, both, base = (Path(name, part) for part in ("first.tsv", "second.tsv", "both.tsv", "base"))
        own["replay"] = {"data__replay": str(first)}
        write_halves(folder, (first, second, both), options)
        textrnn.train(first, out=base, **settings)
        for mode in options.modes:
            if mode == "all at once":
                model = textrnn.train(both, **settings)
            elif mode == "first half":
                model = textrnn.load(base)
            else:
                model = textrnn.train(second, train__init=base, **settings, **changes, **own[mode])
            evaluation = model.evaluate(folder / ("test.tsv" if options.test else "valid.tsv"))
            found.append((evaluation.accuracy, evaluation.loss))
            print(f"{folder.name}, seed {seed}, {mode}: {found[-1]}", file=sys.stderr, flush=True)
    return found


def write_halves(folder: Path, parts: Sequence[Path], options: argparse.Namespace) -> None:
    """Write the lines of train.tsv, in random order, to three files: first half, second half, and both."""
    train, valid = ((folder / name).read_text(encoding="utf-8").splitlines() for name in ("train.tsv", "valid.tsv"))
    held_out = {line.partition("\t")[2] for line in valid}
    lines = [f"{line}\n" for line in train if line.partition("\t")[2] not in held_out]
    random.Random(7).shuffle(lines)
    lines = lines[: options.rows]
    middle = len(lines) // 2
    first = [line for line in lines[:middle] if line.split("\t")[0] != options.first_lacks]
    second = [line for line in lines[middle:] if line.split("\t")[0] != options.second_lacks]
    for part, own in zip(parts, (first, second, [*first, *second]), strict=True):
        part.write_text("".join(own), encoding="utf-8")


if __name__ == "__main__":
    main()
