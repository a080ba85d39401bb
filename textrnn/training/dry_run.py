"""What a training run would take, by some steps of it that nobody keeps."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from textrnn.config import Config
from textrnn.data.sampler import bucket_batches, sorted_batches
from textrnn.ops.device import make_repeatable, resolve_device
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Reporter
from textrnn.training.distributed import ProcessGroup
from textrnn.training.train import build, count, describe, reporting, resolve
from textrnn.training.trainer import Trainer
from textrnn.training.validation import VALID_TOKENS

_WARM, _TIMED = 3, 20  # steps


@dataclass(frozen=True)
class DryRun:
    """What a run would take: at most ``seconds`` for all steps and valid passes, without the reading of the text.

    ``memory`` is that of the whole process in bytes, or of the CUDA device that it trains on; None: not known here.
    """

    config: Config
    parameters: int
    batches: int
    steps: int
    tokens: int
    seconds: float
    memory: int | None


def dry_run(config: Config, *, reporter: Reporter | None = None) -> DryRun:
    """Read the data, make some steps on a network that is thrown away, and return what the whole run would take.

    Raises:
        As :func:`textrnn.training.train.train`, but for what belongs to a run folder.
    """
    with reporting(reporter) as shown:
        device = resolve_device(config.train.device)
        dataset = load_dataset(config, shown)
        config = resolve(config, dataset)
        make_repeatable(config.train.seed)
        model = build(config, dataset).to(device)
        shown.note(describe(config, model, device, ProcessGroup()))
        trainer = Trainer(config, dataset, model=model, device=device, group=ProcessGroup())
        rng = np.random.default_rng(config.train.seed)
        batches = bucket_batches(dataset.train, trainer.batch_size, rng, batch_tokens=trainer.batch_tokens)
        tokens, taken = 0, 0.0
        for number, batch in enumerate(islice(batches, _WARM + _TIMED)):
            start = time.perf_counter()
            trainer.train_step.step(trainer.reading.augment(batch, 1, number), lr=0.0)
            if number >= min(_WARM, trainer.batches - 1):
                tokens, taken = tokens + len(batch.ids), taken + time.perf_counter() - start
        model.eval()
        with torch.no_grad():
            _, batch = next(sorted_batches(dataset.valid, VALID_TOKENS))
            start = time.perf_counter()
            trainer.validator.forward(batch)
            valid_rate = (time.perf_counter() - start) / len(batch.ids)
        epochs = trainer.steps / trainer.batches
        seconds = epochs * (taken / tokens * dataset.train.tokens + valid_rate * dataset.valid.tokens)
        return DryRun(
            config, count(model), trainer.batches, trainer.steps, dataset.train.tokens, seconds, _peak_memory(device)
        )


def _peak_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
