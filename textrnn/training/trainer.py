"""The training loop: batches, steps, the valid pass after each epoch, the best weights, checkpoints."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from textrnn.config import Config
from textrnn.data.io import STDIN
from textrnn.data.sampler import bucket_batches, count_batches
from textrnn.errors import DivergedError, ModelError, StoppedError, pluralize
from textrnn.evaluation.metrics import rank_by
from textrnn.models.classifier import Classifier
from textrnn.models.ngram.table import NgramTable
from textrnn.preparation.dataset import Dataset
from textrnn.preparation.pretrained_vectors import FrozenRows
from textrnn.reporter import EpochRecord, Plan, Reporter
from textrnn.serialization.checkpoint import Checkpoint, explaining_damage
from textrnn.serialization.latest_run import CHECKPOINT_NAME, POINTER, point_to
from textrnn.serialization.model_file import SavedModel
from textrnn.serialization.run_folder import Run
from textrnn.signals import DeferredSignals
from textrnn.training.augmentation import Augmenter
from textrnn.training.distributed import ProcessGroup
from textrnn.training.loss import TextLoss
from textrnn.training.schedule import rate_factor
from textrnn.training.train_step import TrainStep
from textrnn.training.trainer_state import TrainerState
from textrnn.training.validation import Validator


class Trainer:
    """The state of one run.

    ``asked`` is the config before the data filled in what was left open (``config`` where none is given); a checkpoint
    holds it, since the same data fill in the same.
    """

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        *,
        asked: Config | None = None,
        model: Classifier,
        device: torch.device,
        group: ProcessGroup,
        ngrams: NgramTable | None = None,
    ) -> None:
        self.config, self.dataset, self.model, self.device, self.group = config, dataset, model, device, group
        self.asked = asked or config
        self.batch_size, self.batch_tokens = config.train.batch_size, config.train.batch_tokens
        self.batches = count_batches(dataset.train, self.batch_size, batch_tokens=self.batch_tokens)
        assert config.train.epochs is not None  # resolved by the data
        self.epochs = config.train.epochs
        self.steps = min(self.epochs * self.batches, config.train.max_steps or sys.maxsize)
        frozen = None
        if dataset.vectors is not None and config.embedding.freeze:
            frozen = FrozenRows(dataset.vectors, len(dataset.tokenizer), device)
        texts = None if dataset.sets is None else len(dataset.train)
        loss = TextLoss(config.train, labels=dataset.labels, counts=dataset.count_labels(), texts=texts)
        self.train_step = TrainStep(
            model, config.train, loss=loss, device=device, group=group, frozen=frozen, sets=dataset.sets
        )
        self.reading = Augmenter(config, dataset.tokenizer)
        self.validator = Validator(dataset, model, device=device, group=group, ngrams=ngrams, config=config.ngrams)
        self.progress = TrainerState()
        self.kept: Path | None = None
        self.saved = False
        self._alone = False  # the n-grams of the best epoch
        self._written = time.monotonic()

    @property
    def is_done(self) -> bool:
        """Whether all steps have been made."""
        return self.train_step.optimizer.steps >= self.steps

    def fit(self, run: Run, reporter: Reporter) -> EpochRecord:
        """Train until the epochs or the patience end; return the best epoch's record, whose weights are saved."""
        settings, progress = self.config.train, self.progress
        reporter.begin(
            Plan(self.epochs, self.batches, settings.metric, done=self.train_step.optimizer.steps, most=self.steps)
        )
        with DeferredSignals() as interrupts:
            while True:
                self.train_epoch(run, reporter, interrupts)
                record = self.judge_epoch(interrupts, run, reporter)
                self.store(record, run, reporter)
                reporter.end_epoch(record)
                best = progress.best
                assert best is not None  # the first epoch is the best so far
                if progress.idle_epochs >= settings.patience:
                    what = "loss on valid" if settings.metric == "loss" else f"{settings.metric}, nor loss on valid,"
                    reporter.note(
                        f"stopped early: no better {what} in {pluralize(settings.patience, 'epoch', 'epochs')}"
                    )
                    break
                if record.epoch == self.epochs or self.is_done:
                    break
                progress.begin_epoch(record.epoch + 1)
        if self.group.is_main:
            run.finish()
            if self._alone:
                reporter.note(
                    "on valid the n-grams alone are best: the network has no share in the scores; train longer"
                )
        self.group.wait()
        return best

    def train_epoch(self, run: Run, reporter: Reporter, interrupts: DeferredSignals) -> None:
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
            rate = self.rate()
            loss = self.train_step.step(self.reading.augment(batch, progress.epoch, progress.batches), lr=rate)
            self.check("loss", loss)
            reporter.measure(self.train_step.optimizer.steps, loss, rate)
            progress.loss += loss * len(batch)
            progress.batches, progress.texts = progress.batches + 1, progress.texts + len(batch)
            progress.tokens, progress.seconds = progress.tokens + len(batch.ids), time.perf_counter() - start
            speed = progress.tokens / max(progress.seconds, 1e-9)
            reporter.step(progress.epoch, progress.loss / progress.texts, speed)
            self.pause(interrupts, run, reporter)

    def rate(self) -> float:
        """Return the learning rate of the next step."""
        settings, step = self.config.train, self.train_step.optimizer.steps
        return settings.lr * rate_factor(step, steps=self.steps, warmup=settings.warmup, schedule=settings.schedule)

    def check(self, what: str, loss: float) -> None:
        """Raise DivergedError where ``loss`` is not finite: nothing that comes after it would be of use."""
        if not np.isfinite(loss):
            where = f"the {what} is {loss} in epoch {self.progress.epoch}"
            raise DivergedError(self.config.data.train, None, f"{where}; lower --lr or --set train.clip_norm")

    def pause(self, interrupts: DeferredSignals, run: Run, reporter: Reporter) -> None:
        """Write a checkpoint where it is time for one; end the run where a signal has come."""
        stopped = self.group.any(interrupts.received is not None, self.device)
        late = time.monotonic() - self._written >= 60 * self.config.train.checkpoint_minutes
        if (stopped or late) and self.group.is_main:
            kept = run.claim(self.config)
            try:
                run.write_checkpoint(self.checkpoint())
            except OSError as error:
                if stopped:
                    raise
                reporter.note(f"{error.filename}: cannot be written ({error.strerror}); training goes on without it")
            self._written = time.monotonic()
            self.tell(kept, run, reporter)
        if stopped:
            number = interrupts.received or signal.SIGTERM
            raise StoppedError(number, self.resume_hint(run) if self.group.is_main else "")

    def resume_hint(self, run: Run) -> str:
        """Return one line on what a run that was stopped has left, and how to go on with it."""
        best = f"the best model so far is in {run.folder}; " if self.saved else ""
        again = (
            " and the same text on standard input" if STDIN in (self.config.data.train, self.config.data.valid) else ""
        )
        command = shlex.join([*self.group.command, "train", "--resume", str(run.folder)])
        return f"{best}go on with{again}: {command}"

    def judge_epoch(self, interrupts: DeferredSignals, run: Run, reporter: Reporter) -> EpochRecord:
        """Return the record of the epoch that was trained."""
        progress, settings = self.progress, self.config.train
        self.validator.take(self.train_step.average)
        found = self.validator.validate(lambda: self.pause(interrupts, run, reporter))
        self.check("loss on valid", found.loss)
        ranked = [rank_by(settings.metric, vars(record), record.valid_loss) for record in progress.records]
        return EpochRecord(
            epoch=progress.epoch,
            step=self.train_step.optimizer.steps,
            loss=progress.loss / progress.texts,
            valid_loss=found.loss,
            network_loss=found.network_loss,
            lr=self.rate(),
            seconds=progress.seconds,
            tokens_per_second=progress.tokens / max(progress.seconds, 1e-9),
            best=rank_by(settings.metric, found.metrics, found.loss) > max(ranked, default=float("-inf")) or not ranked,
            **found.metrics,
        )

    def store(self, record: EpochRecord, run: Run, reporter: Reporter) -> None:
        """Write the epoch's record, and the model if it is the best so far; the first one makes this the latest run."""
        self.progress.records.append(record)
        if not self.group.is_main:
            return
        kept = run.claim(self.config)
        run.write(record, self.snapshot() if record.best else None)
        self.saved = True
        if record.best:
            self._alone = self.config.ngrams.share == "auto" and self.validator.ngram_share == 1
        self.tell(kept, run, reporter)
        if record.epoch == 1 and run.is_latest:
            try:
                point_to(run.folder)
            except OSError as error:
                reporter.note(f"{POINTER}: cannot be written ({error.strerror}); name this run with -m")

    def tell(self, kept: Path | None, run: Run, reporter: Reporter) -> None:
        """Tell that something was saved, and of an earlier run in the folder, if ``kept`` says where it is now."""
        reporter.saved(run.folder)
        if kept:
            self.kept = kept
            reporter.note(f"an earlier run was in {run.folder}; it is kept as {kept}")

    def checkpoint(self) -> Checkpoint:
        """Return the state of the run after a step."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"optimiser.{name}": value for name, value in self.train_step.optimizer.export_state().items()}
        if self.train_step.average:
            tensors |= {f"average.{name}": value for name, value in self.train_step.average.export_state().items()}
        state = {
            "config": self.asked.model_dump(),
            "data": self.dataset.digest,
            "progress": self.progress.export(),
            "steps": self.train_step.optimizer.steps,
            "scale": [self.train_step.scale, self.train_step.steady],
        }
        return Checkpoint(tensors, state)

    def restore(self, checkpoint: Checkpoint, folder: Path) -> None:
        """Take up the state of :meth:`checkpoint`.

        Raises:
            ModelError: it is of other data, or damaged.
        """
        with explaining_damage(folder / CHECKPOINT_NAME):
            self._restore(checkpoint, folder)

    def _restore(self, checkpoint: Checkpoint, folder: Path) -> None:
        state = checkpoint.state
        if state["data"] != self.dataset.digest:
            raise ModelError(
                folder / CHECKPOINT_NAME,
                "training text, valid text or vectors are no longer the same; train again from the start",
            )
        self.model.load_state_dict(checkpoint.part("model"))
        self.train_step.optimizer.import_state(checkpoint.part("optimiser"), steps=state["steps"])
        self.train_step.scale, self.train_step.steady = state["scale"]
        if self.train_step.average:
            self.train_step.average.import_state(checkpoint.part("average"))
        self.progress = TrainerState.restore(state["progress"])
        self.saved = self.progress.best is not None

    def snapshot(self) -> SavedModel:
        """Return the model that was judged last."""
        dataset, validator = self.dataset, self.validator
        return SavedModel(
            self.config,
            dataset.labels,
            dataset.tokenizer,
            validator.model.export_weights(),
            thresholds=validator.thresholds,
            temperature=validator.temperature,
            ngrams=None if validator.ngrams is None else validator.ngrams.scale(validator.ngram_scale),
            ngram_share=validator.ngram_share,
        )
