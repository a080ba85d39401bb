"""The training loop: batches, steps, the valid pass after each epoch, the best weights, checkpoints."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from textrnn.classifier import Classifier
from textrnn.config import Config
from textrnn.corpus.batching import bucket_batches, count_batches, sorted_batches
from textrnn.errors import BackendError, DataError, ModelError, StoppedError
from textrnn.modelfile import SavedModel
from textrnn.ops.sru.backends import choose_backend
from textrnn.runs import POINTER, point_to
from textrnn.training.checkpoint import CHECKPOINT_NAME, Checkpoint
from textrnn.training.dataset import Dataset, load_dataset
from textrnn.training.device import make_repeatable, resolve_device
from textrnn.training.interrupts import Interrupts
from textrnn.training.metrics import rank_by, score
from textrnn.training.optimiser import rate_factor
from textrnn.training.ranks import Ranks
from textrnn.training.reporter import EpochRecord, Plan, Reporter
from textrnn.training.run import Run, find_checkpoint
from textrnn.training.step import Stepper, to_device

_VALID_TOKENS = 16384  # of a valid batch


@dataclass(frozen=True)
class Outcome:
    """What a finished run gave: its folder, the record of its best epoch, and what was set aside for it."""

    folder: Path
    config: Config
    best: EpochRecord
    parameters: int
    seconds: float
    kept: Path | None


@dataclass
class Progress:
    """How far a run has come: everything of its state that is no tensor.

    ``epoch`` (from 1) is being trained, ``batches`` of it are done, over ``texts`` texts and ``tokens`` pieces with a
    sum of losses ``loss``, in ``seconds``; ``elapsed`` are those of all epochs before.
    """

    epoch: int = 1
    batches: int = 0
    texts: int = 0
    tokens: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    elapsed: float = 0.0
    records: list[EpochRecord] = field(default_factory=list)

    def export(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Progress:
        """Return what :meth:`export` gave."""
        return cls(**{**state, "records": [EpochRecord(**record) for record in state["records"]]})

    @property
    def best(self) -> EpochRecord | None:
        """The record of the best epoch so far."""
        return next((record for record in reversed(self.records) if record.best), None)

    def begin_epoch(self, epoch: int) -> None:
        """Forget what was counted in the epoch before."""
        self.elapsed += self.seconds
        self.epoch, self.batches, self.texts, self.tokens, self.loss, self.seconds = epoch, 0, 0, 0, 0.0, 0.0


def train(
    config: Config, out: Path, *, command: str = "", overwrite: bool = False, reporter: Reporter | None = None
) -> Outcome:
    """Train what ``config`` says and leave the run in the folder ``out``.

    The same config and data give the same bytes of the model file on the same machine with as many threads.

    Raises:
        ConfigError: ``out`` cannot be a run folder.
        DataError: a data file cannot be used.
        TokenizerError: the tokenizer cannot be read or trained.
        BackendError: the device is not there.
        StoppedError: a signal ended the run.
    """
    ranks = Ranks.from_environment()
    if ranks.was_restarted and (out / CHECKPOINT_NAME).exists():
        return resume(out, reporter=reporter)
    with _reporting(reporter if ranks.is_first else None) as shown:
        return _run(config, Run(out, command=command, overwrite=overwrite), ranks=ranks, reporter=shown)


def resume(folder: Path, *, reporter: Reporter | None = None) -> Outcome:
    """Go on with the interrupted run in ``folder``; it ends with the bytes that it would have ended with.

    Raises:
        ModelError: there is no checkpoint in the folder, or the training text is no longer the same.
        ConfigError, DataError, TokenizerError, BackendError, StoppedError: as :func:`train`.
    """
    ranks = Ranks.from_environment()
    checkpoint = find_checkpoint(folder)
    with _reporting(reporter if ranks.is_first else None) as shown:
        config = Config.model_validate(checkpoint.state["config"])
        progress = Progress.restore(checkpoint.state["progress"])
        run = Run.reopen(folder, progress.records) if ranks.is_first else Run(folder)
        return _run(config, run, ranks=ranks, reporter=shown, checkpoint=checkpoint)


@contextmanager
def _reporting(reporter: Reporter | None) -> Iterator[Reporter]:
    shown = reporter or Reporter()
    try:
        yield shown
    except RuntimeError as error:  # torch has no class of its own for want of memory on the CPU
        if isinstance(error, torch.OutOfMemoryError) or "alloc" in str(error):
            raise BackendError(
                "out of memory; raise train.accumulate, or lower --batch-size, --hidden or data.max_length"
            ) from None
        raise
    finally:
        shown.close()


def _run(
    config: Config, run: Run, *, ranks: Ranks, reporter: Reporter, checkpoint: Checkpoint | None = None
) -> Outcome:
    device = resolve_device(config.train.device, local_rank=ranks.local_rank if ranks.size > 1 else None)
    ranks.join(device)
    try:
        dataset = load_dataset(config, reporter)
        config = _resolve_batch_size(config, len(dataset.train))
        make_repeatable(config.train.seed)
        model = _build(config, dataset).to(device)
        reporter.note(_describe(config, model, device, ranks))
        trainer = _Trainer(config, dataset, model=model, device=device, ranks=ranks)
        if checkpoint is not None:
            trainer.restore(checkpoint, run.folder)
            reporter.note(f"going on in epoch {trainer.progress.epoch}, after step {trainer.stepper.optimiser.steps:,}")
        start = time.perf_counter() - trainer.progress.elapsed - trainer.progress.seconds
        try:
            best = trainer.fit(run, reporter)
        except KeyboardInterrupt:
            reporter.note(f"the best model so far is in {run.folder}" if trainer.saved else "no model was saved")
            raise
        return Outcome(run.folder, config, best, _count(model), time.perf_counter() - start, trainer.kept)
    finally:
        ranks.leave()


class _Trainer:
    """The state of one run."""

    def __init__(
        self, config: Config, dataset: Dataset, *, model: Classifier, device: torch.device, ranks: Ranks
    ) -> None:
        self.config, self.dataset, self.model, self.device, self.ranks = config, dataset, model, device, ranks
        self.batch_size, self.batch_tokens = config.train.batch_size, config.train.batch_tokens
        self.batches = count_batches(dataset.train, self.batch_size, batch_tokens=self.batch_tokens)
        self.steps = min(config.train.epochs * self.batches, config.train.max_steps or sys.maxsize)
        self.stepper = Stepper(model, config.train, device=device, ranks=ranks)
        self.progress = Progress()
        self.kept: Path | None = None
        self.saved = False
        self._written = time.monotonic()

    @property
    def is_done(self) -> bool:
        """Whether all steps have been made."""
        return self.stepper.optimiser.steps >= self.steps

    def fit(self, run: Run, reporter: Reporter) -> EpochRecord:
        """Train until the epochs or the patience end; return the best epoch's record, whose weights are saved."""
        settings, progress = self.config.train, self.progress
        reporter.begin(Plan(settings.epochs, self.batches, settings.metric))
        with Interrupts() as interrupts:
            while True:
                self.train_epoch(run, reporter, interrupts)
                record = self.judge_epoch(interrupts, run, reporter)
                self.store(record, run, reporter)
                reporter.end_epoch(record)
                best = progress.best
                assert best is not None  # the first epoch is the best so far
                if record.epoch - best.epoch >= settings.patience:
                    reporter.note(f"stopped early: no better {settings.metric} in {settings.patience} epochs")
                    break
                if record.epoch == settings.epochs or self.is_done:
                    break
                progress.begin_epoch(record.epoch + 1)
        if self.ranks.is_first:
            run.finish()
        self.ranks.wait()
        return best

    def train_epoch(self, run: Run, reporter: Reporter, interrupts: Interrupts) -> None:
        """Train on every text once, or on those that are left of an interrupted epoch."""
        progress, settings = self.progress, self.config.train
        rng = np.random.default_rng([settings.seed, progress.epoch])
        self.model.train()
        start = time.perf_counter() - progress.seconds
        batches = bucket_batches(
            self.dataset.train, self.batch_size, rng, batch_tokens=self.batch_tokens, skip=progress.batches
        )
        for batch in batches:
            if self.is_done:
                break
            factor = rate_factor(self.stepper.optimiser.steps, steps=self.steps, warmup=settings.warmup)
            loss = self.stepper.step(batch, lr=settings.lr * factor)
            if not np.isfinite(loss):
                raise DataError(
                    self.config.data.train,
                    None,
                    f"the loss is {loss} in epoch {progress.epoch}; lower --lr or --set train.clip_norm",
                )
            progress.loss += loss * len(batch)
            progress.batches, progress.texts = progress.batches + 1, progress.texts + len(batch)
            progress.tokens, progress.seconds = progress.tokens + len(batch.ids), time.perf_counter() - start
            speed = progress.tokens / max(progress.seconds, 1e-9)
            reporter.step(progress.epoch, progress.loss / progress.texts, speed)
            self.pause(interrupts, run, reporter)

    def pause(self, interrupts: Interrupts, run: Run, reporter: Reporter) -> None:
        """Write a checkpoint where it is time for one; end the run where a signal has come."""
        stopped = self.ranks.any(interrupts.received is not None, self.device)
        late = time.monotonic() - self._written >= 60 * self.config.train.checkpoint_minutes
        if (stopped or late) and self.ranks.is_first:
            self.claim(run, reporter)
            run.write_checkpoint(self.checkpoint())
            self._written = time.monotonic()
        if stopped:
            number = interrupts.received or signal.SIGTERM
            best = f"the best model so far is in {run.folder}; " if self.saved else ""
            command = shlex.join(["textrnn", "train", "--resume", str(run.folder)])
            raise StoppedError(number, f"{best}go on with: {command}")

    def judge_epoch(self, interrupts: Interrupts, run: Run, reporter: Reporter) -> EpochRecord:
        """Return the record of the epoch that was trained."""
        progress, settings = self.progress, self.config.train
        valid_loss, scores = self.validate(lambda: self.pause(interrupts, run, reporter))
        ranked = [rank_by(settings.metric, vars(record), record.valid_loss) for record in progress.records]
        return EpochRecord(
            epoch=progress.epoch,
            step=self.stepper.optimiser.steps,
            loss=progress.loss / progress.texts,
            valid_loss=valid_loss,
            lr=settings.lr * rate_factor(self.stepper.optimiser.steps, steps=self.steps, warmup=settings.warmup),
            seconds=progress.seconds,
            tokens_per_second=progress.tokens / max(progress.seconds, 1e-9),
            best=rank_by(settings.metric, scores, valid_loss) > max(ranked, default=float("-inf")) or not ranked,
            **scores,
        )

    def store(self, record: EpochRecord, run: Run, reporter: Reporter) -> None:
        """Write the epoch's record, and the model if it is the best so far; the first one makes this the latest run."""
        self.progress.records.append(record)
        if not self.ranks.is_first:
            return
        self.claim(run, reporter)
        run.write(record, self.snapshot() if record.best else None)
        self.saved = True
        if record.epoch == 1:
            try:
                point_to(run.folder)
            except OSError as error:
                reporter.note(f"{POINTER}: cannot be written ({error.strerror}); name this run with -m")

    def claim(self, run: Run, reporter: Reporter) -> None:
        """Make the folder this run's; tell of an earlier run that was there."""
        kept = run.claim(self.config)
        if kept:
            self.kept = kept
            reporter.note(f"an earlier run was in {run.folder}; it is kept as {kept}")

    @torch.no_grad()
    def validate(self, pause: Callable[[], None]) -> tuple[float, dict[str, float]]:
        """Return the mean loss over the valid texts with a known label, and the metrics over all of them."""
        self.model.eval()
        valid = self.dataset.valid
        predicted = np.zeros(len(valid), np.int64)
        losses = 0.0
        for number, (rows, batch) in enumerate(sorted_batches(valid, _VALID_TOKENS)):
            if number % self.ranks.size != self.ranks.rank:
                continue
            ids, offsets, classes = (to_device(part, self.device) for part in (batch.ids, batch.offsets, batch.classes))
            scores = self.model(ids, offsets)
            predicted[rows] = scores.argmax(dim=1).cpu().numpy()
            losses += float(functional.cross_entropy(scores, classes, ignore_index=-1, reduction="sum"))
            if self.ranks.size == 1:  # the ranks have different numbers of batches
                pause()
        everything = torch.from_numpy(np.append(predicted, 0).astype(np.float64))
        everything[-1] = losses
        everything = everything.to(self.device)
        self.ranks.add_up([everything])
        found = everything.cpu().numpy()
        known = int((valid.classes >= 0).sum())
        return float(found[-1]) / max(1, known), score(valid.classes, found[:-1].astype(np.int64))

    def checkpoint(self) -> Checkpoint:
        """Return the state of the run after a step."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"optimiser.{name}": value for name, value in self.stepper.optimiser.export_state().items()}
        state = {
            "config": self.config.model_dump(),
            "data": self.dataset.digest,
            "progress": self.progress.export(),
            "steps": self.stepper.optimiser.steps,
            "scale": [self.stepper.scale, self.stepper.steady],
        }
        return Checkpoint(tensors, state)

    def restore(self, checkpoint: Checkpoint, folder: Path) -> None:
        """Take up the state of :meth:`checkpoint`.

        Raises:
            ModelError: it is of other data.
        """
        state = checkpoint.state
        if state["data"] != self.dataset.digest:
            raise ModelError(
                folder / CHECKPOINT_NAME, "the training or valid text is no longer the same; train again from the start"
            )
        self.model.load_state_dict(checkpoint.part("model"))
        self.stepper.optimiser.import_state(checkpoint.part("optimiser"), steps=state["steps"])
        self.stepper.scale, self.stepper.steady = state["scale"]
        self.progress = Progress.restore(state["progress"])
        self.saved = self.progress.best is not None

    def snapshot(self) -> SavedModel:
        """Return the model as it stands."""
        return SavedModel(self.config, self.dataset.labels, self.dataset.tokenizer, self.model.export_weights())


def _resolve_batch_size(config: Config, texts: int) -> Config:
    """Set a batch size that was left open: 32, but 16 or 8 where an epoch would have fewer than 100 steps."""
    if config.train.batch_size is not None or config.train.batch_tokens is not None:
        return config
    size = next((size for size in (32, 16) if texts >= 100 * size), 8)
    return config.model_copy(update={"train": config.train.model_copy(update={"batch_size": size})})


def _build(config: Config, dataset: Dataset) -> Classifier:
    return Classifier(len(dataset.tokenizer), len(dataset.labels), **config.model.model_dump())


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _describe(config: Config, model: Classifier, device: torch.device, ranks: Ranks) -> str:
    shape = config.model
    way = "both directions" if shape.bidirectional else "one direction"
    name = choose_backend("auto", device=device.type) if shape.cell == "sru" else ""
    backend = f", SRU backend {name}" if name else ""
    if name == "reference":
        backend += ", which is slow: 'textrnn doctor' says why there is no faster one"
    together = f", {ranks.size} processes together" if ranks.size > 1 else ""
    tokens = config.train.batch_tokens
    step = f"{config.train.batch_size} texts" if tokens is None else f"up to {tokens:,} pieces"
    return (
        f"model: {shape.layers} layers of {shape.cell.upper()}, {shape.hidden} wide, {way}, "
        f"{_count(model):,} parameters, {step} in a step, on {device}{together}{backend}"
    )
