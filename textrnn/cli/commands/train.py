"""``textrnn train``: train a classifier."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from textrnn.cli import experiments, options
from textrnn.cli.parameters import Argument, Option
from textrnn.cli.terminal import print_message, write_data
from textrnn.cli.training_process import prepare_torch, training_process, write_training_page
from textrnn.config import DEMO, Config, Override, load_config
from textrnn.errors import ConfigError, ModelError, pluralize
from textrnn.serialization.initial_config import inherit_settings
from textrnn.serialization.latest_run import is_experiment
from textrnn.serialization.refit import make_refit_config

if TYPE_CHECKING:
    from textrnn.training.train import Outcome

_REFIT_KEYS = {"train.seed", "train.device", "train.tensorboard", "train.checkpoint_minutes", "data.cache"}
"""Keys that may differ between a run and its refit."""


def train_command(
    config: Annotated[
        Path | None, Argument(metavar="CONFIG.yaml", help="A config file; 'textrnn init' writes one.")
    ] = None,
    cell: options.CellOption = None,
    train: options.TrainOption = None,
    valid: options.ValidOption = None,
    tokenizer: options.TokenizerOption = None,
    vectors: options.VectorsOption = None,
    init: options.InitOption = None,
    replay: options.ReplayOption = None,
    out: Annotated[Path | None, Option(metavar="FOLDER", help="Run folder.  [default: runs/NAME-CELL]")] = None,
    layers: options.LayersOption = None,
    hidden: options.HiddenOption = None,
    epochs: options.EpochsOption = None,
    batch_size: options.BatchSizeOption = None,
    lr: options.LearningRateOption = None,
    seed: options.SeedOption = None,
    device: options.TrainingDeviceOption = None,
    settings: options.ConfigSettings = None,
    kfold: Annotated[
        int | None, Option(metavar="K", min=2, max=9999, help="Run K-fold cross-validation on the training set.")
    ] = None,
    seeds: Annotated[
        int | None,
        Option(metavar="N", min=1, max=9999, help="Train N models, with seeds S, S+1, ... where S is --seed."),
    ] = None,
    learning_curve: Annotated[
        bool,
        Option("--learning-curve", help="Train on 1/16 to all of the training set, with 3 seeds each: 15 models."),
    ] = False,
    refit: Annotated[
        Path | None,
        Option(
            metavar="RUN",
            help="Train a final model on all texts of RUN, a run or experiment, with its best epoch and calibration.",
        ),
    ] = None,
    tensorboard: options.TensorBoardOption = False,
    overwrite: options.OverwriteOption = False,
    resume: Annotated[Path | None, Option(metavar="FOLDER", help="Resume the interrupted run in FOLDER.")] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Print the config and estimate steps, time and memory; train nothing.")
    ] = False,
) -> None:
    """Train a classifier.

    Prints the run folder. Labelled text is TSV (label<TAB>text), CSV with a header, JSON Lines, or the __label__
    format of fastText. Precedence: flags, then --set, then CONFIG.yaml, then defaults; 'textrnn config schema' lists
    all keys. --kfold and --seeds train several models into subfolders of FOLDER, write mean scores to
    FOLDER/summary.json, and print the folder of the best model. So does --learning-curve, which shows the accuracy by
    the number of training texts, and an estimate for twice as many; FOLDER/report.html draws them. --refit trains a
    final model on training and validation set together. --init continues from a model with new text and new labels.

    \b
      textrnn train --cell sru
      textrnn train --train train.tsv --valid valid.tsv --out runs/questions
      textrnn train config.yaml --cell gru --set model.dropout=0.3
      textrnn train --resume runs/questions
      textrnn train --train train.tsv --dry-run
      textrnn train --train all.tsv --kfold 5
      textrnn train --train all.tsv --learning-curve
      textrnn train --refit runs/all-sru-5-folds
      textrnn train --init runs/june --train july.tsv --replay june.tsv
    """
    if resume is not None and kfold is None and seeds is None and not learning_curve:
        _resume(resume)
        return
    overrides = options.collect_overrides(locals())
    overrides += experiments.make_overrides(kfold, seeds, learning_curve=learning_curve)
    if resume is not None:
        _check_resume(resume, {f"--out {out}": out is not None, "--overwrite": overwrite, "--dry-run": dry_run})
    if refit is None:
        resolved = inherit_settings(load_config(config, overrides=overrides))
    else:
        given = {str(config): config is not None, "--dry-run": dry_run, f"--resume {resume}": resume is not None}
        asked = {f"--seeds {seeds}": seeds is not None, "--learning-curve": learning_curve}
        _check_refit(refit, overrides, given | asked)
        resolved = make_refit_config(refit, overrides)
    if resolved.train.init is not None and resolved.data.train == DEMO:
        raise ConfigError(f"train.init {resolved.train.init}: needs text of your own; name it with --train")
    experiment = experiments.make_experiment(resolved, kfold, seeds, learning_curve=learning_curve)
    if dry_run and learning_curve:
        raise ConfigError("--dry-run: has no estimate for --learning-curve; leave one out")
    if dry_run:
        _estimate(resolved, runs=1 if experiment is None else experiment.count)
    elif experiment is None:
        _train(resolved, out, overwrite=overwrite)
    elif resume is None:
        experiments.train_experiment(experiment, out, overwrite=overwrite)
    else:
        experiments.resume_experiment(resume, expected=experiment)


def _check_resume(folder: Path, options: dict[str, bool]) -> None:
    """Raise ConfigError if one of ``options``, which have no effect on a resumed experiment, is given."""
    if given := [option for option, is_given in options.items() if is_given]:
        raise ConfigError(f"--resume {folder}: continues the runs in its own folder; leave out {given[0]}")


def _check_refit(run: Path, overrides: list[Override], options: dict[str, bool]) -> None:
    """Raise ConfigError if an option would change the model in another way than by its seed."""
    given = [option for option, is_given in options.items() if is_given]
    given += [override.origin for override in overrides if override.key not in _REFIT_KEYS]
    if given:
        raise ConfigError(f"--refit {run}: uses the settings of that run; leave out {given[0]}")


def _resume(folder: Path) -> None:
    """Resume the run or experiment in ``folder``; raises ConfigError if other arguments would change it."""
    words = sys.argv[sys.argv.index("train") + 1 :]
    own = {"--resume", "--debug"}
    if extra := [word for word in words if word not in own and Path(word.removeprefix("--resume=")) != folder]:
        raise ConfigError(f"--resume {folder}: uses the settings of the interrupted run; leave out {extra[0]}")
    if not folder.is_dir():  # before torch is loaded
        raise ModelError(folder, f"{'a file' if folder.exists() else 'no such folder'}; name the folder of the run")
    if is_experiment(folder):
        experiments.resume_experiment(folder)
        return
    with training_process("auto") as reporter:
        from textrnn.training import train as training

        outcome = training.resume(folder, reporter=reporter)
        write_training_page(outcome)
    report_run(outcome)


def _train(config: Config, out: Path | None, *, overwrite: bool) -> None:
    with training_process(config.train.device) as reporter:
        from textrnn.serialization.run_folder import default_folder
        from textrnn.training import train as training

        folder = out if out is not None else default_folder(config)
        command = shlex.join(["textrnn", *sys.argv[1:]])
        outcome = training.train(config, folder, command=command, overwrite=overwrite, reporter=reporter)
        write_training_page(outcome)
    report_run(outcome)


def report_run(outcome: Outcome) -> None:
    """Report the best epoch and, if there is a test set, the scores on it."""
    if os.environ.get("RANK", "0") != "0":
        return
    from textrnn.cli.progress import format_metric

    config, best = outcome.config, outcome.best
    epochs = f"best epoch {best.epoch}: {format_metric(best, config.train.metric)} on valid"
    if config.train.refit is not None:
        epochs = f"final model of {pluralize(best.epoch, 'epoch', 'epochs')}"
    verb = "label" if config.data.target == "label" else "score"
    print_message(f"{epochs}, in {outcome.seconds:.0f} s; {verb} lines with: textrnn predict -m {outcome.folder}")
    write_data(f"{outcome.folder}\n")
    if config.data.test is None:
        return
    from textrnn.evaluation.labelled_text import evaluate_file
    from textrnn.evaluation.multi_label import MultiLabelEvaluation
    from textrnn.evaluation.regression import ScoreEvaluation
    from textrnn.inference.engine import Engine

    evaluation = evaluate_file(Engine.load(outcome.folder), config.data.test, config.data)
    if isinstance(evaluation, ScoreEvaluation):
        shown = f"MAE {evaluation.mae:.4f}, RMSE {evaluation.rmse:.4f}"
        print_message(f"test: {shown} ({config.data.test})")
        return
    micro = f"micro F1 {100 * evaluation.micro_f1:.2f} %, " if isinstance(evaluation, MultiLabelEvaluation) else ""
    macro = f"accuracy {100 * evaluation.accuracy:.2f} %, macro F1 {100 * evaluation.macro_f1:.2f} %"
    print_message(f"test: {micro}{macro} ({config.data.test})")


def _estimate(config: Config, *, runs: int) -> None:
    """Print the resolved config on stdout, and an estimate of each of the ``runs`` on stderr."""
    if config.train.refit is not None:
        raise ConfigError(f"--dry-run: train.refit has no estimate; a refit takes as long as {config.train.refit} did")
    prepare_torch(config.train.device)

    from textrnn.cli.progress import make_reporter
    from textrnn.config import dump_yaml
    from textrnn.training.dry_run import dry_run

    estimate = dry_run(config, reporter=make_reporter())
    epochs = estimate.config.train.epochs
    assert epochs is not None  # dry_run resolves it
    memory = "" if estimate.memory is None else f" and {estimate.memory / 2**20:,.0f} MiB of memory"
    print_message(
        f"{pluralize(epochs, 'epoch', 'epochs')} of {pluralize(estimate.batches, 'step', 'steps')} and "
        f"{estimate.tokens:,} pieces, {estimate.steps:,} steps at most: about "
        f"{_format_seconds(estimate.seconds)}{memory}{f' for each of {runs} runs' if runs > 1 else ''}; "
        "nothing was trained"
    )
    write_data(dump_yaml(estimate.config))


def _format_seconds(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 3:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 180 else f"{minutes / 60:.0f} h"
