"""A training run, from a config or a checkpoint to a finished run folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed

from textrnn.config import Config, check_config
from textrnn.data.reading.io import STDIN, is_pipe
from textrnn.errors import ConfigError, ModelError, OtherRankError, OutOfMemoryError
from textrnn.ops.device import make_repeatable, resolve_device
from textrnn.preparation.dataset import load_dataset
from textrnn.preparation.initial_model import InitialModel
from textrnn.reporter import EpochRecord, Reporter, Reporters
from textrnn.serialization.checkpoint import Checkpoint, explaining_damage
from textrnn.serialization.initial_config import check_init_folder, inherit_settings
from textrnn.serialization.latest_run import CHECKPOINT_NAME
from textrnn.serialization.model_file import find_model, load_model
from textrnn.serialization.refit import Refit
from textrnn.serialization.run_folder import RunFolder, find_checkpoint
from textrnn.training.callbacks import Callbacks
from textrnn.training.continuation.distillation import distill_targets
from textrnn.training.continuation.retention import describe_retention
from textrnn.training.distributed import ProcessGroup
from textrnn.training.model_setup import (
    build_network,
    describe_network,
    fit_ngram_model,
    resolve_config,
    resolve_precision,
)
from textrnn.training.tensorboard import TensorBoardReporter
from textrnn.training.trainer import Trainer, TrainerState


@dataclass(frozen=True)
class Outcome:
    """A finished run: its folder, resolved config, best epoch (of a final model the last) and duration."""

    folder: Path
    config: Config
    best: EpochRecord
    seconds: float


def train(
    config: Config,
    out: Path,
    *,
    command: str = "",
    overwrite: bool = False,
    reporter: Reporter | None = None,
    is_latest: bool = True,
) -> Outcome:
    """Train a model by ``config`` into the run folder ``out``.

    The same config, data, machine and number of threads give a model file of the same bytes.

    Args:
        command: the user's command line, which the run folder records.
        overwrite: whether to delete an earlier run in ``out`` instead of moving it.
        reporter: the receiver of progress reports.
        is_latest: whether commands without ``-m`` use this run from now on.

    Raises:
        ConfigError: ``out`` cannot be a run folder.
        DataError: a data file is unusable, or the loss diverges.
        TokenizerError: the tokenizer cannot be read or trained.
        BackendError: the device is not available, or out of memory.
        StoppedError: a signal ended the run.
    """
    group = ProcessGroup.from_environment()
    config = inherit_settings(config)
    check_init_folder(config, out)
    if group.restarts and _has_checkpoint_of(config, out):
        return resume(out, reporter=reporter, is_latest=is_latest)
    config = resolve_precision(config, processes=group.size)
    refit = None if config.train.refit is None else Refit.read(Path(config.train.refit), out=out)
    with reporting(_choose_reporter(config, group, reporter)) as chosen:
        run = RunFolder(out, command=command, overwrite=overwrite, is_latest=is_latest)
        return _run(config, run, group=group, reporter=chosen, refit=refit)


def resume(folder: Path, *, reporter: Reporter | None = None, is_latest: bool = True) -> Outcome:
    """Resume the interrupted run in ``folder``; the result has the same bytes as that of an uninterrupted run.

    Raises:
        ModelError: ``folder`` has no checkpoint, or the data have changed.
        ConfigError, DataError, TokenizerError, BackendError, StoppedError: as :func:`train`.
    """
    group = ProcessGroup.from_environment()
    checkpoint = find_checkpoint(folder)
    with explaining_damage(folder / CHECKPOINT_NAME):
        config = check_config(checkpoint.state["config"])
        records = TrainerState.restore(checkpoint.state["progress"]).records
        stored = checkpoint.state.get("refit")
        refit = None if stored is None else Refit.restore(stored)
    _check_initial(config, folder)
    if any(record.best for record in records):
        load_model(folder)  # fail now if the best model so far is missing or damaged
    with reporting(_choose_reporter(config, group, reporter)) as chosen:
        run = RunFolder(folder, resumes=records, is_latest=is_latest)
        return _run(config, run, group=group, reporter=chosen, checkpoint=checkpoint, refit=refit)


def _choose_reporter(config: Config, group: ProcessGroup, reporter: Reporter | None) -> Reporter:
    """Return the reporter of this rank: only rank 0 reports."""
    if not group.is_main:
        return Reporter()
    reporters = [reporter] if reporter else []
    return Reporters(*reporters, TensorBoardReporter()) if config.train.tensorboard else Reporters(*reporters)


def _has_checkpoint_of(config: Config, folder: Path) -> bool:
    """Return True if ``folder`` holds a checkpoint of a run of this config, in any precision if it is ``auto``."""
    if not (folder / CHECKPOINT_NAME).exists():
        return False
    stored, own = find_checkpoint(folder).state.get("config"), config.model_dump()
    if stored and config.train.precision == "auto":
        own["train"]["precision"] = stored["train"]["precision"]
    return bool(stored == own)


@contextmanager
def reporting(reporter: Reporter) -> Iterator[Reporter]:
    """Yield ``reporter`` and close it at the end.

    Raises:
        OutOfMemoryError: the block ran out of memory.
        OtherRankError: another process that the block waited for has ended.
    """
    try:
        yield reporter
    except RuntimeError as error:  # torch has no exception of its own for a lack of memory on the CPU
        if isinstance(error, torch.OutOfMemoryError) or "alloc" in str(error):
            raise OutOfMemoryError(
                "out of memory; raise train.accumulate, or lower --batch-size, --hidden or data.max_length"
            ) from None
        if isinstance(error, distributed.DistBackendError) or "gloo" in str(error):
            raise OtherRankError(ProcessGroup.from_environment().rank) from None
        raise
    finally:
        reporter.close()


def _run(
    config: Config,
    run: RunFolder,
    *,
    group: ProcessGroup,
    reporter: Reporter,
    checkpoint: Checkpoint | None = None,
    refit: Refit | None = None,
) -> Outcome:
    device = resolve_device(config.train.device, local_rank=group.local_rank if group.size > 1 else None)
    group.join(device)
    try:
        _refuse_shared_pipes(config, group)
        with group.main_first(device):  # rank 0 encodes the text, the others read its cache
            dataset = load_dataset(config, reporter)
        asked, config = config, resolve_config(config, dataset)
        _check_accumulation(config)
        if checkpoint is not None and dataset.initial is not None:
            _check_unchanged(checkpoint, dataset.initial, run.path)
        make_repeatable(config.train.seed)
        model = build_network(config, dataset).to(device)
        reporter.note(describe_network(config, model, device=device, group=group))
        ngrams = fit_ngram_model(config, dataset, reporter) if group.is_main else None
        callbacks = Callbacks(config, reporter, run=run if group.is_main else None, group=group)
        trainer = Trainer(
            config,
            dataset,
            asked=asked,
            callbacks=callbacks,
            model=model,
            device=device,
            ngrams=ngrams,
            refit=refit,
            texts=distill_targets(dataset, share=config.train.distill_share or 0),
        )
        if refit is not None:
            reporter.note(refit.describe(config.train.refit, epochs=config.train.epochs))
        if checkpoint is not None:
            trainer.restore(checkpoint, run.path)
        if group.size > 1:
            group.check_equal(dataset.digest, trainer.train_step.optimizer.steps, device)
        if checkpoint is not None and group.is_main:
            run.reopen(config)
            steps = trainer.train_step.optimizer.steps
            reporter.note(f"resuming in epoch {trainer.state.epoch}, after step {steps:,}")
        start = time.perf_counter() - trainer.state.elapsed - trainer.state.seconds
        best = trainer.fit()
        if group.is_main:
            for note in describe_retention(config, dataset, run.path):
                reporter.note(note)
        return Outcome(run.path, config, best, time.perf_counter() - start)
    except KeyboardInterrupt:
        if run.has_model:
            reporter.note(f"the best model so far is in {run.path}")
        else:
            reporter.note("no model was saved" if checkpoint is None else f"the run in {run.path} is unchanged")
        raise
    finally:
        group.leave()


def _check_initial(config: Config, folder: Path) -> None:
    """Raise ModelError if the initial model of the run in ``folder`` is gone."""
    path = config.train.init
    try:
        if path is not None:
            find_model(Path(path))
    except ModelError:
        reason = f"the model of train.init is gone, and {folder} needs it; put it back, or train again"
        raise ModelError(path, reason) from None


def _check_unchanged(checkpoint: Checkpoint, initial: InitialModel, folder: Path) -> None:
    """Raise ModelError if the run in ``folder`` began with another model than ``initial``."""
    with explaining_damage(folder / CHECKPOINT_NAME):
        if checkpoint.state["initial"] != initial.digest:
            raise ModelError(initial.path, f"the model of train.init has changed since {folder}; train again")


def _check_accumulation(config: Config) -> None:
    size, parts = config.train.batch_size, config.train.accumulate
    if size is not None and parts > size:
        raise ConfigError(f"train.accumulate {parts}: more parts than the {size} texts of a batch; lower it")


def _refuse_shared_pipes(config: Config, group: ProcessGroup) -> None:
    for path in config.data.training_files:
        if group.size > 1 and is_pipe(path):
            name = "standard input" if path == STDIN else f"the pipe {path}"
            raise ConfigError(f"{group.size} processes cannot share {name}; write the text to a file")
