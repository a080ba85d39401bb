"""Tokens per second of whole training steps, compared with their matrix products and with other cells.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/training.py [--seconds 3] [--device cpu]

trains networks of two bidirectional layers, embedding 256, hidden 128 per direction, on mr with default settings:
everything that a step of `textrnn train` does, including two passes for R-Drop. Contestants take turns on the same
batches; ratios are medians of those within a turn. *Products* are the matrix products of SRU's step, forward and
backward, for both passes. Tokens of a text count once. The package `sru` 2.6.0 is compared last, if it is installed
(`pip install 'textrnn[peers]'`), since importing it slows down the process.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from textrnn.config import Override, TrainConfig, load_config
from textrnn.data.batch import PackedBatch
from textrnn.data.sampler import bucket_batches
from textrnn.models.classifier import Classifier
from textrnn.native.malloc import keep_freed_memory
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.device import make_repeatable, resolve_device
from textrnn.ops.dropout import dropout_columns
from textrnn.ops.matmul import multiply
from textrnn.preparation.dataset import Dataset, load_dataset
from textrnn.reporter import Reporter
from textrnn.training.distributed import ProcessGroup
from textrnn.training.loss import TextLoss
from textrnn.training.model_setup import resolve_config
from textrnn.training.train_step import TrainStep

Run = Callable[[PackedBatch], object]
STEPS = 12  # per turn


def load(folder: Path, cache: str) -> Dataset:
    """Encode a data set."""
    values = {"data.train": str(folder / "train.tsv"), "data.valid": str(folder / "valid.tsv"), "data.cache": cache}
    return load_dataset(load_config(overrides=[Override(k, v, k) for k, v in values.items()]), Reporter())


def make_train_step(dataset: Dataset, device: torch.device, *, cell: str = "sru", precision: str = "fp32") -> Run:
    """Return a function that trains a new network on a batch."""
    values = {"model.cell": cell, "train.precision": precision}
    config = load_config(overrides=[Override(k, v, k) for k, v in values.items()])
    make_repeatable(1)
    model = Classifier(len(dataset.tokenizer), len(dataset.labels), **config.model.model_dump()).to(device)
    return run_steps(model, config.train, device)


def run_steps(model: Classifier, config: TrainConfig, device: torch.device) -> Run:
    """Return a function that trains the model on a batch."""
    model.train()
    loss = TextLoss(config, labels=(), counts=())
    train_step = TrainStep(model, config, loss=loss, device=device, group=ProcessGroup())
    return lambda batch: train_step.step(batch, lr=1e-3)


def make_products(device: torch.device, precision: str) -> Run:
    """Return a function that computes the products of two layers: forward, input gradient and weight gradient."""
    passes = 2 if TrainConfig().r_drop else 1
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    weight = torch.randn(256, 768, device=device).to(dtype)

    def run(batch: PackedBatch) -> None:
        rows = passes * len(batch.ids)
        x = torch.zeros(rows, 256, dtype=dtype, device=device)
        du = torch.zeros(rows, 768, dtype=dtype, device=device)
        for _ in range(2):
            _ = multiply(x, weight), multiply(du, weight.T), multiply(x.T, du, dtype=torch.float32)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


class PeerLayers(nn.Module):
    """Both layers computed by the package `sru`, on padded sequences."""

    def __init__(self, kind: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.rnn = kind(256, 128, num_layers=2, bidirectional=True, dropout=0.5, layer_norm=True)
        self.output_size = 256

    def forward(self, x: Tensor, layout: BatchLayout, p: float, *, variational: bool) -> Tensor:
        x = dropout_columns(x, p, layout.offsets) if variational else nn.functional.dropout(x, p)
        texts = x.split(np.diff(layout.host_offsets).tolist())
        padded = nn.utils.rnn.pad_sequence(list(texts))
        lengths = layout.offsets.diff()
        rows = torch.arange(len(padded), device=x.device)[:, None]
        h, _ = self.rnn(padded, mask_pad=rows >= lengths)
        return h.transpose(0, 1)[(rows < lengths).T]


def make_peer(dataset: Dataset, device: torch.device) -> Run | None:
    """Return a function that trains a network with the package `sru`, or None if it does not work here."""
    try:
        import sru  # noqa: PLC0415 - importing compiles it
    except Exception as error:
        print(f"the package sru is left out: {type(error).__name__}: {error}", file=sys.stderr)
        return None
    config = load_config(overrides=[Override("train.precision", "fp32", "fp32")])
    make_repeatable(1)
    model = Classifier(len(dataset.tokenizer), len(dataset.labels), **config.model.model_dump())
    model.layers = nn.ModuleList([PeerLayers(sru.SRU)])
    return run_steps(model.to(device), config.train, device)


def contest(runs: dict[str, Run], batches: list[PackedBatch], seconds: float) -> dict[str, list[float]]:
    """Return the seconds per token of each contestant in each turn."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    source = cycle(batches)
    for run in runs.values():
        for batch in batches[:3]:
            run(batch)
    end = time.perf_counter() + seconds * len(runs)
    while time.perf_counter() < end or len(taken[next(iter(runs))]) < 5:
        turn = list(islice(source, STEPS))
        for name, run in runs.items():
            start = time.perf_counter()
            for batch in turn:
                run(batch)
            taken[name].append((time.perf_counter() - start) / sum(len(batch.ids) for batch in turn))
    return taken


def tabulate(taken: dict[str, list[float]], ours: str) -> None:
    """Print a table with the times relative to ``ours``."""
    print(f"| | pieces/s | time relative to {ours} |\n|---|---|---|")
    for name, times in taken.items():
        ratio = statistics.median(x / y for x, y in zip(times, taken[ours], strict=True))
        print(f"| {name} | {1 / statistics.median(times):,.0f} | {ratio:.2f} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="per contestant")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    folder = os.environ.get("TEXTRNN_TEST_DATA") or parser.error("set TEXTRNN_TEST_DATA to a folder of data sets")
    keep_freed_memory()
    device = resolve_device(options.device)
    with tempfile.TemporaryDirectory() as cache:
        dataset = load(Path(folder) / "mr", cache)
        size = resolve_config(load_config(), dataset).train.batch_size
        batches = list(bucket_batches(dataset.train, size, np.random.default_rng(1)))
    pieces = dataset.train.tokens / len(batches)
    print(f"mr, {pieces:.0f} tokens per step on average, {device}, {torch.get_num_threads()} threads\n")
    runs = {"products": make_products(device, "fp32"), "SRU": make_train_step(dataset, device)}
    runs |= {cell.upper(): make_train_step(dataset, device, cell=cell) for cell in ("lstm", "gru")}
    runs["SRU bf16"] = make_train_step(dataset, device, precision="bf16")
    runs["products bf16"] = make_products(device, "bf16")
    taken = contest(runs, batches, options.seconds)
    tabulate(taken, "SRU")
    share = statistics.median(x / y for x, y in zip(taken["products"], taken["SRU"], strict=True))
    print(f"\nSRU reaches {100 * share:.0f} % of the rate of its products alone\n")
    peer = make_peer(dataset, device)
    if peer is not None:
        tabulate(
            contest({"SRU": make_train_step(dataset, device), "package sru": peer}, batches, options.seconds), "SRU"
        )


if __name__ == "__main__":
    main()
