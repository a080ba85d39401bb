"""What ``predict --cascade`` skips, saves and changes, for trained models.

    python benchmarks/cascade.py RUN=TEST.tsv ... [--agreements 0.99 0.995 0.999] [--repeats 5]

labels the texts of each TEST with the model in RUN, with and without a cascade, in turns on one thread. Prints the
share of texts that the network did not read, the share with the label of the whole model, accuracy and loss, and the
lowest processor time (encoding and prediction) relative to that of the whole model.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from textrnn.data.batch import PackedBatch
from textrnn.data.reading.examples import Example, read_examples
from textrnn.evaluation.single_label import evaluate_single_label
from textrnn.inference.engine import Engine
from textrnn.inference.network import NumpyNetwork
from textrnn.inference.pooling import Array
from textrnn.serialization.model_file import load_model

HEADER = ["| | skipped % | same label % | accuracy % | loss | processor time |", "|---|---|---|---|---|---|"]


class CountingNetwork(NumpyNetwork):
    """A network that counts the texts that it reads."""

    texts = 0

    def forward(self, batch: PackedBatch, *, threads: int) -> Array:
        """Count the texts and return their logits (B, C)."""
        self.texts += len(batch)
        return super().forward(batch, threads=threads)


def measure(run: Path, examples: Sequence[Example], agreements: Sequence[float], repeats: int) -> list[str]:
    """Return a row of the table for the whole model, and for each of ``agreements``."""
    model = load_model(run)
    network = CountingNetwork(model)
    engine, texts = Engine(model, network), [example.text for example in examples]
    if engine.cascade is None:
        raise SystemExit(f"{run}: the model has no cascade")
    margins = {"whole model": None, **{f"{value:g}": engine.cascade.find_margin(value) for value in agreements}}
    found = {name: margin for name, margin in margins.items() if margin is not None or name == "whole model"}
    seconds: dict[str, list[float]] = {name: [] for name in found}
    logits, read = {}, {}
    for _ in range(1 + repeats):
        for name, margin in found.items():
            engine.margin, network.texts = margin, 0
            start = time.process_time()
            logits[name] = engine.predict_logits(texts, threads=1)
            seconds[name].append(time.process_time() - start)
            read[name] = network.texts
    whole, rows = logits["whole model"].argmax(axis=1), []
    for name in margins:
        if name not in found:
            rows.append(f"| {run.name}, {name} | not supported | | | | |")
            continue
        result = evaluate_single_label(engine, examples, logits=logits[name])
        skipped, same = 1 - read[name] / len(texts), (logits[name].argmax(axis=1) == whole).mean()
        ratio = min(seconds[name][1:]) / min(seconds["whole model"][1:])  # the first turn fills tables
        figures = f"{100 * skipped:.1f} | {100 * same:.2f} | {100 * result.accuracy:.2f} | {result.loss:.4f}"
        rows.append(f"| {run.name}, {name} | {figures} | {ratio:.2f} |")
    return rows


def main() -> None:
    """Measure all models and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN=TEST.tsv")
    parser.add_argument("--agreements", type=float, nargs="+", default=[0.99, 0.995, 0.999])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(*HEADER, sep="\n")
    for pair in options.runs:
        run, _, test = pair.partition("=")
        examples = read_examples(test, load_model(Path(run)).config.data)
        print(*measure(Path(run), examples, options.agreements, options.repeats), sep="\n", flush=True)


if __name__ == "__main__":
    main()
