"""Labels saved by labelling the texts that ``textrnn data suggest`` chooses, instead of random ones.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/labelling.py [--sets trec chatbot_ko] [--seeds 1 2 3] [--start 200]
        [--rounds 5] [--step 100] [--epochs N]

starts with random texts of the training set, and in each round adds the labels of the texts that the model of the last
round suggests, or in the comparison of random ones. Each model holds out a tenth of its labels, as ``train`` does.
Prints the test accuracy after each round, as the mean over the seeds, and the number of suggested labels that reach the
accuracy of all random labels (interpolated between rounds) in relation to these.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from textrnn.config import DataConfig, Override, load_config
from textrnn.data.reading.examples import Example, read_examples
from textrnn.evaluation.single_label import evaluate_single_label
from textrnn.evaluation.suggestions import Unlabelled, suggest
from textrnn.inference.engine import Engine
from textrnn.training.train import train


def train_on(examples: Sequence[Example], folder: Path, *, seed: int, epochs: int | None) -> Engine:
    """Train a model on ``examples``."""
    path = folder / "train.tsv"
    path.write_text("".join(f"{example.label}\t{example.text}\n" for example in examples), encoding="utf-8")
    values = {"data.train": str(path), "train.seed": seed, "data.cache": str(folder / "cache"), "train.epochs": epochs}
    config = load_config(overrides=[Override(key, value, key) for key, value in values.items() if value is not None])
    train(config, folder / "run", overwrite=True, is_latest=False)
    return Engine.load(folder / "run")


def simulate(
    pool: Sequence[Example],
    test: Sequence[Example],
    sizes: Sequence[int],
    *,
    seed: int,
    epochs: int | None,
    chooses: bool,
) -> list[float]:
    """Return the test accuracy for each of ``sizes``; ``chooses``: the model suggests the texts that are added."""
    shuffled = np.random.default_rng(seed).permutation(len(pool)).tolist()
    chosen = shuffled[: sizes[0]]
    accuracies: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        for size, following in zip(sizes, [*sizes[1:], sizes[-1]], strict=True):
            engine = train_on([pool[row] for row in chosen], Path(name), seed=seed, epochs=epochs)
            accuracies.append(evaluate_single_label(engine, test).accuracy)
            title = "suggested" if chooses else "random"
            print(f"seed {seed}, {title}, {size}: {accuracies[-1]:.4f}", file=sys.stderr, flush=True)
            chosen = choose(engine, pool, chosen, following) if chooses else shuffled[:following]
    return accuracies


def choose(engine: Engine, pool: Sequence[Example], chosen: list[int], size: int) -> list[int]:
    """Return the rows ``chosen`` of ``pool``, and those that ``engine`` suggests, ``size`` in total."""
    rest = sorted(set(range(len(pool))) - set(chosen))
    texts = [Unlabelled(row, pool[row].text) for row in rest]
    suggestions = suggest(engine, texts, count=size - len(chosen), known=[pool[row].text for row in chosen])
    return [*chosen, *(entry.source.line_number for entry in suggestions)]


def count_labels(sizes: Sequence[int], accuracies: Sequence[float], target: float) -> float:
    """Return the interpolated number of labels at which ``accuracies`` first reach ``target``; NaN if they do not."""
    for index, accuracy in enumerate(accuracies):
        if accuracy >= target:
            if index == 0:
                return sizes[0]
            before = accuracies[index - 1]
            share = (target - before) / (accuracy - before)
            return sizes[index - 1] + share * (sizes[index] - sizes[index - 1])
    return float("nan")


def main() -> None:
    """Simulate, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["trec", "chatbot_ko"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--start", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step", type=int, default=100)
    parser.add_argument("--epochs", type=int)
    options = parser.parse_args()
    sizes = [options.start + options.step * number for number in range(options.rounds + 1)]
    print(f"| | {' | '.join(map(str, sizes))} | labels | ratio |\n|{'---|' * (len(sizes) + 3)}", flush=True)
    for name in options.sets:
        data = Path(os.environ["TEXTRNN_TEST_DATA"], name)
        pool, test = (read_examples(str(data / f"{part}.tsv"), DataConfig()) for part in ("train", "test"))
        means = {}
        for chooses in (False, True):
            runs = [
                simulate(pool, test, sizes, seed=seed, epochs=options.epochs, chooses=chooses) for seed in options.seeds
            ]
            means[chooses] = np.mean(runs, axis=0).tolist()
        needed = {False: float(sizes[-1]), True: count_labels(sizes, means[True], means[False][-1])}
        for chooses, title in ((False, "random"), (True, "suggested")):
            figures = " | ".join(f"{100 * accuracy:.1f}" for accuracy in means[chooses])
            ratio = needed[chooses] / sizes[-1]
            print(f"| {name}, {title} | {figures} | {needed[chooses]:.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
