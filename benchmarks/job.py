"""Accuracy, training time and prediction speed of SRU and GRU with default settings.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/job.py [NAME ...]

FOLDER holds NAME/train.tsv, valid.tsv and test.tsv (label<TAB>text). Everything runs as the installed command.
Prints the first table of docs/results/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from itertools import cycle, islice
from pathlib import Path

from process import read_texts, run_textrnn, write_lines

CELLS = ("sru", "gru")
PREDICTED_LINES = 20_000


def measure_cell(data: Path, cell: str, folder: Path) -> str:
    """Train, evaluate and predict; return a row of the table."""
    out = folder / f"{data.name}-{cell}"
    files = ("--train", data / "train.tsv", "--valid", data / "valid.tsv")
    training = run_textrnn("train", "--cell", cell, *files, "--out", out, cwd=folder)
    metrics = json.loads(run_textrnn("evaluate", "-m", out, data / "test.tsv", "--json", cwd=folder).stdout)
    texts = read_texts(data / "test.tsv")
    one, many = (
        run_textrnn("predict", "-m", out, stdin=write_lines(folder / "texts.txt", list(islice(cycle(texts), count))))
        for count in (1, PREDICTED_LINES)
    )
    speed = PREDICTED_LINES / max(many.seconds - one.seconds, 1e-9)
    epochs = len((out / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return (
        f"| {data.name} | {cell.upper()} | {100 * metrics['accuracy']:.1f} | {100 * metrics['macro_f1']:.1f} "
        f"| {epochs} | {training.seconds:.0f} | {one.seconds:.2f} | {speed:,.0f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["trec", "chatbot_ko"], metavar="NAME")
    options = parser.parse_args()
    data = os.environ.get("TEXTRNN_TEST_DATA") or parser.error("set TEXTRNN_TEST_DATA to a folder of data sets")
    print("| set | cell | test accuracy % | macro F1 % | epochs | training s | one line s | lines/s |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names:
            for cell in CELLS:
                print(measure_cell(Path(data).resolve() / name, cell, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
