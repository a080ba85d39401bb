"""Accuracy with few labels: the default recipe, with word vectors, and with starters.

python benchmarks/few_labels.py FOLDER... --vectors MODEL2VEC --starter STARTER --rows 1000 100 --seeds 1 2 3

trains with default settings on so many rows of FOLDER/train.tsv, and evaluates on FOLDER/test.tsv, or with --valid on
FOLDER/valid.tsv. Word vectors have two columns: those of whole words alone, and those of parts of words too.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

import textrnn
from textrnn.data.word_vectors import read_vectors


def main() -> None:
    """Print a row for each set: accuracy in % of each variant, the mean over seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="each with train.tsv and test.tsv")
    parser.add_argument("--vectors", help="a file or folder of word vectors")
    parser.add_argument("--starter", nargs="*", default=[], help="files of textrnn pretrain, a column each")
    parser.add_argument("--rows", type=int, nargs="+", default=[1000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--valid", action="store_true", help="evaluate on valid.tsv: for choices")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        variants: dict[str, dict[str, str]] = {"none": {}}
        if options.vectors:
            words = Path(name, "words.txt")
            write_words(options.vectors, words)
            variants["whole words"] = {"embedding__vectors": str(words)}
            variants["parts of words too"] = {"embedding__vectors": options.vectors}
        variants |= {Path(path).stem: {"train__init": path} for path in options.starter}
        for count in options.rows:
            print(f"\n{count:,} rows, seeds {', '.join(map(str, options.seeds))}\n")
            print(f"| set | {' | '.join(variants)} |\n|---|{'---|' * len(variants)}", flush=True)
            for folder in options.folders:
                train = Path(name, "train.tsv")
                train.write_text("".join(draw_rows(folder / "train.tsv", count)), encoding="utf-8")
                held_out = folder / ("valid.tsv" if options.valid else "test.tsv")
                found = [measure(train, held_out, values, options=options) for values in variants.values()]
                print(f"| {folder.name} | {' | '.join(f'{accuracy:.1f}' for accuracy in found)} |", flush=True)


def measure(train: Path, held_out: Path, values: dict[str, str], *, options: argparse.Namespace) -> float:
    """Return the accuracy in %, the mean over the seeds."""
    total = 0.0
    for seed in options.seeds:
        settings = {"train__seed": seed, "train__precision": options.precision, **values}
        total += 100 * textrnn.train(train, **settings).evaluate(held_out).accuracy
    return total / len(options.seeds)


def draw_rows(path: Path, count: int) -> list[str]:
    """Return ``count`` lines of ``path``, the same ones every time."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    random.Random(7).shuffle(lines)
    return lines[:count]


def write_words(vectors: str, path: Path) -> None:
    """Write the words of ``vectors`` alone as text, which has no parts of words."""
    with path.open("w", encoding="utf-8") as file:
        for block in read_vectors(vectors):
            rows = [row for row, word in enumerate(block.words) if word]
            for row, vector in zip(rows, block.take(rows), strict=True):
                file.write(f"{block.words[row].decode()} {' '.join(f'{x:.5g}' for x in vector)}\n")


if __name__ == "__main__":
    main()
