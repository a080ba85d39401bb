"""Time until a training is as accurate as a tuned SVM.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/time_to_accuracy.py [--sets trec,mr,chatbot_ko] [--epochs 1,2,4,8,16,30]

For each set it tunes a linear SVM on TF-IDF, as accuracy.py does. It then runs whole `textrnn train` commands, each
with the next number of epochs and a schedule of that length, until the accuracy on the validation set is at least the
SVM's.
Prints the seconds of that command and of all commands up to it, and those of the SVM: of all its candidates, and of one
with its features.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from baselines import choose, find_part, train_svm
from process import run_textrnn


def measure_svm(data: Path) -> tuple[float, float, float]:
    """Return the accuracy on the validation set, the seconds of all candidates and those of the first one."""
    start = time.perf_counter()
    candidates = train_svm(data)
    found = [next(candidates)]
    first = time.perf_counter() - start
    found += candidates
    return choose(found).valid, time.perf_counter() - start, first


def measure_training(data: Path, out: Path, epochs: int) -> tuple[float, float]:
    """Train for some epochs; return the model's accuracy on the validation set and the seconds of the whole command."""
    files = ("--train", find_part(data, "train"), "--valid", find_part(data, "valid"), "--out", out, "--overwrite")
    seconds = run_textrnn("train", "--epochs", epochs, *files, cwd=out.parent).seconds
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return next(row["accuracy"] for row in reversed(metrics) if row.get("best")), seconds


def main() -> None:
    """Measure each set, print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="trec,mr,chatbot_ko")
    parser.add_argument("--epochs", default="1,2,4,8,16,30")
    parser.add_argument("--data", type=Path, default=os.environ.get("TEXTRNN_TEST_DATA"), metavar="FOLDER")
    options = parser.parse_args()
    print("| set | SVM: valid %, s of all candidates, of one | textrnn: epochs, valid %, s | s of all commands |")
    print("|---|---|---|---|", flush=True)
    for name in options.sets.split(","):
        data = options.data / name
        goal, all_seconds, one = measure_svm(data)
        spent = 0.0
        with tempfile.TemporaryDirectory() as folder:
            for epochs in map(int, options.epochs.split(",")):
                accuracy, seconds = measure_training(data, Path(folder, "run"), epochs)
                spent += seconds
                if accuracy >= goal:
                    break
        ours = f"{epochs}, {100 * accuracy:.2f}, {seconds:.1f}" + ("" if accuracy >= goal else " (not reached)")
        print(f"| {name} | {100 * goal:.2f}, {all_seconds:.1f}, {one:.1f} | {ours} | {spent:.1f} |", flush=True)


if __name__ == "__main__":
    main()
