"""Training and prediction on an idle and on a busy machine, on one thread and on all.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/busy.py [--epochs 2] [--repeats 3] [--sets trec mr] [--cells sru]

runs whole commands in turns: `textrnn train` for --epochs on each set, and `textrnn predict` of six copies of the last
set's training texts. First nothing else runs, with one thread and with one for each core; then beside one endless loop
on every core, and beside three. With n loops beside them the fair share of a core is 1 / (n + 1), so a command that
loses nothing takes n + 1 times as long as alone. Prints the seconds, minimum and median, and the targets. The machine
should be idle: load from elsewhere counts as the benchmark's own.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bounds import Target, format_seconds, median_ratio, tabulate_targets
from process import read_texts, run_textrnn, write_lines

LOADS = (0, 1, 3)  # endless loops on each core
COPIES = 6  # of the training texts, for prediction
SPEED_UP = 1.6  # of two threads over one, at least
SLOW_DOWN = {1: 2.2, 3: 4.5}  # at most; the fair share is one more than the loops
PREDICTION = "predict"

Times = dict[tuple[str, int, int], list[float]]
"""The seconds of each turn, by command, threads and loops on each core."""


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keep ``loops`` endless loops running."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def train(folder: Path, out: Path, *, cell: str, epochs: int, threads: int) -> float:
    """Train on a set, with a cache that all runs share; return the seconds."""
    files = ("--train", folder / "train.tsv", "--valid", folder / "valid.tsv", "--out", out, "--overwrite")
    return _measure("train", "--cell", cell, "--epochs", epochs, *files, threads=threads, cwd=out.parent)


def predict(model: Path, texts: Path, *, threads: int) -> float:
    """Label the lines of ``texts``; return the seconds."""
    return _measure("predict", "-m", model, "-o", os.devnull, texts, threads=threads, cwd=model.parent)


def _measure(*arguments: object, threads: int, cwd: Path) -> float:
    environment = {"OMP_NUM_THREADS": str(threads), "XDG_CACHE_HOME": str(cwd / "cache")}
    return run_textrnn(*arguments, cwd=cwd, environment=environment).seconds


def list_conditions(cores: int) -> list[tuple[int, int]]:
    """Return the pairs of threads and loops on each core: one thread is measured on an idle machine only."""
    return [(1, 0), *((cores, loops) for loops in LOADS)]


def measure_all(data: Path, folder: Path, options: argparse.Namespace) -> Times:
    """Run all commands in turns."""
    cores, times = len(os.sched_getaffinity(0)), Times()
    names = {f"{name}, {cell}": (data / name, cell) for name in options.sets for cell in options.cells}
    texts = write_lines(folder / "texts.txt", read_texts(data / options.sets[-1] / "train.tsv") * COPIES)
    for name, (path, cell) in names.items():  # tokenizer and cache, once
        train(path, folder / name, cell=cell, epochs=1, threads=cores)
    for turn in range(options.repeats):
        for threads, loops in list_conditions(cores):
            with busy(loops * cores):
                for name, (path, cell) in names.items():
                    seconds = train(path, folder / name, cell=cell, epochs=options.epochs, threads=threads)
                    times.setdefault((name, threads, loops), []).append(seconds)
                seconds = predict(folder / next(reversed(names)), texts, threads=threads)
                times.setdefault((PREDICTION, threads, loops), []).append(seconds)
        print(f"turn {turn + 1} of {options.repeats}", file=sys.stderr, flush=True)
    return times


def report(times: Times) -> list[str]:
    """Return the table of seconds, and the targets."""
    names, conditions = list(dict.fromkeys(key[0] for key in times)), list(dict.fromkeys(key[1:] for key in times))
    heads = [f"{threads} threads, {loops} loops a core" for threads, loops in conditions]
    rows = [f"| seconds: minimum, median | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    for name in names:
        cells = [format_seconds(times[name, threads, loops]) for threads, loops in conditions]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    cores = max(threads for threads, _ in conditions)
    targets = []
    for name in names:
        alone = times[name, cores, 0]
        speed_up = median_ratio(times[name, 1, 0], alone)
        targets.append(Target(f"{name}: {cores} threads, times as fast as one", speed_up, SPEED_UP, minimum=True))
        for loops, most in SLOW_DOWN.items():
            ratio = median_ratio(times[name, cores, loops], alone)
            targets.append(Target(f"{name}: beside {loops} loops a core, times as long as alone", ratio, most))
    return [*rows, "", *tabulate_targets(targets)]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=2, metavar="N")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--sets", nargs="+", default=["trec", "mr"], metavar="NAME")
    parser.add_argument("--cells", nargs="+", default=["sru"], metavar="CELL")
    options = parser.parse_args()
    data = os.environ.get("TEXTRNN_TEST_DATA") or parser.error("set TEXTRNN_TEST_DATA to a folder of data sets")
    with tempfile.TemporaryDirectory() as folder:
        print("\n".join(report(measure_all(Path(data).resolve(), Path(folder), options))))


if __name__ == "__main__":
    main()
