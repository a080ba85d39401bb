"""Time and memory of `textrnn predict` in a pipe, compared with fastText and a linear SVM.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/predict.py [--model RUN] [--repeats 5] [--gigabyte] [--json FILE]

Trains on FOLDER/mr with default settings (or uses --model RUN, an SRU), fastText with bigrams and a linear SVM on
TF-IDF (baselines.py). Whole processes then run in turns, with one line of the training set and with six copies of
it (51,180 lines): the installed command in float32 and each other --precision, and for the baselines a Python
process that loads the model and labels the lines of stdin (peer.py). *The floor* is measured in the same turns: the
matrix products of all layers but the first in float32, and SentencePiece's encoding, on all lines with the threads
of the command.

Prints the figures and the targets (bounds.py). Labels and probabilities of each precision are compared with those
of float32 on mr's test set. --gigabyte adds the peak memory on 1 GB of random words, which takes minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import memory
import numpy as np
import sentencepiece
from baselines import choose, has_fasttext, train_fasttext, train_svm
from bounds import ENCODING, FASTTEXT, HELP, OURS, PRECISIONS, PRODUCTS, SMALL_FASTTEXT, SVM, Turns, report
from process import measure, read_texts, run_textrnn, write_lines

from textrnn.files import write_text
from textrnn.inference.linear import missing_support
from textrnn.native import functions, library
from textrnn.serialization.model_file import SavedModel, find_model, load_model

COPIES = 6  # of the training set
ROWS = 8192  # of a matrix product
FASTTEXT_BUCKETS = {FASTTEXT: 2_000_000, SMALL_FASTTEXT: 200_000}  # the first is fastText's default
PEER = Path(__file__).with_name("peer.py")

Job = Callable[[], dict[str, float]]


# the contestants


def find_command() -> str:
    """Return the installed command of this environment."""
    installed = Path(sys.executable).with_name("textrnn")
    path = str(installed) if installed.exists() else shutil.which("textrnn")
    return path or sys.exit("the textrnn command is not installed: pip install .")


def train_ours(data: Path, folder: Path) -> Path:
    """Train with default settings and an empty cache; return the run folder."""
    files = ("--train", data / "train.tsv", "--valid", data / "valid.tsv", "--out", folder / "run")
    run_textrnn("train", *files, cwd=folder, environment={"XDG_CACHE_HOME": str(folder / "cache")})
    return folder / "run"


def build_peers(data: Path, folder: Path) -> tuple[dict[str, list[object]], dict[str, dict[str, float]]]:
    """Train the baselines; return the command of each, and its test accuracy and the size of its model in bytes."""
    commands: dict[str, list[object]] = {}
    figures = {}
    for name, buckets in FASTTEXT_BUCKETS.items() if has_fasttext() else ():
        path = folder / f"{buckets}.bin"
        best = choose(train_fasttext(data, 1, ngrams=(2,), buckets=buckets))
        best.model.save_model(str(path))
        commands[name] = [sys.executable, PEER, "fasttext", path]
        figures[name] = {"accuracy": best.test, "bytes": path.stat().st_size}
    path = folder / "svm.joblib"
    best = choose(train_svm(data))
    joblib.dump(best.model, path)
    commands[SVM] = [sys.executable, PEER, "sklearn", path]
    figures[SVM] = {"accuracy": best.test, "bytes": path.stat().st_size}
    return commands, figures


def predict_all(command: Sequence[object], texts: Path) -> list[dict[str, float]]:
    """Return the probabilities of all labels for each text, most probable first."""
    output = measure(command, stdin=texts, capture=True).stdout.decode()
    rows = [line.split("\t") for line in output.split("\n")[:-1]]
    return [dict(zip(row[::2], map(float, row[1::2]), strict=True)) for row in rows]


def compare(theirs: Sequence[Mapping[str, float]], ours: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the share of texts with the same label, and the largest change of a probability."""
    pairs = list(zip(theirs, ours, strict=True))
    same = sum(next(iter(a)) == next(iter(b)) for a, b in pairs)
    change = max(abs(a[label] - b[label]) for a, b in pairs for label in a)
    return {"agreement": same / len(pairs), "largest change": change}


# the floor


class Floor:
    """The work that no prediction with this model can avoid in float32."""

    def __init__(self, model: SavedModel, texts: Sequence[str]) -> None:
        layers = [model.weights[f"layers.{number}.weight"] for number in range(1, model.config.model.layers)]
        self._weights = [np.ascontiguousarray(weight) for weight in layers]
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizer.model)
        self._texts, self._threads = list(texts), library.default_threads()
        arrays = hasattr(self._processor, "EncodeAsNumpy")  # newer versions return them, faster than lists
        self._out_type = "numpy" if arrays else int
        self.pieces = sum(map(len, self._encode()))

    def _encode(self) -> list[Any]:
        return self._processor.encode(self._texts, num_threads=self._threads, out_type=self._out_type)

    def measure_products(self) -> dict[str, float]:
        seconds = 0.0
        for weight in self._weights:
            x = np.zeros((ROWS, len(weight)), np.float32)
            c = np.empty((ROWS, weight.shape[1]), np.float32)
            multiply(x, weight, c, threads=self._threads)  # warm up
            start = time.perf_counter()
            for done in range(0, self.pieces, ROWS):
                rows = min(ROWS, self.pieces - done)
                multiply(x[:rows], weight, c[:rows], threads=self._threads)
            seconds += time.perf_counter() - start
        return {"seconds": seconds}

    def measure_encoding(self) -> dict[str, float]:
        start = time.perf_counter()
        self._encode()
        return {"seconds": time.perf_counter() - start}


def multiply(a: np.ndarray, b: np.ndarray, c: np.ndarray, *, threads: int) -> None:
    if library.supports_dtype(a.dtype):
        functions.gemm(a=a, b=b, c=c, threads=threads)
    else:
        np.matmul(a, b, out=c)


# the turns


def measure_process(command: Sequence[object], stdin: Path | None = None) -> dict[str, float]:
    """Return the figures of a process, including those that it prints itself."""
    measured = measure(command, stdin=stdin)
    last = measured.stderr.strip().rsplit("\n", 1)[-1]
    printed = json.loads(last) if last.startswith("{") else {}
    return {"seconds": measured.seconds, "peak": float(measured.peak), **printed}


def run_turns(jobs: Mapping[str, Job], repeats: int) -> Turns:
    """Return the figures of each job in each turn."""
    turns: Turns = {name: [] for name in jobs}
    for number in range(repeats):
        for name, job in jobs.items():
            turns[name].append(job())
        print(f"turn {number + 1} of {repeats}", file=sys.stderr, flush=True)
    return turns


def list_jobs(commands: Mapping[str, Sequence[object]], inputs: Mapping[str, Path], floor: Floor) -> dict[str, Job]:
    """Return the jobs of a turn: every command on one line and on many, the help, and the floor."""
    jobs: dict[str, Job] = {}
    for name, command in commands.items():
        for size, path in inputs.items():
            jobs[f"{name}, {size}"] = partial(measure_process, command, path)
    jobs[HELP] = partial(measure_process, [find_command(), "--help"])
    return jobs | {PRODUCTS: floor.measure_products, ENCODING: floor.measure_encoding}


def measure_gigabyte(command: Sequence[object], folder: Path) -> dict[str, float]:
    """Return the figures of a process on 1 GB of random words."""
    path = folder / "gigabyte.txt"
    memory.write_text(path, 1000)
    return measure_process(command, path)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, metavar="RUN", help="use this model instead of training one")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--gigabyte", action="store_true", help="also measure the memory on 1 GB of text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures of each turn to FILE")
    options = parser.parse_args()
    data = os.environ.get("TEXTRNN_TEST_DATA") or parser.error("set TEXTRNN_TEST_DATA to a folder of data sets")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure_all(Path(data).resolve() / "mr", Path(folder), options)
    if options.json is not None:
        write_text(options.json, json.dumps(figures, ensure_ascii=False, indent=1) + "\n")
    print("\n".join(report(figures)))


def measure_all(data: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Build the models and measure; return all figures."""
    path = find_model(options.model.resolve() if options.model else train_ours(data, folder))
    model = load_model(path)
    if model.config.model.cell != "sru":
        sys.exit(f"{path}: not an SRU; the floor is defined by the products of an SRU")
    ours = [find_command(), "predict", "-m", path]
    peers, models = build_peers(data, folder)
    metrics = json.loads(run_textrnn("evaluate", "-m", path, data / "test.tsv", "--json").stdout)
    models = {OURS: {"accuracy": metrics["accuracy"], "bytes": path.stat().st_size}, **models}
    test, train = write_lines(folder / "test.txt", read_texts(data / "test.tsv")), read_texts(data / "train.tsv")
    all_labels = [*ours, "--top-k", len(model.labels)]
    plain = predict_all(all_labels, test)
    changes = {
        name: compare(plain, predict_all([*all_labels, "--precision", name], test))
        for name in PRECISIONS
        if not missing_support(name)
    }
    inputs = {
        "one": write_lines(folder / "one.txt", train[:1]),
        "many": write_lines(folder / "many.txt", train * COPIES),
    }
    floor = Floor(model, train * COPIES)
    commands = {OURS: ours, **{f"{OURS} {name}": [*ours, "--precision", name] for name in changes}, **peers}
    turns = run_turns(list_jobs(commands, inputs, floor), options.repeats)
    return {
        "lines": len(train) * COPIES,
        "pieces": floor.pieces,
        "threads": library.default_threads(),
        "processes": list(commands),
        "models": models,
        "precisions": changes,
        "turns": turns,
        "gigabyte": measure_gigabyte(ours, folder) if options.gigabyte else None,
    }


if __name__ == "__main__":
    main()
