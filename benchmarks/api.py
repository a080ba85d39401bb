"""Overhead of Python's API: Model.predict over the engine, and fastText's module one text at a time.

    python benchmarks/api.py MODEL texts.txt [--rounds 15]

Times are those of the processor, and both sides of a ratio run in turn; figures are those of the fastest round, which
other programs disturb least. Set OMP_NUM_THREADS=1: the time of several threads would add up.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from textrnn import fasttext
from textrnn.api import Model
from textrnn.inference.engine import Engine

SIZES = (1, 100, 10_000)


def measure(calls: list[Callable[[], object]], *, rounds: int, repeats: int) -> list[list[float]]:
    """Return the processor's seconds for a call of each of ``calls``, for each round of ``repeats`` calls in turn."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, found in zip(calls, times, strict=True):
            start = time.process_time()
            for _ in range(repeats):
                call()
            found.append((time.process_time() - start) / repeats)
    return times


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    lines = options.texts.read_text(encoding="utf-8").splitlines()
    engine = Engine.load(Path(options.model))
    model, other = Model(engine), fasttext.load_model(options.model)
    print("| texts in a call | engine, ms | Model.predict, ms | overhead |\n|---|---|---|---|")
    for size in SIZES:
        texts = (lines * (size // len(lines) + 1))[:size]
        calls = [lambda texts=texts: engine.predict(texts), lambda texts=texts: model.predict(texts)]
        measure(calls, rounds=1, repeats=1)
        one, two = measure(calls, rounds=options.rounds, repeats=max(1, 500 // size))
        times = f"{1e3 * min(one):.3f} | {1e3 * min(two):.3f}"
        print(f"| {size:,} | {times} | {100 * (min(two) / min(one) - 1):.1f} % |", flush=True)
    texts = (lines * (1000 // len(lines) + 1))[:1000]

    def predict_each() -> None:
        for text in texts:
            other.predict(text)

    [found] = measure([predict_each], rounds=options.rounds, repeats=1)
    print(f"\nfasttext: {1000 / min(found):,.0f} calls/s")


if __name__ == "__main__":
    main()
