"""Experiments: ``train --kfold``, ``train --seeds`` and ``train --learning-curve``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from textrnn.cli.terminal import print_message, write_data
from textrnn.cli.training_process import prepare_torch, training_process, write_curve_page
from textrnn.config import Config, Override
from textrnn.errors import ConfigError
from textrnn.serialization.latest_run import SUMMARY_NAME

if TYPE_CHECKING:
    from textrnn.evaluation.learning_curve import Curve
    from textrnn.experiments.results import Summary
    from textrnn.experiments.variations import Experiment


def make_overrides(kfold: int | None, seeds: int | None, *, learning_curve: bool) -> list[Override]:
    """Return the config overrides that the flags of experiments ask for.

    Raises:
        ConfigError: two kinds of experiments are asked for.
    """
    asked = {"--kfold": kfold is not None, "--seeds": seeds is not None, "--learning-curve": learning_curve}
    if len(given := [flag for flag, is_given in asked.items() if is_given]) > 1:
        raise ConfigError(f"{given[0]} and {given[1]}: give only one of them")
    return [] if kfold is None else [Override("data.fold", f"1/{kfold}", f"--kfold {kfold}")]


def make_experiment(config: Config, kfold: int | None, seeds: int | None, *, learning_curve: bool) -> Experiment | None:
    """Return the experiment that the flags ask for, or None for a single run. Loads torch for an experiment."""
    if kfold is None and seeds is None and not learning_curve:
        return None
    prepare_torch(config.train.device)

    from textrnn.experiments.variations import CrossValidation, LearningCurve, SeedRuns

    command = shlex.join(["textrnn", *sys.argv[1:]])
    if learning_curve:
        return LearningCurve(config, len(LearningCurve.PARTS) * LearningCurve.SEEDS, command)
    return CrossValidation(config, kfold, command) if kfold is not None else SeedRuns(config, seeds or 1, command)


def train_experiment(experiment: Experiment, out: Path | None, *, overwrite: bool) -> None:
    """Run ``experiment`` into ``out``, by default a folder named after the data, and report the scores."""
    folder = out if out is not None else experiment.default_folder()
    with training_process(experiment.config.train.device) as reporter:
        from textrnn.experiments import runs

        summary = runs.run_experiment(experiment, folder, overwrite=overwrite, reporter=reporter)
    _report(summary, folder)


def resume_experiment(folder: Path, expected: Experiment | None = None) -> None:
    """Resume the experiment in ``folder``, and report the scores."""
    with training_process("auto") as reporter:
        from textrnn.experiments import runs

        summary = runs.resume_experiment(folder, expected=expected, reporter=reporter)
    _report(summary, folder)


def _report_curve(curve: Curve) -> None:
    from textrnn.experiments.results import format_score

    for point in curve.points:
        score = format_score("accuracy", point.mean, point.deviation)
        print_message(f"{point.texts:,} training texts: {score} on valid")
    law, estimate = curve.law, format_score("accuracy", curve.doubled_accuracy)
    print_message(
        f"{curve.doubled_texts:,} training texts: {estimate}, estimated by "
        f"error = {law.limit:.3f} + {law.scale:.2f} * texts ^ -{law.rate:.2f}"
    )


def _report(summary: Summary, folder: Path) -> None:
    from textrnn.experiments.results import format_score

    if summary.curve is not None:
        _report_curve(summary.curve)
        write_curve_page(folder)
    for part, spreads in (("valid", summary.valid), ("test", summary.test)):
        if spreads is not None:
            scores = [
                format_score(metric, spread.mean, spread.deviation)
                for metric, spread in spreads.items()
                if metric != "micro_f1" or spread != spreads["accuracy"]  # equal for single-label models
            ]
            print_message(f"mean ± deviation of {len(summary.runs)} {summary.kind}s on {part}: {', '.join(scores)}")
    best = summary.runs[summary.best]
    print_message(
        f"best: {summary.best}, {format_score(summary.metric, best.valid[summary.metric])} on valid; all figures are "
        f"in {folder / SUMMARY_NAME}; label lines with: textrnn predict -m {folder / summary.best}"
    )
    write_data(f"{folder / summary.best}\n")
