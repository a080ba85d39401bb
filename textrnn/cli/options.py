"""The options that say which model a command works with, how it computes, and when it gives a label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from textrnn.cli.terminal import say
from textrnn.errors import ConfigError
from textrnn.inference import Precision, parse_precision
from textrnn.serialization.latest_run import find_latest

if TYPE_CHECKING:
    from textrnn.inference.engine import Engine

ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model", "-m", metavar="RUN|FILE", help="A run folder or a model file; default: the latest run here."
    ),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        min=0.0,
        max=1.0,
        metavar="P",
        help="Several labels a text: give those of probability P and more.  [default: a threshold for each, as tuned]",
    ),
]


PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision",
        parser=parse_precision,
        metavar="fp32|bf16|int8",
        help="Of the products with weights: bf16 and int8 are faster, where the processor has them.",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="cpu, or by torch, which takes seconds to load: auto, cuda, cuda:N, mps.",
    ),
]


def choose_model(model: Path | None) -> Path:
    """Return the path that ``-m`` named, or else the latest run of this folder; raises ModelError without one."""
    return model if model is not None else find_latest()


def load_engine(model: Path | None, *, precision: Precision = "fp32", device: str = "cpu") -> Engine:
    """Load the model that ``-m`` named, or the latest of this folder.

    Raises:
        ConfigError: a precision for another device than the CPU.
        ModelError: there is no model, or it cannot be used.
        BackendError: the device or the precision is not there.
    """
    from textrnn.inference.engine import Engine
    from textrnn.native.malloc import keep_freed_memory

    keep_freed_memory()
    path = choose_model(model)
    if device == "auto":
        device = choose_device()
    if device == "cpu":
        return Engine.load(path, precision=precision)
    if precision != "fp32":
        raise ConfigError(f"--precision {precision}: for the CPU; leave it out with --device {device}")
    from textrnn.cli.training_process import prepare_torch
    from textrnn.serialization.model_file import load_model

    saved = load_model(path)
    prepare_torch(device)

    from textrnn.models.torch_network import TorchNetwork

    return Engine(saved, TorchNetwork(saved, device))


def choose_device() -> str:
    """Return ``cuda`` where torch finds such a device, else ``cpu``, and say which on stderr."""
    from textrnn.cli.training_process import prepare_torch

    prepare_torch("auto")

    from textrnn.ops.device import resolve_device

    found = resolve_device("auto").type
    say(f"device auto: {found}")
    return found


def check_threshold(engine: Engine, threshold: float | None) -> None:
    """Raise ConfigError where a threshold is given to a model that gives every text one label."""
    if threshold is not None and engine.thresholds is None:
        raise ConfigError(f"--threshold {threshold}: this model gives every text one label; leave it out")
