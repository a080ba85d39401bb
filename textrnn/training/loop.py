"""The training loop: batches, steps, the valid pass after each epoch, the best weights."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from textrnn.classifier import Classifier
from textrnn.config import Config
from textrnn.corpus.batching import PackedBatch, bucket_batches, count_batches, sorted_batches
from textrnn.errors import BackendError, DataError
from textrnn.modelfile import SavedModel
from textrnn.ops.sru.backends import choose_backend
from textrnn.runs import POINTER, point_to
from textrnn.training.dataset import Dataset, load_dataset
from textrnn.training.device import make_repeatable, resolve_device
from textrnn.training.metrics import rank_by, score
from textrnn.training.optimiser import make_optimiser, make_schedule
from textrnn.training.reporter import EpochRecord, Plan, Reporter
from textrnn.training.run import Run

_VALID_TOKENS = 16384  # of a valid batch


@dataclass(frozen=True)
class Outcome:
    """What a finished run gave: its folder, the record of its best epoch, and what was set aside for it."""

    folder: Path
    best: EpochRecord
    parameters: int
    seconds: float
    kept: Path | None


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
    """
    reporter = reporter or Reporter()
    try:
        run = Run(out, command=command, overwrite=overwrite)
        device = resolve_device(config.train.device)
        dataset = load_dataset(config, reporter)
        config = _resolve_batch_size(config, len(dataset.train))
        make_repeatable(config.train.seed)
        model = _build(config, dataset).to(device)
        reporter.note(_describe(config, model, device))
        start = time.perf_counter()
        trainer = _Trainer(config, dataset, model=model, device=device)
        try:
            best = trainer.fit(run, reporter)
        except KeyboardInterrupt:
            reporter.note(f"the best model so far is in {out}" if trainer.saved else "stopped before a model was saved")
            raise
        return Outcome(out, best, _count(model), time.perf_counter() - start, trainer.kept)
    except RuntimeError as error:  # torch has no class of its own for want of memory on the CPU
        if isinstance(error, torch.OutOfMemoryError) or "alloc" in str(error):
            raise BackendError("out of memory; lower --batch-size, --hidden or data.max_length") from None
        raise
    finally:
        reporter.close()


class _Trainer:
    """The state of one run."""

    def __init__(self, config: Config, dataset: Dataset, *, model: Classifier, device: torch.device) -> None:
        self.config, self.dataset, self.model, self.device = config, dataset, model, device
        self.batch_size, self.batch_tokens = config.train.batch_size, config.train.batch_tokens
        self.batches = count_batches(dataset.train, self.batch_size, batch_tokens=self.batch_tokens)
        self.optimiser = make_optimiser(model, config.train)
        self.kept: Path | None = None
        self.saved = False
        self.schedule = make_schedule(
            self.optimiser, steps=config.train.epochs * self.batches, warmup=config.train.warmup
        )

    def fit(self, run: Run, reporter: Reporter) -> EpochRecord:
        """Train until the epochs or the patience end; return the best epoch's record, whose weights are saved."""
        settings = self.config.train
        reporter.begin(Plan(settings.epochs, self.batches, settings.metric))
        best: EpochRecord | None = None
        highest = float("-inf")
        for epoch in range(1, settings.epochs + 1):
            start = time.perf_counter()
            loss = self.train_epoch(epoch, reporter)
            seconds = time.perf_counter() - start
            valid_loss, scores = self.validate()
            ranked = rank_by(settings.metric, scores, valid_loss)
            record = EpochRecord(
                epoch=epoch,
                step=epoch * self.batches,
                loss=loss,
                valid_loss=valid_loss,
                lr=float(self.schedule.get_last_lr()[0]),
                seconds=seconds,
                tokens_per_second=self.dataset.train.tokens / max(seconds, 1e-9),
                best=best is None or ranked > highest,
                **scores,
            )
            self.store(record, run, reporter)
            if best is None or record.best:
                best, highest = record, ranked
            reporter.end_epoch(record)
            if epoch - best.epoch >= settings.patience:
                reporter.note(f"stopped early: no better {settings.metric} in {settings.patience} epochs")
                break
        assert best is not None  # there is at least one epoch
        return best

    def store(self, record: EpochRecord, run: Run, reporter: Reporter) -> None:
        """Write the epoch's record, and the model if it is the best so far; the first one makes this the latest run."""
        kept = run.write(record, self.config, self.snapshot() if record.best else None)
        self.saved = True
        if kept:
            self.kept = kept
            reporter.note(f"an earlier run was in {run.folder}; it is kept as {kept}")
        if record.epoch == 1:
            try:
                point_to(run.folder)
            except OSError as error:
                reporter.note(f"{POINTER}: cannot be written ({error.strerror}); name this run with -m")

    def train_epoch(self, epoch: int, reporter: Reporter) -> float:
        """Train on every text once; return the mean loss."""
        rng = np.random.default_rng([self.config.train.seed, epoch])
        self.model.train()
        total, texts, tokens = 0.0, 0, 0
        start = time.perf_counter()
        for batch in bucket_batches(self.dataset.train, self.batch_size, rng, batch_tokens=self.batch_tokens):
            loss = self.train_step(batch)
            if not np.isfinite(loss):
                raise DataError(
                    self.config.data.train,
                    None,
                    f"the loss is {loss} in epoch {epoch}; lower --lr or --set train.clip_norm",
                )
            total, texts, tokens = total + loss * len(batch), texts + len(batch), tokens + len(batch.ids)
            reporter.step(epoch, total / texts, tokens / max(time.perf_counter() - start, 1e-9))
        return total / texts

    def train_step(self, batch: PackedBatch) -> float:
        """Make one step of the optimiser; return the loss before it."""
        ids, offsets, classes = self.place(batch)
        loss = functional.cross_entropy(self.model(ids, offsets), classes)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.train.clip_norm)
        self.optimiser.step()
        self.schedule.step()
        return float(loss.detach())

    @torch.no_grad()
    def validate(self) -> tuple[float, dict[str, float]]:
        """Return the mean loss over the valid texts with a known label, and the metrics over all of them."""
        self.model.eval()
        valid = self.dataset.valid
        predicted = np.empty(len(valid), np.int64)
        loss = 0.0
        for rows, batch in sorted_batches(valid, _VALID_TOKENS):
            ids, offsets, classes = self.place(batch)
            scores = self.model(ids, offsets)
            predicted[rows] = scores.argmax(dim=1).cpu().numpy()
            loss += float(functional.cross_entropy(scores, classes, ignore_index=-1, reduction="sum"))
        known = int((valid.classes >= 0).sum())
        return loss / max(1, known), score(valid.classes, predicted)

    def place(self, batch: PackedBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Return ids, offsets and classes of ``batch`` on the device."""
        ids, offsets, classes = (
            torch.from_numpy(part).to(self.device) for part in (batch.ids, batch.offsets, batch.classes)
        )
        return ids, offsets, classes

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


def _describe(config: Config, model: Classifier, device: torch.device) -> str:
    shape = config.model
    way = "both directions" if shape.bidirectional else "one direction"
    name = choose_backend("auto", device=device.type) if shape.cell == "sru" else ""
    backend = f", SRU backend {name}" if name else ""
    if name == "reference":
        backend += ", which is slow: 'textrnn doctor' says why there is no faster one"
    tokens = config.train.batch_tokens
    step = f"{config.train.batch_size} texts" if tokens is None else f"up to {tokens:,} pieces"
    return (
        f"model: {shape.layers} layers of {shape.cell.upper()}, {shape.hidden} wide, {way}, "
        f"{_count(model):,} parameters, {step} in a step, on {device}{backend}"
    )
