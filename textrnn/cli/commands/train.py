"""``textrnn train``: train a classifier."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textrnn.cli import experiments
from textrnn.cli.terminal import say, write_data
from textrnn.cli.training_process import prepare_torch, training_process
from textrnn.config import Cell, Config, Override, load_config, parse_overrides
from textrnn.errors import ConfigError, pluralize
from textrnn.serialization.latest_run import is_experiment

if TYPE_CHECKING:
    from textrnn.reporter import Reporter
    from textrnn.training.train import Outcome


ConfigFile = Annotated[Path | None, typer.Argument(metavar="CONFIG.yaml", help="A config; 'textrnn init' writes one.")]
CellName = Annotated[Cell | None, typer.Option(help="The recurrent cell.  [default: sru]")]
TrainFile = Annotated[
    list[str] | None, typer.Option(metavar="FILE", help="Labelled training text.  [default: demo data]")
]
ValidFile = Annotated[
    list[str] | None, typer.Option(metavar="FILE", help="Labelled text to stop on.  [default: a tenth of train]")
]
TokenizerFile = Annotated[
    str | None, typer.Option(metavar="FILE", help="A SentencePiece .model.  [default: trained on the text]")
]
VectorsFile = Annotated[
    str | None, typer.Option(metavar="FILE", help="Pretrained word vectors (GloVe, .vec, .npy).  [default: none]")
]
Out = Annotated[Path | None, typer.Option(metavar="FOLDER", help="The run folder.  [default: runs/NAME-CELL]")]
Layers = Annotated[int | None, typer.Option(metavar="N", help="Recurrent layers.  [default: 2]")]
Hidden = Annotated[int | None, typer.Option(metavar="N", help="Width, per direction.  [default: 128]")]
Epochs = Annotated[
    int | None,
    typer.Option(metavar="N", help="Passes over the text, at most.  [default: 12, and up to 30 on small text]"),
]
BatchSize = Annotated[
    int | None, typer.Option(metavar="N", help="Texts in a step.  [default: 8 to 64, by the number of texts]")
]
Rate = Annotated[float | None, typer.Option(metavar="RATE", help="Highest learning rate.  [default: 0.003]")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Fixes everything drawn at random.  [default: 42]")]
Device = Annotated[
    str | None, typer.Option(metavar="auto|cpu|cuda|cuda:N|mps", help="Where to train.  [default: auto]")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="path.to.key=value", help="Any key of the config, as in --set model.pooling=max."),
]
Resume = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Go on with the interrupted run in FOLDER, to the same end.")
]
Folds = Annotated[
    int | None,
    typer.Option("--kfold", metavar="K", min=2, max=9999, help="Train K runs, each stopped on another K-th of train."),
]
Seeds = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=9999, help="Train N runs, with the seeds S, S+1, ... of --seed S.")
]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write events for TensorBoard into FOLDER/tensorboard.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print config, data, steps, time and memory; train nothing.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Delete an earlier run in FOLDER in place of keeping it as FOLDER.1.")
]


def train_command(
    config: ConfigFile = None,
    cell: CellName = None,
    train: TrainFile = None,
    valid: ValidFile = None,
    tokenizer: TokenizerFile = None,
    vectors: VectorsFile = None,
    out: Out = None,
    layers: Layers = None,
    hidden: Hidden = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: Rate = None,
    seed: Seed = None,
    device: Device = None,
    settings: Settings = None,
    kfold: Folds = None,
    seeds: Seeds = None,
    tensorboard: TensorBoard = False,
    overwrite: Overwrite = False,
    resume: Resume = None,
    dry_run: DryRun = False,
) -> None:
    """Train a classifier.

    Prints the folder of the run. Labelled text is TSV (label<TAB>text), CSV with a header, JSON Lines, or fastText's
    __label__x text. A flag beats --set, --set beats the config, the config beats the defaults; 'textrnn config
    schema' lists every key. An earlier run in FOLDER is kept as FOLDER.1. --kfold and --seeds leave a run folder for
    each model in FOLDER, with means and deviations in FOLDER/summary.json, and print the folder of the best.

    \b
      textrnn train --cell sru
      textrnn train --train train.tsv --valid valid.tsv --out runs/questions
      textrnn train config.yaml --cell gru --set model.dropout=0.3
      textrnn train --resume runs/questions
      textrnn train --train train.tsv --dry-run
      textrnn train --train all.tsv --kfold 5
    """
    if resume is not None and kfold is None and seeds is None:
        _resume(resume)
        return
    flags: dict[str, tuple[str, Any]] = {
        "model.cell": ("--cell", cell),
        "data.train": ("--train", _take_one("--train", train)),
        "data.valid": ("--valid", _take_one("--valid", valid)),
        "tokenizer.model": ("--tokenizer", tokenizer),
        "embedding.vectors": ("--vectors", vectors),
        "model.layers": ("--layers", layers),
        "model.hidden": ("--hidden", hidden),
        "train.epochs": ("--epochs", epochs),
        "train.batch_size": ("--batch-size", batch_size),
        "train.lr": ("--lr", lr),
        "train.seed": ("--seed", seed),
        "train.device": ("--device", device),
        "train.tensorboard": ("--tensorboard", tensorboard or None),
    }
    overrides = parse_overrides(settings or ())
    overrides += [Override(key, value, f"{flag} {value}") for key, (flag, value) in flags.items() if value is not None]
    overrides += experiments.override_fold(kfold, seeds)
    if resume is not None and out is not None and out.resolve() != resume.resolve():
        raise ConfigError(f"--resume {resume}: goes on in its own folder; leave out --out {out}")
    resolved = load_config(config, overrides=overrides)
    experiment = experiments.make_experiment(resolved, kfold, seeds)
    if dry_run:
        _estimate(resolved)
    elif experiment is None:
        _train(resolved, out, overwrite=overwrite)
    elif resume is None:
        experiments.train_experiment(experiment, out, overwrite=overwrite)
    else:
        experiments.resume_experiment(resume, expected=experiment)


def _take_one(flag: str, files: list[str] | None) -> str | None:
    """Return the file that ``flag`` names; raises ConfigError where there are experiments."""
    if files and len(files) > 1:
        raise ConfigError(f"{flag} {files[1]}: given twice; put the files together, as with cat")
    return files[0] if files else None


def _resume(folder: Path) -> None:
    """Go on with the run or the study in ``folder``."""
    _refuse_others(folder)
    if is_experiment(folder):
        experiments.resume_experiment(folder)
    else:
        _finish(lambda training, reporter: training.resume(folder, reporter=reporter), device="auto")


def _train(config: Config, out: Path | None, *, overwrite: bool) -> None:
    """Train what ``config`` says, into ``out`` or the folder that is named after the data."""
    command = shlex.join(["textrnn", *sys.argv[1:]])

    def run(training: ModuleType, reporter: Reporter) -> Outcome:
        from textrnn.serialization.run_folder import default_folder

        folder = out if out is not None else default_folder(config)
        result: Outcome = training.train(config, folder, command=command, overwrite=overwrite, reporter=reporter)
        return result

    _finish(run, device=config.train.device)


def _refuse_others(resume: Path) -> None:
    """Refuse what would change the run that ``--resume`` goes on with."""
    words = sys.argv[sys.argv.index("train") + 1 :]
    own = {"--resume", "--debug"}
    if given := [word for word in words if word not in own and Path(word.removeprefix("--resume=")) != resume]:
        raise ConfigError(f"--resume {resume}: goes on with the run as it was begun; leave out {given[0]}")


def _estimate(config: Config) -> None:
    """Print what a run would be, and train nothing: the config on stdout, the rest on stderr."""
    prepare_torch(config.train.device)

    from textrnn.cli.progress import make_reporter
    from textrnn.config import dump_yaml
    from textrnn.training.dry_run import dry_run

    found = dry_run(config, reporter=make_reporter())
    epochs = found.config.train.epochs
    assert epochs is not None  # resolved by the data
    memory = "" if found.memory is None else f" and {found.memory / 2**20:,.0f} MiB of memory"
    say(
        f"{pluralize(epochs, 'epoch', 'epochs')} of {pluralize(found.batches, 'step', 'steps')} and "
        f"{found.tokens:,} pieces, {found.steps:,} steps at most: about "
        f"{_format_seconds(found.seconds)}{memory}; nothing was trained"
    )
    write_data(dump_yaml(found.config))


def _format_seconds(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 3:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 180 else f"{minutes / 60:.0f} h"


def _finish(run: Callable[[ModuleType, Reporter], Outcome], *, device: str) -> None:
    """Prepare the process, run the training, and say what came of it."""
    with training_process(device) as reporter:
        from textrnn.training import train as training

        outcome = run(training, reporter)
    if os.environ.get("RANK", "0") == "0":  # of several processes the first speaks
        _report(outcome)


def _report(outcome: Outcome) -> None:
    from textrnn.cli.progress import format_metric

    config, best = outcome.config, outcome.best
    say(
        f"best epoch {best.epoch}: {format_metric(best, config.train.metric)} on valid, in {outcome.seconds:.0f} s; "
        f"label lines with: textrnn predict -m {outcome.folder}"
    )
    write_data(f"{outcome.folder}\n")
    if config.data.test is not None:
        _score_test(config, outcome)


def _score_test(config: Config, outcome: Outcome) -> None:
    from textrnn.evaluation.labeled_text import evaluate_file
    from textrnn.evaluation.multi_label import MultiLabelEvaluation
    from textrnn.inference.engine import Engine

    assert config.data.test is not None
    found = evaluate_file(Engine.load(outcome.folder), config.data.test, config.data)
    micro = f"micro F1 {100 * found.micro_f1:.2f} %, " if isinstance(found, MultiLabelEvaluation) else ""
    scores = f"{micro}accuracy {100 * found.accuracy:.2f} %, macro F1 {100 * found.macro_f1:.2f} %"
    say(f"test: {scores} ({config.data.test})")
