"""Does `textrnn predict` stand beside fastText in a pipe? Whole processes, start to end, beside the peers' own.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/predict.py [--model RUN] [--repeats 5] [--gigabyte] [--json FILE]

Trains on FOLDER/mr with default settings (--model RUN, an SRU, is taken in its place), and fastText with bigrams and
a linear SVM on TF-IDF as baselines.py tunes them; fastText with the number of buckets that is its default, to which the
bounds are held, and with a tenth of them. Then processes run in turns, with one line of the training text and
with all of it six times (51,180 lines): the installed command in float32 and in each --precision that it has, and for
the peers a Python process that loads the model and labels the lines of stdin (peer.py). fastText's wheel has no
command, so Python and the import are a part of its process; the times without the import are given as well. The SVM's
model is pickled by joblib. In the same turns *the floor*: the matrix products of all layers but the first, in
float32, and SentencePiece's encoding alone, both of all the lines and with the threads of the command.

Prints what was measured and then the bounds with the figures (bounds.py); ratios are medians of those within a turn.
Labels and probabilities of each precision are compared with float32's on mr's test text. --gigabyte adds the largest
memory of `predict` on 1 GB of drawn words, which takes minutes. --json keeps all figures, of each turn.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
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
from baselines import has_fasttext, rank, train_fasttexts, train_svms
from bounds import ENCODING, FASTTEXT, HELP, OURS, PRECISIONS, PRODUCTS, SVM, Turns, report
from job import run
from process import measure

from textrnn.files import write_text
from textrnn.native import library
from textrnn.serialization.model_file import SavedModel, find_model, load_model

TIMES = 6  # the training text is labelled so often
ROWS = 8192  # of a product
FASTTEXTS = {FASTTEXT: 2_000_000, f"{FASTTEXT} of a tenth of the buckets": 200_000}  # the first is its own default
PEER = Path(__file__).with_name("peer.py")

Job = Callable[[], dict[str, float]]


# what is compared


def find_command() -> str:
    """Return the installed command of this environment."""
    beside = Path(sys.executable).with_name("textrnn")
    found = str(beside) if beside.exists() else shutil.which("textrnn")
    return found or sys.exit("the textrnn command is not installed: pip install .")


def list_precisions(command: str) -> list[str]:
    """Return the precisions that ``textrnn predict`` has beside float32."""
    done = subprocess.run([command, "predict", "--help"], capture_output=True, text=True, check=True)
    if "--precision" not in done.stdout:
        print("precisions are left out: this textrnn predict has no --precision", file=sys.stderr)
        return []
    return [name for name in PRECISIONS if name in done.stdout]


def train_ours(data: Path, folder: Path) -> Path:
    files = ("--train", data / "train.tsv", "--valid", data / "valid.tsv")
    run("train", *files, "--out", folder / "run", cwd=folder, environment={"XDG_CACHE_HOME": str(folder / "cache")})
    return folder / "run"


def build_peers(data: Path, folder: Path) -> tuple[dict[str, list[object]], dict[str, dict[str, float]]]:
    """Train the peers; return the command of each, and its accuracy on test and the bytes of its model."""
    commands: dict[str, list[object]] = {}
    known = {}
    for name, buckets in FASTTEXTS.items() if has_fasttext() else ():
        path = folder / f"{buckets}.bin"
        candidate, model = max(train_fasttexts(data, 1, words=(2,), buckets=buckets), key=lambda found: rank(found[0]))
        model.save_model(str(path))
        commands[name] = [sys.executable, PEER, "fasttext", path]
        known[name] = {"accuracy": candidate.test, "bytes": path.stat().st_size}
    if not commands:
        print("fastText is left out: it is not installed (pip install 'textrnn[peers]')", file=sys.stderr)
    path = folder / "svm.joblib"
    candidate, model = max(train_svms(data), key=lambda found: rank(found[0]))
    joblib.dump(model, path)
    commands[SVM] = [sys.executable, PEER, "sklearn", path]
    known[SVM] = {"accuracy": candidate.test, "bytes": path.stat().st_size}
    return commands, known


def read_texts(path: Path) -> list[str]:
    return [line.split("\t", 1)[1] for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def predict_all(command: Sequence[object], texts: Sequence[str]) -> list[dict[str, float]]:
    """Return all labels of each text with their probabilities, likeliest first."""
    stdin = "".join(f"{text}\n" for text in texts).encode()
    done = subprocess.run([*map(str, command)], input=stdin, stdout=subprocess.PIPE, check=True)
    rows = [line.split("\t") for line in done.stdout.decode().split("\n")[:-1]]
    return [dict(zip(row[::2], map(float, row[1::2]), strict=True)) for row in rows]


def compare(theirs: Sequence[Mapping[str, float]], ours: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the share of the texts with the same likeliest label, and the largest change of a probability."""
    pairs = list(zip(theirs, ours, strict=True))
    same = sum(next(iter(a)) == next(iter(b)) for a, b in pairs)
    change = max(abs(a[label] - b[label]) for a, b in pairs for label in a)
    return {"agreement": same / len(pairs), "largest change": change}


# the floor


class Floor:
    """What no prediction with this model, of its precision, can go without."""

    def __init__(self, model: SavedModel, texts: Sequence[str]) -> None:
        layers = [model.weights[f"layers.{number}.weight"] for number in range(1, model.config.model.layers)]
        self._weights = [np.ascontiguousarray(weight) for weight in layers]
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizer.model)
        self._texts, self._threads = list(texts), library.default_threads()
        arrays = hasattr(self._processor, "EncodeAsNumpy")  # newer versions give them, faster than lists
        self._out_type = "numpy" if arrays else int
        self.pieces = sum(map(len, self._encode()))

    def _encode(self) -> list[Any]:
        return self._processor.encode(self._texts, num_threads=self._threads, out_type=self._out_type)

    def take_products(self) -> dict[str, float]:
        seconds = 0.0
        for weight in self._weights:
            x = np.zeros((ROWS, len(weight)), np.float32)
            c = np.empty((ROWS, weight.shape[1]), np.float32)
            multiply(x, weight, c, threads=self._threads)  # which touches the memory
            start = time.perf_counter()
            for done in range(0, self.pieces, ROWS):
                rows = min(ROWS, self.pieces - done)
                multiply(x[:rows], weight, c[:rows], threads=self._threads)
            seconds += time.perf_counter() - start
        return {"seconds": seconds}

    def take_encoding(self) -> dict[str, float]:
        start = time.perf_counter()
        self._encode()
        return {"seconds": time.perf_counter() - start}


def multiply(a: np.ndarray, b: np.ndarray, c: np.ndarray, *, threads: int) -> None:
    if library.supports_dtype(a.dtype):
        library.gemm(a, b, c, threads=threads)
    else:
        np.matmul(a, b, out=c)


# taking turns


def take_process(command: Sequence[object], stdin: Path) -> dict[str, float]:
    """Return the figures of a process, with those that it prints itself."""
    measured = measure(command, stdin=stdin)
    last = measured.stderr.strip().rsplit("\n", 1)[-1]
    more = json.loads(last) if last.startswith("{") else {}
    return {"seconds": measured.seconds, "peak": float(measured.peak), **more}


def take_turns(jobs: Mapping[str, Job], repeats: int) -> Turns:
    turns: Turns = {name: [] for name in jobs}
    for number in range(repeats):
        for name, job in jobs.items():
            turns[name].append(job())
        print(f"turn {number + 1} of {repeats}", file=sys.stderr, flush=True)
    return turns


def list_jobs(commands: Mapping[str, Sequence[object]], inputs: Mapping[str, Path], floor: Floor) -> dict[str, Job]:
    """Return what is measured in a turn: every command on one line and on many, the help, and the floor."""
    jobs: dict[str, Job] = {}
    for name, command in commands.items():
        for size, path in inputs.items():
            jobs[f"{name}, {size}"] = partial(take_process, command, path)
    jobs[HELP] = partial(take_process, [find_command(), "--help"], Path(os.devnull))
    return jobs | {PRODUCTS: floor.take_products, ENCODING: floor.take_encoding}


def measure_gigabyte(command: Sequence[object], folder: Path) -> dict[str, float]:
    path = folder / "gigabyte.txt"
    memory.write_text(path, 1000)
    return take_process(command, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, metavar="RUN", help="take this model in place of training one")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--gigabyte", action="store_true", help="measure the memory on 1 GB of text as well")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    options = parser.parse_args()
    source = os.environ.get("TEXTRNN_TEST_DATA")
    if not source:
        sys.exit("TEXTRNN_TEST_DATA names no folder of real text")
    with tempfile.TemporaryDirectory() as place:
        found = measure_all(Path(source).resolve() / "mr", Path(place), options)
    if options.json is not None:
        write_text(options.json, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    print("\n".join(report(found)))


def measure_all(data: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Build the models and measure; return all figures."""
    path = find_model(options.model.resolve() if options.model else train_ours(data, folder))
    model = load_model(path)
    if model.config.model.cell != "sru":
        sys.exit(f"{path}: is no SRU, of whose products the floor is made")
    ours = [find_command(), "predict", "-m", path]
    precisions = list_precisions(find_command())
    peers, models = build_peers(data, folder)
    accuracy = json.loads(run("evaluate", "-m", path, data / "test.tsv", "--json", cwd=folder)[0])["accuracy"]
    models = {OURS: {"accuracy": accuracy, "bytes": path.stat().st_size}, **models}
    test, train = read_texts(data / "test.tsv"), read_texts(data / "train.tsv")
    every = [*ours, "--top-k", len(model.labels)]
    plain = predict_all(every, test)
    changes = {name: compare(plain, predict_all([*every, "--precision", name], test)) for name in precisions}
    inputs = {"one": folder / "one.txt", "many": folder / "many.txt"}
    write_text(inputs["one"], train[0] + "\n")
    write_text(inputs["many"], "".join(f"{text}\n" for text in train * TIMES))
    floor = Floor(model, train * TIMES)
    commands = {OURS: ours, **{f"{OURS} {name}": [*ours, "--precision", name] for name in precisions}, **peers}
    turns = take_turns(list_jobs(commands, inputs, floor), options.repeats)
    return {
        "lines": len(train) * TIMES,
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
