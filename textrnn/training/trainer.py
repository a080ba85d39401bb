"""The training loop: batches, steps, validation after each epoch, checkpoints."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from textrnn.config import Config, as_list
from textrnn.data.encoded import Corpus
from textrnn.data.sampler import bucket_batches, count_batches
from textrnn.data.windows import WHOLE
from textrnn.errors import DivergedError, ModelError, pluralize
from textrnn.evaluation.metrics import is_best, rank_by
from textrnn.models.classifier import Classifier
from textrnn.models.ngram.table import NgramTable
from textrnn.ops.device import HostCopy
from textrnn.preparation.dataset import Dataset
from textrnn.preparation.pretrained_vectors import FrozenRows
from textrnn.reporter import EpochRecord, Plan
from textrnn.serialization.checkpoint import Checkpoint, explaining_damage
from textrnn.serialization.latest_run import CHECKPOINT_NAME
from textrnn.serialization.model_file import SavedModel
from textrnn.serialization.refit import Refit
from textrnn.serialization.validation_record import MAX_HASHES, ValidationRecord
from textrnn.training.augmentation import Augmenter
from textrnn.training.callbacks import Callbacks
from textrnn.training.loss import TextLoss
from textrnn.training.schedule import rate_factor
from textrnn.training.starters.slow_parameters import SlowParameters
from textrnn.training.train_step import TrainStep
from textrnn.training.validation import Validation, Validator

_OPTIMIZER = "optimiser"  # of its tensors in a checkpoint; another spelling would be another format version
_METRICS = ("accuracy", "micro_f1", "macro_f1", "weighted_f1")
_UNREAD_STEPS = 1  # on a GPU: it computes a step while the host prepares the next
_UNVALIDATED = Validation(math.nan, math.nan, dict.fromkeys(_METRICS, math.nan))


class StartedStep(NamedTuple):
    """A step whose loss has not been read: its number, learning rate, texts, tokens, and the loss."""

    number: int
    rate: float
    texts: int
    tokens: int
    loss: HostCopy


@dataclass
class TrainerState:
    """The progress of a run: all of its state that is not a tensor.

    In ``epoch`` (from 1) ``batches`` are done, with ``texts`` texts, ``tokens`` tokens and the sum of losses ``loss``,
    in ``seconds``; all earlier epochs took ``elapsed`` seconds.
    """

    epoch: int = 1
    batches: int = 0
    texts: int = 0
    tokens: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    elapsed: float = 0.0
    records: list[EpochRecord] = field(default_factory=list)

    @classmethod
    def restore(cls, state: dict[str, Any]) -> TrainerState:
        """Return the state that ``dataclasses.asdict`` turned into ``state``."""
        return cls(**{**state, "records": [EpochRecord(**record) for record in state["records"]]})

    @property
    def best(self) -> EpochRecord | None:
        """The record of the best epoch so far."""
        return next((record for record in reversed(self.records) if record.best), None)

    @property
    def idle_epochs(self) -> int:
        """The number of epochs since the metric or a validation loss last improved.

        Losses count whatever the metric is, since they fall long before any text changes its label. The loss of the
        network alone counts too: the network must improve before it has a share in the saved model.
        """
        lowest = min(self.records, key=lambda record: record.valid_loss).epoch
        lowest_network = min(self.records, key=lambda record: record.network_loss).epoch
        return self.records[-1].epoch - max(lowest, lowest_network, self.best.epoch if self.best else 0)

    @property
    def speed(self) -> float:
        """The speed of this epoch, in tokens per second."""
        return self.tokens / max(self.seconds, 1e-9)

    def begin_epoch(self, epoch: int) -> None:
        """Reset the counts of the epoch before."""
        self.elapsed += self.seconds
        self.epoch, self.batches, self.texts, self.tokens, self.loss, self.seconds = epoch, 0, 0, 0, 0.0, 0.0


class Trainer:
    """A training run.

    Args:
        config: with all values that depend on the data filled in.
        asked: the config before that, which checkpoints hold; the same data fill in the same values.
        callbacks: the run's reporter, signals and folder.
        ngrams: the n-gram model, at rank 0 alone.
        refit: what a final model, which is trained without validation, takes from earlier runs.
        texts: the training texts with other targets than those of ``dataset``.
    """

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        *,
        asked: Config,
        callbacks: Callbacks,
        model: Classifier,
        device: torch.device,
        ngrams: NgramTable | None = None,
        refit: Refit | None = None,
        texts: Corpus | None = None,
    ) -> None:
        self.config, self.dataset, self.asked, self.callbacks = config, dataset, asked, callbacks
        self.model, self.device, self.group = model, device, callbacks.group
        self.batch_size, self.batch_tokens = config.train.batch_size, config.train.batch_tokens
        self.texts = dataset.train if texts is None else texts
        drawn = dataset.windows.draw(self.texts)
        self.batches = count_batches(drawn, self.batch_size, batch_tokens=self.batch_tokens)
        assert config.train.epochs is not None  # resolved by the data
        self.epochs = config.train.epochs
        self.steps = self.last_step = min(self.epochs * self.batches, config.train.max_steps or sys.maxsize)
        frozen = None
        if dataset.vectors is not None and config.embedding.freeze:
            frozen = FrozenRows(dataset.vectors, len(dataset.tokenizer), device)
        count = None if dataset.label_sets is None else len(dataset.train)
        loss = TextLoss(config.train, labels=dataset.labels, counts=dataset.sum_shares(), texts=count)
        is_starter = dataset.initial is not None and dataset.initial.is_starter
        self.train_step = TrainStep(
            model,
            config.train,
            loss=loss,
            device=device,
            group=self.group,
            frozen=frozen,
            slow=SlowParameters.of(model) if is_starter else None,
            sets=dataset.label_sets,
            part_tokens=_limit_parts(config),
        )
        self.augmenter = Augmenter(config, dataset.tokenizer)
        self.validator = Validator(dataset, model, device=device, group=self.group, ngrams=ngrams, config=config.ngrams)
        self.refit = refit
        if refit is not None:  # the schedule stays that of all epochs: the weights kept then were in the midst of it
            self.last_step = max(1, round(refit.progress * self.steps))
            self.epochs = math.ceil(self.last_step / self.batches)
            self.validator.temperature, self.validator.thresholds = (
                refit.temperature,
                refit.list_thresholds(dataset.labels),
            )
            self.validator.ngram_share, self.validator.ngram_scale = refit.ngram_share, refit.ngram_scale
            self.validator.cascade = refit.cascade
        self.state = TrainerState()
        self._started: deque[StartedStep] = deque()
        self._network_unused = False  # in the best epoch

    @property
    def is_done(self) -> bool:
        """True after the last step."""
        return self.train_step.optimizer.steps >= self.last_step

    def fit(self) -> EpochRecord:
        """Train until the last epoch or early stopping; return the record of the best epoch, the saved one.

        A final model has neither validation nor early stopping, and is saved after the last step.
        """
        state, metric, reporter = self.state, self.config.train.metric, self.callbacks.reporter
        reporter.begin(Plan(self.epochs, self.last_step, metric, done=self.train_step.optimizer.steps))
        with self.callbacks.signals:
            while True:
                self.train_epoch()
                record = self.validate_epoch()
                state.records.append(record)
                if record.best and self.refit is None:
                    self._network_unused = self.config.ngrams.share == "auto" and self.validator.ngram_share == 1
                self.callbacks.end_epoch(record, self.snapshot)
                if self.refit is None and state.idle_epochs >= self.config.train.patience:
                    scores = "loss" if metric == "loss" else f"{metric.replace('_f1', ' F1')} and loss"
                    epochs = pluralize(state.idle_epochs, "epoch", "epochs")
                    reporter.note(f"early stopping: validation {scores} did not improve for {epochs}")
                    break
                if record.epoch == self.epochs or self.is_done:
                    break
                state.begin_epoch(record.epoch + 1)
        if self.callbacks.run is not None:
            self.callbacks.run.remove_checkpoint()
        if self._network_unused:
            reporter.note(
                "the n-gram model alone is best on the validation set, so the network gets weight 0. "
                "More labelled text would help it."
            )
        self.group.barrier()
        best = state.best
        assert best is not None  # the first epoch, or the last one of a final model
        return best

    def train_epoch(self) -> None:
        """Train on every text once, or on the rest of a resumed epoch: of a text with windows on one of them.

        On a GPU the loss of a step is read after the start of the next: a loss that is not finite is noticed one step
        late, which changes no result, since no later model is saved.
        """
        state, rng = self.state, np.random.default_rng([self.config.train.seed, self.state.epoch])
        self.model.train()
        start = time.perf_counter() - state.seconds
        drawing = np.random.default_rng([self.config.train.seed, state.epoch, 2])
        drawn = self.dataset.windows.draw(self.texts, drawing)
        batches = bucket_batches(drawn, self.batch_size, rng, batch_tokens=self.batch_tokens, skip=state.batches)
        for batch in batches:
            if self.is_done:
                break
            rate = self.rate()
            loss = self.train_step.start(self.augmenter.augment(batch, state.epoch, state.batches), lr=rate)
            number = self.train_step.optimizer.steps
            self._started.append(StartedStep(number, rate, len(batch), len(batch.ids), loss))
            state.batches += 1
            self.finish_steps(unread=_UNREAD_STEPS if self.device.type == "cuda" else 0)
            state.seconds = time.perf_counter() - start
            if state.texts:
                self.callbacks.reporter.step(state.epoch, state.loss / state.texts, state.speed)
            self.callbacks.end_batch(self.device, self.checkpoint)
        self.finish_steps(unread=0)
        state.seconds = time.perf_counter() - start

    def finish_steps(self, *, unread: int) -> None:
        """Read the losses of all steps that have started, except the last ``unread`` ones, and count them."""
        while len(self._started) > unread:
            step = self._started.popleft()
            loss = step.loss.read()
            self.check_finite("loss", loss)
            self.callbacks.reporter.measure(step.number, loss, step.rate)
            self.state.loss += loss * step.texts
            self.state.texts, self.state.tokens = self.state.texts + step.texts, self.state.tokens + step.tokens

    def rate(self) -> float:
        """Return the learning rate of the next step."""
        settings, step = self.config.train, self.train_step.optimizer.steps
        return settings.lr * rate_factor(step, steps=self.steps, warmup=settings.warmup, schedule=settings.schedule)

    def check_finite(self, name: str, loss: float) -> None:
        """Raise DivergedError if ``loss`` is infinite or not a number; no later step could mend that."""
        if not np.isfinite(loss):
            reason = f"the {name} is {loss} in epoch {self.state.epoch}; lower --lr or --set train.clip_norm"
            raise DivergedError(as_list(self.config.data.train)[0], None, reason)

    def validate_epoch(self) -> EpochRecord:
        """Validate the current weights, unless they become a final model, and return the record of the epoch."""
        state, metric = self.state, self.config.train.metric
        self.validator.sync_weights(self.train_step.average)
        if self.refit is None:
            result = self.validator.validate(lambda: self.callbacks.end_batch(self.device, self.checkpoint))
            self.check_finite("validation loss", result.loss)
            ranks = [rank_by(metric, vars(record), record.valid_loss) for record in state.records]
            ranks.append(rank_by(metric, result.metrics, result.loss))
            best = is_best(ranks, texts=len(self.dataset.valid))
        else:
            result, best = _UNVALIDATED, self.is_done
        return EpochRecord(
            epoch=state.epoch,
            step=self.train_step.optimizer.steps,
            loss=state.loss / state.texts,
            valid_loss=result.loss,
            network_loss=result.network_loss,
            lr=self.rate(),
            seconds=state.seconds,
            tokens_per_second=state.speed,
            best=best,
            **result.metrics,
        )

    def checkpoint(self) -> Checkpoint:
        """Return the state of the run after a step."""
        self.finish_steps(unread=0)
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"{_OPTIMIZER}.{name}": value for name, value in self.train_step.optimizer.export_state().items()}
        if self.train_step.average:
            tensors |= {f"average.{name}": value for name, value in self.train_step.average.export_state().items()}
        state = {
            "config": self.asked.model_dump(),
            "data": self.dataset.digest,
            "initial": None if self.dataset.initial is None else self.dataset.initial.digest,
            "progress": asdict(self.state),
            "steps": self.train_step.optimizer.steps,
            "scale": self.train_step.scale.export_state(),
            "refit": None if self.refit is None else asdict(self.refit),
        }
        return Checkpoint(tensors, state)

    def restore(self, checkpoint: Checkpoint, folder: Path) -> None:
        """Restore the state of :meth:`checkpoint`, which was read from ``folder``.

        Raises:
            ModelError: the data have changed, or the checkpoint is damaged.
        """
        path, state = folder / CHECKPOINT_NAME, checkpoint.state
        with explaining_damage(path):
            if state["data"] != self.dataset.digest:
                raise ModelError(path, "the training set, validation set or word vectors have changed; train again")
            self.model.load_state_dict(checkpoint.part("model"))
            self.train_step.optimizer.import_state(checkpoint.part(_OPTIMIZER), steps=state["steps"])
            self.train_step.scale.import_state(state["scale"])
            if self.train_step.average:
                self.train_step.average.import_state(checkpoint.part("average"))
            self.state = TrainerState.restore(state["progress"])

    def snapshot(self) -> SavedModel:
        """Return the model that was validated last."""
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
            ngram_scale=None if validator.ngrams is None else validator.ngram_scale,
            cascade=validator.cascade if validator.ngrams is not None else None,
            validation=None if self.refit is not None else self.record_validation(),
        )

    def record_validation(self) -> ValidationRecord:
        """Return the record of the validation set, with the figures of the last epoch."""
        record = self.state.records[-1]
        name = "mae" if self.dataset.anchors is not None else "micro_f1" if self.dataset.label_sets else "accuracy"
        figures = {"loss": float(record.valid_loss), name: float(getattr(record, name))}
        return ValidationRecord(len(self.dataset.valid), figures, self.dataset.valid_hashes[:MAX_HASHES])


def _limit_parts(config: Config) -> int | None:
    """Return the most tokens that are computed at once with ``data.long_texts: whole``: what a batch of shorter texts
    can have, but at least those of a window; None without a limit of its own."""
    if config.data.long_texts != "whole":
        return None
    shorter = config.train.batch_tokens or (config.train.batch_size or 1) * config.data.max_length
    return max(WHOLE, shorter)
