"""Accuracy with few labels: without word vectors, with those of whole words, and with those of parts of words too.

python benchmarks/few_labels.py FOLDER... --vectors MODEL2VEC

trains with default settings on 1,000 rows of FOLDER/train.tsv, and evaluates on FOLDER/test.tsv.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

import textrnn
from textrnn.data.word_vectors import read_vectors


def main() -> None:
    """Print a row for each set: test accuracy in % of the three variants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="each with train.tsv and test.tsv")
    parser.add_argument("--vectors", required=True, help="a file or folder of word vectors")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"{options.rows:,} rows, seed {options.seed}")
    print("| set | no vectors | whole words | parts of words too |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        words = Path(name, "words.txt")
        write_words(options.vectors, words)
        for folder in options.folders:
            train = Path(name, "train.tsv")
            train.write_text("".join(draw_rows(folder / "train.tsv", options.rows)), encoding="utf-8")
            found = []
            for vectors in (None, str(words), options.vectors):
                model = textrnn.train(train, embedding__vectors=vectors, train__seed=options.seed)
                found.append(f"{100 * model.evaluate(folder / 'test.tsv').accuracy:.1f}")
            print(f"| {folder.name} | {' | '.join(found)} |", flush=True)


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
