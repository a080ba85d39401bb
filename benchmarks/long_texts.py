"""Accuracy, speed and memory of the three ways to read long texts.

    python benchmarks/long_texts.py runs/cut=FOLDER/imdb/valid.tsv.xz runs/windows=... runs/whole=...
        [--documents 200] [--pieces 1000000] [--precision fp32]

reads the labelled text with the model of each run in each way, whatever it was trained with. Prints the accuracy on all
texts, and on those that are longer than data.max_length of the model. Of the last run it then prints, for each way, how
many documents of 3.6 KB it predicts in a second on one thread (words of the text joined, the best of three turns), and
the peak memory of `textrnn predict` for one text of 1,000,000 pieces, and for a short one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import get_args

import numpy as np
from process import run_textrnn

from textrnn.config.schema import LongTexts
from textrnn.data.reading.examples import Example, read_examples
from textrnn.inference import Precision, parse_precision
from textrnn.inference.engine import Engine
from textrnn.inference.network import NumpyNetwork
from textrnn.serialization.model_file import SavedModel, load_model, save_model

WAYS = get_args(LongTexts)
DOCUMENT_BYTES = 3600
TURNS = 3


def read_as(model: SavedModel, way: str) -> SavedModel:
    """Return ``model``, which reads long texts in another way."""
    data = model.config.data.model_copy(update={"long_texts": way})
    return replace(model, config=model.config.model_copy(update={"data": data}))


def measure_accuracy(engine: Engine, examples: Sequence[Example]) -> tuple[float, float, int]:
    """Return the accuracy on all texts and on the long ones, and the number of the latter."""
    texts = [example.text for example in examples]
    best = engine.predict_log_probabilities(texts).argmax(axis=1)
    right = np.array([engine.labels[i] == example.label for i, example in zip(best, examples, strict=True)])
    counts, _ = engine.tokenizer.count_pieces([text.encode() for text in texts])
    long = counts > engine.data_config.max_length
    return float(right.mean()), float(right[long].mean()) if long.any() else float("nan"), int(long.sum())


def make_documents(examples: Sequence[Example], count: int) -> Iterator[str]:
    """Yield ``count`` documents of words of the texts."""
    words = cycle([word for example in examples for word in example.text.split(" ")])
    for _ in range(count):
        document = next(words)
        while len(document.encode()) < DOCUMENT_BYTES:
            document += f" {next(words)}"
        yield document


def measure_speed(engine: Engine, documents: Sequence[str]) -> float:
    """Return the documents that one thread predicts in a second."""
    best = float("inf")
    engine.predict(documents, threads=1)  # the tables are built, and words are in the cache
    for _ in range(TURNS):
        start = time.perf_counter()
        engine.predict(documents, threads=1)
        best = min(best, time.perf_counter() - start)
    return len(documents) / best


def measure_memory(model: SavedModel, text: str) -> int:
    """Return the peak memory of ``textrnn predict`` for one text, in bytes."""
    with tempfile.TemporaryDirectory() as name:
        path, lines = Path(name, "model.safetensors"), Path(name, "text")
        save_model(path, model)
        lines.write_text(f"{text}\n", encoding="utf-8")
        return run_textrnn("predict", "-m", path, stdin=lines).peak


def print_costs(model: SavedModel, examples: Sequence[Example], options: argparse.Namespace) -> None:
    """Print a row for the speed and memory of each way."""
    documents = list(make_documents(examples, options.documents))
    counts, _ = model.tokenizer.count_pieces([document.encode() for document in documents])
    long = " ".join(documents[:1] * (1 + options.pieces // int(counts[0])))
    precision: Precision = parse_precision(options.precision)
    print(f"\ndocuments of {int(counts.mean()):,} pieces; one text of {options.pieces:,}; {options.precision}")
    print("| read | documents/s | peak memory, one long text | one short text |\n|---|---|---|---|")
    for way in WAYS:
        chosen = read_as(model, way)
        speed = measure_speed(Engine(chosen, NumpyNetwork(chosen, precision)), documents)
        peaks = [measure_memory(chosen, text) / 1e6 for text in (long, "a short text")]
        print(f"| {way} | {speed:,.0f} | {peaks[0]:,.0f} MB | {peaks[1]:,.0f} MB |", flush=True)


def main() -> None:
    """Measure each run in each way, print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN=DATA.tsv")
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--pieces", type=int, default=1_000_000)
    parser.add_argument("--precision", default="fp32")
    options = parser.parse_args()
    print("| run | read | texts | accuracy % | long texts | accuracy % |\n|---|---|---|---|---|---|")
    for run, _, path in (name.partition("=") for name in options.runs):
        model = load_model(Path(run))
        examples = list(read_examples(path, model.config.data))
        for way in WAYS:
            every, long, count = measure_accuracy(Engine(read_as(model, way)), examples)
            print(
                f"| {Path(run).name} | {way} | {len(examples):,} | {100 * every:.2f} | {count:,} | {100 * long:.2f} |",
                flush=True,
            )
    print_costs(model, examples, options)


if __name__ == "__main__":
    main()
