"""Time and peak memory of training and evaluating with thousands of classes.

    python benchmarks/many_classes.py [--classes 10000] [--texts 30000] [--epochs 3]

writes short random texts, trains on them, and evaluates ten of them. Prints the median seconds of an epoch and of its
validation, the peak memory of the run and as --dry-run estimates it, and the time and memory of ``textrnn evaluate``.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import sys
import tempfile
from pathlib import Path

from process import Measured, measure, run_textrnn

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
COMMON_WORDS = 300
DOUBT = 0.1  # share of the texts with the word of another class
WATCH = """
import sys, time
from textrnn.training.validation import Validator

validate = Validator.validate

def watch(self, end_batch):
    start = time.perf_counter()
    result = validate(self, end_batch)
    print("validation", time.perf_counter() - start, file=sys.stderr, flush=True)
    return result

Validator.validate = watch
sys.argv = ["textrnn", *sys.argv[1:]]
from textrnn.__main__ import main
main()
"""


def write_classes(path: Path, classes: int, texts: int) -> list[str]:
    """Write lines ``label<TAB>text`` of one word of the class among common words; return them."""
    rng = random.Random(1)

    def draw(syllables: int) -> str:
        return "".join(rng.choices(SYLLABLES, k=syllables))

    common, own = [draw(2) for _ in range(COMMON_WORDS)], [draw(3) for _ in range(classes)]
    lines = []
    for number in range(texts):
        true = number % classes
        told = own[true if rng.random() > DOUBT else rng.randrange(classes)]
        words = [told, *rng.choices(common, k=rng.randint(2, 6))]
        rng.shuffle(words)
        lines.append(f"class{true:05}\t{' '.join(words)}\n")
    rng.shuffle(lines)
    path.write_text("".join(lines), encoding="utf-8")
    return lines


def format_row(name: str, measured: Measured) -> str:
    """Return a row of the table of commands."""
    return f"| {name} | {measured.seconds:.1f} | {measured.peak / 2**20:,.0f} | {len(measured.stdout) / 1e6:.2f} |"


def main() -> None:
    """Write the texts, run the commands, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--texts", type=int, default=30_000)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = write_classes(folder / "all.tsv", options.classes, options.texts)
        (folder / "ten.tsv").write_text("".join(lines[:10]), encoding="utf-8")
        arguments = ["train", "--train", folder / "all.tsv", "--out", folder / "run", "--epochs", options.epochs]
        estimate = run_textrnn(*arguments, "--dry-run")
        run = measure([sys.executable, "-c", WATCH, *arguments])
        records = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
        epoch = statistics.median(record["seconds"] for record in records)
        validation = statistics.median(float(found) for found in re.findall(r"^validation (\S+)", run.stderr, re.M))
        memory = re.findall(r"([\d,]+) MiB of memory", estimate.stderr)
        print(f"{options.classes:,} classes, {options.texts:,} texts")
        print(f"epoch {epoch:.1f} s, validation {validation:.1f} s ({validation / epoch:.2f} of it)")
        print(f"peak memory {run.peak / 2**20:,.0f} MiB, by --dry-run {memory[0] if memory else 'unknown'} MiB\n")
        print("| | s | peak MiB | output MB |\n|---|---|---|---|")
        ten = [folder / "ten.tsv", "-m", folder / "run"]
        print(format_row("--help", run_textrnn("evaluate", "--help")))
        print(format_row("evaluate ten texts", run_textrnn("evaluate", *ten)))
        print(format_row("evaluate ten texts, --json", run_textrnn("evaluate", *ten, "--json")))


if __name__ == "__main__":
    main()
