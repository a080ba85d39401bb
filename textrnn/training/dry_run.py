"""An estimate of the time and memory of a training run, from a few steps of it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from textrnn.config import Config
from textrnn.data.sampler import bucket_batches
from textrnn.ops.device import make_repeatable, resolve_device
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Reporter
from textrnn.serialization.initial_config import inherit_settings
from textrnn.training.callbacks import Callbacks
from textrnn.training.continuation.distillation import distill_targets
from textrnn.training.distributed import ProcessGroup
from textrnn.training.model_setup import (
    build_network,
    describe_network,
    fit_ngram_model,
    resolve_config,
    resolve_precision,
)
from textrnn.training.train import reporting
from textrnn.training.trainer import Trainer
from textrnn.training.validation import Validator

_WARMUP_STEPS, _TIMED_STEPS = 3, 20
_VALID_TEXTS = 2000


@dataclass(frozen=True)
class DryRun:
    """The size and cost of a run: steps per epoch (``batches``) and in all, training ``tokens``, ``seconds``, memory.

    ``seconds`` are for the n-gram model and all epochs, without reading the text. ``memory`` is the peak of the
    process, or of its CUDA device, in bytes; None if unknown.
    """

    config: Config
    batches: int
    steps: int
    tokens: int
    seconds: float
    memory: int | None


def dry_run(config: Config, *, reporter: Reporter | None = None) -> DryRun:
    """Read the data, fit the n-grams, time some steps and a validation pass, and estimate the cost of the run.

    Raises:
        As :func:`textrnn.training.train.train`, except for faults of a run folder.
    """
    reporter = reporter or Reporter()
    with reporting(reporter):
        config = resolve_precision(inherit_settings(config))
        device = resolve_device(config.train.device)
        dataset = load_dataset(config, reporter)
        asked, config = config, resolve_config(config, dataset)
        make_repeatable(config.train.seed)
        model = build_network(config, dataset).to(device)
        reporter.note(describe_network(config, model, device=device, group=ProcessGroup()))
        start = time.perf_counter()
        ngrams = fit_ngram_model(config, dataset, reporter)
        callbacks = Callbacks(config, reporter)
        texts = distill_targets(dataset, share=config.train.distill_share or 0)
        fitted = time.perf_counter() - start
        trainer = Trainer(
            config,
            dataset,
            asked=asked,
            callbacks=callbacks,
            model=model,
            device=device,
            ngrams=ngrams,
            texts=texts,
        )
        rng = np.random.default_rng(config.train.seed)
        drawn = dataset.windows.draw(trainer.texts, rng)
        batches = bucket_batches(drawn, trainer.batch_size, rng, batch_tokens=trainer.batch_tokens)
        tokens, taken = 0, 0.0
        for number, batch in enumerate(islice(batches, _WARMUP_STEPS + _TIMED_STEPS)):
            start = time.perf_counter()
            trainer.train_step.step(trainer.augmenter.augment(batch, 1, number), lr=0.0)
            if number >= min(_WARMUP_STEPS, trainer.batches - 1):
                tokens, taken = tokens + len(batch.ids), taken + time.perf_counter() - start
        epochs, trained = trainer.steps / trainer.batches, int(drawn.lengths.sum(dtype=np.int64))
        seconds = fitted + epochs * (taken / tokens * trained + _time_validation(trainer))
        return DryRun(
            config,
            batches=trainer.batches,
            steps=trainer.steps,
            tokens=trained,
            seconds=seconds,
            memory=_peak_memory(device),
        )


def _time_validation(trainer: Trainer) -> float:
    """Return the seconds of a validation pass, from one over at most ``_VALID_TEXTS`` texts."""
    dataset, validator = trainer.dataset, trainer.validator
    texts = min(_VALID_TEXTS, len(dataset.valid))
    part = Validator(
        dataset,
        validator.model,
        device=trainer.device,
        group=trainer.group,
        ngrams=validator.ngrams,
        config=trainer.config.ngrams,
        texts=texts,
    )
    start = time.perf_counter()
    part.validate(lambda: None)
    return (time.perf_counter() - start) * len(dataset.valid) / texts


def _peak_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - not available on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
