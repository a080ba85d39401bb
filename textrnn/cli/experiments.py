"""Cross-validation and seed runs: ``train --kfold`` and ``train --seeds``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from textrnn.cli.terminal import print_message, write_data
from textrnn.cli.training_process import prepare_torch, training_process
from textrnn.config import Config, Override
from textrnn.errors import ConfigError
from textrnn.serialization.latest_run import SUMMARY_NAME

if TYPE_CHECKING:
    from textrnn.experiments.results import Summary
    from textrnn.experiments.variations import Experiment


def override_fold(kfold: int | None, seeds: int | None) -> list[Override]:
    """Return the config override of ``--kfold``.

    Raises:
        ConfigError: ``--seeds`` is given too.
    """
    if kfold is not None and seeds is not None:
        raise ConfigError("--kfold and --seeds: give only one of them")
    return [] if kfold is None else [Override("data.fold", f"1/{kfold}", f"--kfold {kfold}")]


def make_experiment(config: Config, kfold: int | None, seeds: int | None) -> Experiment | None:
    """Return the experiment that the flags ask for, or None for a single run. Loads torch for an experiment."""
    if kfold is None and seeds is None:
        return None
    prepare_torch(config.train.device)

    from textrnn.experiments.variations import CrossValidation, SeedRuns

    command = shlex.join(["textrnn", *sys.argv[1:]])
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


def _report(summary: Summary, folder: Path) -> None:
    from textrnn.experiments.results import format_score

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
