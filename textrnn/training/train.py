"""A training session: from a config, or a run that was interrupted, to a finished run folder."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed, nn

from textrnn.config import DEMO, Config
from textrnn.data.io import STDIN, is_pipe
from textrnn.data.sampler import count_batches
from textrnn.errors import ConfigError, OtherRankError, OutOfMemoryError
from textrnn.models.classifier import Classifier
from textrnn.ops.device import make_repeatable, resolve_device
from textrnn.ops.sru.backends import choose_backend
from textrnn.preparation.dataset import Dataset, load_dataset
from textrnn.reporter import EpochRecord, Reporter, Reporters
from textrnn.serialization.checkpoint import Checkpoint, explaining_damage
from textrnn.serialization.latest_run import CHECKPOINT_NAME
from textrnn.serialization.model_file import load_model
from textrnn.serialization.run_folder import Run, find_checkpoint
from textrnn.training.distributed import ProcessGroup
from textrnn.training.ngram_model import fit_ngram_model
from textrnn.training.tensorboard import TensorBoardReporter
from textrnn.training.trainer import Trainer
from textrnn.training.trainer_state import TrainerState

_FEWEST_EPOCHS, _MOST_EPOCHS, _FEWEST_STEPS = 12, 30, 2600
_SIZES, _FEWEST_BATCHES = (64, 32, 16, 8), 75  # of a batch, largest first; in an epoch
# what is resolved by these has to stay the same for a checkpoint: see FORMAT_VERSION


@dataclass(frozen=True)
class Outcome:
    """What a finished run gave: its folder, the record of its best epoch, and what was set aside for it."""

    folder: Path
    config: Config
    best: EpochRecord
    parameters: int
    seconds: float
    kept: Path | None


def train(
    config: Config,
    out: Path,
    *,
    command: str = "",
    overwrite: bool = False,
    reporter: Reporter | None = None,
    is_latest: bool = True,
) -> Outcome:
    """Train what ``config`` says and leave the run in the folder ``out``; it is the latest then, unless told otherwise.

    The same config and data give the same bytes of the model file on the same machine with as many threads.

    Raises:
        ConfigError: ``out`` cannot be a run folder.
        DataError: a data file cannot be used.
        TokenizerError: the tokenizer cannot be read or trained.
        BackendError: the device is not there.
        StoppedError: a signal ended the run.
    """
    group = ProcessGroup.from_environment()
    if group.was_restarted and _is_of(out, config):
        return resume(out, reporter=reporter, is_latest=is_latest)
    with reporting(_observe(config, group, reporter)) as shown:
        run = Run(out, command=command, overwrite=overwrite, is_latest=is_latest)
        return _run(config, run, group=group, reporter=shown)


def resume(folder: Path, *, reporter: Reporter | None = None, is_latest: bool = True) -> Outcome:
    """Go on with the interrupted run in ``folder``; it ends with the bytes that it would have ended with.

    Raises:
        ModelError: there is no checkpoint in the folder, or the training text is no longer the same.
        ConfigError, DataError, TokenizerError, BackendError, StoppedError: as :func:`train`.
    """
    group = ProcessGroup.from_environment()
    checkpoint = find_checkpoint(folder)
    with explaining_damage(folder / CHECKPOINT_NAME):
        config = Config.model_validate(checkpoint.state["config"])
        records = TrainerState.restore(checkpoint.state["progress"]).records
    if records:
        load_model(folder)  # the best so far: where it is gone or damaged, the run could not end as it would have
    with reporting(_observe(config, group, reporter)) as shown:
        run = Run(folder, resumes=records, is_latest=is_latest)
        return _run(config, run, group=group, reporter=shown, checkpoint=checkpoint)


def _observe(config: Config, group: ProcessGroup, reporter: Reporter | None) -> Reporter | None:
    """Return what is told of the run: nothing but by the first of the ranks, which writes events if they are wanted."""
    if not group.is_main:
        return None
    return Reporters([reporter or Reporter(), TensorBoardReporter()]) if config.train.tensorboard else reporter


def _is_of(folder: Path, config: Config) -> bool:
    """Whether the checkpoint in ``folder`` is of a run of this config, not of an earlier one in the same folder."""
    if not (folder / CHECKPOINT_NAME).exists():
        return False
    return bool(find_checkpoint(folder).state.get("config") == config.model_dump())


@contextmanager
def reporting(reporter: Reporter | None) -> Iterator[Reporter]:
    """Yield the reporter, or a silent one, and close it at the end.

    Want of memory, and the end of another process that this one waited for, become messages.
    """
    shown = reporter or Reporter()
    try:
        yield shown
    except RuntimeError as error:  # torch has no class of its own for want of memory on the CPU
        if isinstance(error, torch.OutOfMemoryError) or "alloc" in str(error):
            raise OutOfMemoryError(
                "out of memory; raise train.accumulate, or lower --batch-size, --hidden or data.max_length"
            ) from None
        if isinstance(error, distributed.DistBackendError) or "gloo" in str(error):
            raise OtherRankError(ProcessGroup.from_environment().rank) from None
        raise
    finally:
        shown.close()


def _run(
    config: Config, run: Run, *, group: ProcessGroup, reporter: Reporter, checkpoint: Checkpoint | None = None
) -> Outcome:
    device = resolve_device(config.train.device, local_rank=group.local_rank if group.size > 1 else None)
    group.join(device)
    trainer: Trainer | None = None
    try:
        _refuse_shared_pipes(config, group)
        dataset = _load_in_turn(config, group, reporter, device=device)
        asked, config = config, resolve(config, dataset)
        if config.train.batch_size is not None and config.train.accumulate > config.train.batch_size:
            parts, size = config.train.accumulate, config.train.batch_size
            raise ConfigError(f"train.accumulate {parts}: more parts than the {size} texts of a step")
        make_repeatable(config.train.seed)
        model = build(config, dataset).to(device)
        reporter.note(describe(config, model, device, group))
        ngrams = fit_ngram_model(config, dataset, reporter) if group.is_main else None
        trainer = Trainer(config, dataset, asked=asked, model=model, device=device, group=group, ngrams=ngrams)
        if checkpoint is not None:
            trainer.restore(checkpoint, run.folder)
        if group.size > 1:
            group.compare(dataset.digest, trainer.train_step.optimizer.steps, device)
        if checkpoint is not None and group.is_main:
            run.reopen(config)
            reporter.note(
                f"going on in epoch {trainer.progress.epoch}, after step {trainer.train_step.optimizer.steps:,}"
            )
        start = time.perf_counter() - trainer.progress.elapsed - trainer.progress.seconds
        best = trainer.fit(run, reporter)
        return Outcome(run.folder, config, best, count(model), time.perf_counter() - start, trainer.kept)
    except KeyboardInterrupt:
        if trainer is not None and trainer.saved:
            reporter.note(f"the best model so far is in {run.folder}")
        else:
            reporter.note("no model was saved" if checkpoint is None else f"the run in {run.folder} is as it was")
        raise
    finally:
        group.leave()


def _load_in_turn(config: Config, group: ProcessGroup, reporter: Reporter, *, device: torch.device) -> Dataset:
    """Have the first rank encode the text, and the others find it encoded."""
    if not group.is_main:
        group.follow(device)
        return load_dataset(config, reporter)
    with group.leading(device):
        return load_dataset(config, reporter)


def _refuse_shared_pipes(config: Config, group: ProcessGroup) -> None:
    for path in (config.data.train, config.data.valid):
        if group.size > 1 and path not in (None, DEMO) and is_pipe(path):
            name = "standard input" if path == STDIN else f"the pipe {path}"
            raise ConfigError(f"{group.size} processes would read {name}; put the text into a file")


def resolve(config: Config, dataset: Dataset) -> Config:
    """Set what was left open for the data to say.

    The batch size: 64, but 32, 16 or 8 where an epoch would have fewer than 75 steps. The epochs: 12, but more where
    these are fewer than 2,600 steps, up to 30. An embedding that begins with vectors is as wide as they are.
    """
    texts = dataset.train
    settings = config.train
    size, tokens, epochs = settings.batch_size, settings.batch_tokens, settings.epochs
    if size is None and tokens is None:
        size = next((size for size in _SIZES if len(texts) >= _FEWEST_BATCHES * size), _SIZES[-1])
    if epochs is None:
        steps = count_batches(texts, size, batch_tokens=tokens)
        epochs = min(max(_FEWEST_EPOCHS, math.ceil(_FEWEST_STEPS / steps)), _MOST_EPOCHS)
    settings = settings.model_copy(update={"batch_size": size, "epochs": epochs})
    model = config.model
    if dataset.vectors is not None:
        model = model.model_copy(update={"embedding": dataset.vectors.width})
    return config.model_copy(update={"train": settings, "model": model})


def build(config: Config, dataset: Dataset) -> Classifier:
    """Return the network of ``config`` with weights as torch's generator draws them, but for pretrained vectors."""
    model = Classifier(len(dataset.tokenizer), len(dataset.labels), **config.model.model_dump())
    if dataset.vectors is not None:
        dataset.vectors.place(model.embedding.weight)
    return model


def count(model: nn.Module) -> int:
    """Return how many parameters ``model`` has."""
    return sum(parameter.numel() for parameter in model.parameters())


def describe(config: Config, model: Classifier, device: torch.device, group: ProcessGroup) -> str:
    """Return one line on the network and where it is trained."""
    shape = config.model
    way = "both directions" if shape.bidirectional else "one direction"
    name = choose_backend("auto", device=device.type) if shape.cell == "sru" else ""
    backend = f", SRU backend {name}" if name else ""
    if name == "reference":
        backend += ", which is slow: 'textrnn doctor' says why there is no faster one"
    together = f", {group.size} processes together" if group.size > 1 else ""
    tokens = config.train.batch_tokens
    step = f"{config.train.batch_size} texts" if tokens is None else f"up to {tokens:,} pieces"
    return (
        f"model: embedding {shape.embedding} wide, {shape.layers} layers of {shape.cell.upper()}, {shape.hidden} wide, "
        f"{way}, {count(model):,} parameters, {step} in a step, on {device}{together}{backend}"
    )
