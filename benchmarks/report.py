"""Size, time and peak memory of evaluation pages.

    python benchmarks/report.py [--rows 1000000] [--epochs 2]

trains on trec, chatbot_ko (TEXTRNN_TEST_DATA) and 20,000 generated texts of 150 classes, then runs the installed
`evaluate` and `report` on the test sets and on generated rows. The difference of the two is what a page costs beyond
prediction; that of a training with and without its page is measured too.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from process import run_textrnn

CLASSES = 150
WORDS_PER_CLASS, COMMON_WORDS = 12, 400
TRAINED = 20_000
NEIGHBORS = 5  # classes that share words, so that they are confused


def write_rows(path: Path, rows: int, *, seed: int) -> None:
    """Write ``rows`` texts of 4 to 28 words of 150 classes, which are confused in groups of five."""
    rng = np.random.default_rng(seed)
    syllables = np.array([a + b for a in "bcdfgklmnprst" for b in "aeiou"])
    words = np.random.default_rng(0).choice(syllables, ((CLASSES * WORDS_PER_CLASS) + COMMON_WORDS, 3))
    vocabulary = ["".join(parts) for parts in words.tolist()]
    with path.open("w", encoding="ascii") as file:
        for start in range(0, rows, 10_000):
            count = min(10_000, rows - start)
            labels = rng.integers(0, CLASSES, count)
            near = labels // NEIGHBORS * NEIGHBORS + rng.integers(0, NEIGHBORS, count)
            from_class = np.where(rng.random(count) < 0.5, labels, near)
            own = from_class[:, None] * WORDS_PER_CLASS + rng.integers(0, WORDS_PER_CLASS, (count, 2))
            common = CLASSES * WORDS_PER_CLASS + rng.integers(0, COMMON_WORDS, (count, 26))
            lengths = rng.integers(2, 27, count).tolist()
            chosen = zip(labels.tolist(), own.tolist(), common.tolist(), lengths, strict=True)
            for label, mine, others, length in chosen:
                text = " ".join(vocabulary[index] for index in (*mine, *others[:length]))
                file.write(f"class {label:03d}\t{text}\n")


def list_sets(folder: Path, rows: int) -> dict[str, tuple[Path, Path]]:
    """Return the training and the test file of each set; the generated ones are written to ``folder``."""
    sets = {}
    if data := os.environ.get("TEXTRNN_TEST_DATA"):
        for name in ("trec", "chatbot_ko"):
            sets[name] = (Path(data) / name / "train.tsv", Path(data) / name / "test.tsv")
    train, test = folder / "train.tsv", folder / "test.tsv"
    write_rows(train, TRAINED, seed=1)
    write_rows(test, rows, seed=2)
    return {**sets, f"{rows:,} rows of {CLASSES} classes": (train, test)}


def main() -> None:
    """Train, evaluate, write the pages, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        columns = ("", "KB", "evaluate s", "report s", "report peak MiB", "train s", "with its page s")
        print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
        for name, (train, test) in list_sets(folder, options.rows).items():
            run, page = folder / "run", folder / "page.html"
            seconds = []
            for report in ("false", "true"):
                words = ("train", "--train", train, "--out", run, "--epochs", options.epochs, "--overwrite")
                own = {"XDG_CACHE_HOME": str(folder / f"cache-{report}")}
                seconds.append(run_textrnn(*words, "--set", f"train.report={report}", environment=own).seconds)
            evaluated = run_textrnn("evaluate", "-m", run, test, "--json")
            reported = run_textrnn("report", "-m", run, test, "-o", page)
            size, peak = page.stat().st_size / 1000, reported.peak / 2**20
            print(
                f"| {name} | {size:,.0f} | {evaluated.seconds:.1f} | {reported.seconds:.1f} | {peak:,.0f} | "
                f"{seconds[0]:.1f} | {seconds[1]:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
