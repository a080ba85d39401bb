"""What a training run would take, by some steps of it that nobody keeps."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from textrnn.config import Config
from textrnn.corpus.batching import bucket_batches, sorted_batches
from textrnn.training.dataset import load_dataset
from textrnn.training.device import make_repeatable, resolve_device
from textrnn.training.judge import VALID_TOKENS
from textrnn.training.loop import Trainer
from textrnn.training.ranks import Ranks
from textrnn.training.reporter import Reporter
from textrnn.training.session import build, count, describe, reporting, resolve

_WARM, _TIMED = 3, 20  # steps


@dataclass(frozen=True)
class Estimate:
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


def estimate(config: Config, *, reporter: Reporter | None = None) -> Estimate:
    """Read the data, make some steps on a network that is thrown away, and return what the whole run would take.

    Raises:
        As :func:`textrnn.training.session.train`, but for what belongs to a run folder.
    """
    with reporting(reporter) as shown:
        device = resolve_device(config.train.device)
        dataset = load_dataset(config, shown)
        config = resolve(config, dataset)
        make_repeatable(config.train.seed)
        model = build(config, dataset).to(device)
        shown.note(describe(config, model, device, Ranks()))
        trainer = Trainer(config, dataset, model=model, device=device, ranks=Ranks())
        rng = np.random.default_rng(config.train.seed)
        batches = bucket_batches(dataset.train, trainer.batch_size, rng, batch_tokens=trainer.batch_tokens)
        tokens, taken = 0, 0.0
        for number, batch in enumerate(islice(batches, _WARM + _TIMED)):
            start = time.perf_counter()
            trainer.stepper.step(trainer.reading.vary(batch, 1, number), lr=0.0)
            if number >= min(_WARM, trainer.batches - 1):
                tokens, taken = tokens + len(batch.ids), taken + time.perf_counter() - start
        model.eval()
        with torch.no_grad():
            _, batch = next(sorted_batches(dataset.valid, VALID_TOKENS))
            start = time.perf_counter()
            trainer.judge.score(batch)
            valid_rate = (time.perf_counter() - start) / len(batch.ids)
        epochs = trainer.steps / trainer.batches
        seconds = epochs * (taken / tokens * dataset.train.tokens + valid_rate * dataset.valid.tokens)
        return Estimate(
            config, count(model), trainer.batches, trainer.steps, dataset.train.tokens, seconds, _peak_memory(device)
        )


def _peak_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
