"""Whether thresholds of confidence keep the error that they guarantee.

    python benchmarks/abstention.py runs/trec=FOLDER/trec/test.tsv runs/mr=FOLDER/mr/test.tsv ...

halves each test set at random, 100 times. It finds a threshold for at most 2, 5 and 10 % errors on one half, as
`textrnn evaluate --max-error` does, and counts how often the other half has no more. Prints for each set the share of
splits with a threshold, in how many the guarantee held (it holds without a threshold), the mean share of texts that the
threshold covers in the other half, and the mean of their errors.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.data.reading.examples import read_examples
from textrnn.evaluation.abstention import fit_guarantee
from textrnn.evaluation.predictions import Predictions, Scores, predict_examples
from textrnn.inference.engine import Engine

SPLITS = 100
MAX_ERRORS = (0.02, 0.05, 0.1)


def select(predictions: Predictions, rows: npt.NDArray[np.int64]) -> Predictions:
    """Return the predictions of the texts ``rows``."""
    both = [Scores(s.confidence[rows], s.loss[rows]) for s in (predictions.calibrated, predictions.uncalibrated)]
    columns = {name: getattr(predictions, name)[rows] for name in ("true", "predicted", "margin")}
    return replace(predictions, **columns, calibrated=both[0], uncalibrated=both[1])


def measure(predictions: Predictions, max_error: float) -> tuple[float, int, float, float]:
    """Return the share of splits with a threshold, the guarantees kept, and the others' mean coverage and error."""
    kept, coverage, errors = 0, [], []
    for seed in range(SPLITS):
        halves = np.array_split(np.random.default_rng(seed).permutation(len(predictions)), 2)
        first, second = (select(predictions, rows) for rows in halves)
        guarantee = fit_guarantee(first, max_error)
        if guarantee.threshold is None:
            kept += 1
            continue
        covered = second.calibrated.confidence >= guarantee.threshold
        coverage.append(float(covered.mean()))
        errors.append(float((~second.correct[covered]).mean()))
        kept += errors[-1] <= max_error
    return len(errors) / SPLITS, kept, float(np.mean(coverage or [0.0])), float(np.mean(errors or [0.0]))


def main() -> None:
    """Measure each set, print a row for each guarantee."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="RUN=TEST.tsv")
    print("| run | texts | errors % | at most % | with a threshold % | kept of 100 | covered % | errors among them % |")
    print("|---|---|---|---|---|---|---|---|")
    for run, _, path in (name.partition("=") for name in parser.parse_args().sets):
        engine = Engine.load(Path(run))
        predictions = predict_examples(engine, read_examples(path, engine.data_config))
        all_errors = 100 * (1 - predictions.correct.mean())
        for max_error in MAX_ERRORS:
            found, kept, coverage, error = measure(predictions, max_error)
            cells = (
                f"{100 * max_error:g}",
                f"{100 * found:.0f}",
                f"{kept}",
                f"{100 * coverage:.1f}",
                f"{100 * error:.2f}",
            )
            print(f"| {Path(run).name} | {len(predictions):,} | {all_errors:.1f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
