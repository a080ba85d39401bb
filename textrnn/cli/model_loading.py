"""Loading of the model that a command uses."""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textrnn.cli.options import PrecisionName
from textrnn.cli.terminal import print_message
from textrnn.cli.training_process import prepare_torch
from textrnn.errors import ConfigError, shorten
from textrnn.inference import parse_precision
from textrnn.native.library import load_native
from textrnn.serialization.latest_run import find_latest

if TYPE_CHECKING:
    from textrnn.inference.engine import Engine

_MAX_LABELS = 10
_FLOAT32_BYTES = 4


def choose_model(model: Path | None) -> Path:
    """Return the path given by ``-m``, or the latest run of this folder; raises ModelError if there is neither."""
    return model if model is not None else find_latest()


def load_engine(model: Path | None, *, precision: PrecisionName = "fp32", device: str = "cpu") -> Engine:
    """Load the model given by ``-m``, or the latest run of this folder.

    Raises:
        ConfigError: ``precision`` is set for a device other than the CPU.
        ModelError: there is no model, or it cannot be used.
        BackendError: the device or the precision is not available.
    """
    from textrnn.native.malloc import keep_freed_memory

    keep_freed_memory()
    path = choose_model(model)
    _prepare_numpy()
    was_collecting = gc.isenabled()
    gc.disable()  # imports leave no garbage, nor does loading
    try:
        return _load(path, precision=precision, device=device)
    finally:
        if was_collecting:
            gc.enable()


def _load(path: Path, *, precision: PrecisionName, device: str) -> Engine:
    from textrnn.inference.engine import Engine

    if device == "auto":
        prepare_torch("auto")

        from textrnn.ops.device import resolve_device

        device = resolve_device("auto").type
        print_message(f"device auto: {device}")
    if device == "cpu":
        return Engine.load(path, precision=parse_precision(precision))
    if precision not in ("fp32", "float32"):
        raise ConfigError(f"--precision {precision}: CPU only; leave it out with --device {device}")
    from textrnn.serialization.model_file import load_model

    saved = load_model(path)
    prepare_torch(device)

    from textrnn.models.torch_network import TorchNetwork

    return Engine(saved, TorchNetwork(saved, device))


def _prepare_numpy() -> None:
    """Let numpy start no threads when it is imported, unless the user has set their number.

    They would spin for a while, for nothing: the C++ library computes the products.
    """
    library = load_native().library
    if library is not None and not library.textrnn_lacks_prepacked(_FLOAT32_BYTES):
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def check_threshold(engine: Engine, threshold: float | None) -> None:
    """Raise ConfigError if a threshold is given to a model that is not multi-label."""
    check_score_options(engine, {"--threshold": threshold})
    if threshold is not None and engine.thresholds is None:
        raise ConfigError(f"--threshold {threshold}: the model is single-label; leave it out")


def check_score_options(engine: Engine, options: Mapping[str, object]) -> None:
    """Raise ConfigError if ``options`` for labels, by name, are given to a model of scores.

    None and False mean that an option is not given.
    """
    if engine.anchors is None:
        return
    given = [
        name if value is True else f"{name} {value}"
        for name, value in options.items()
        if value is not None and value is not False
    ]
    if given:
        raise ConfigError([f"{option}: is for labels, but the model predicts scores; leave it out" for option in given])


def require_labels(engine: Engine, command: str) -> None:
    """Raise ConfigError if the model predicts scores; ``command`` is for labels."""
    if engine.anchors is not None:
        raise ConfigError(f"{command}: is for labels, but the model predicts scores")


def check_ignored(engine: Engine, *, ignores: bool) -> None:
    """Raise ConfigError if ``--ignore-thresholds`` is given for a model without confidence thresholds."""
    if ignores and not engine.confidence_thresholds:
        raise ConfigError("--ignore-thresholds: the model has none; leave it out")


def use_cascade(engine: Engine, agreement: float | None) -> None:
    """Let ``engine`` skip the network for texts whose margin guarantees ``agreement`` (None: for no text).

    Raises:
        ConfigError: the model is multi-label, has no n-grams, or does not know their agreement.
    """
    if agreement is None:
        return
    if engine.thresholds is not None:
        raise ConfigError(f"--cascade {agreement}: the model is multi-label; leave it out")
    if not engine.has_ngrams:
        raise ConfigError(f"--cascade {agreement}: the model has no n-grams; leave it out")
    if engine.cascade is None:
        raise ConfigError(f"--cascade {agreement}: the model file lacks the margins for it; train it again")
    engine.margin = engine.cascade.find_margin(agreement)
    if engine.margin is None:
        best = max(engine.cascade.agreements, default=0.0)
        shown = f"{math.floor(best * 10_000) / 10_000:.4f}"
        print_message(f"--cascade {agreement}: the validation set supports {shown} at most; using the whole model")


def check_labels(engine: Engine, labels: Sequence[str], *, option: str, other: str | None = None) -> None:
    """Raise ConfigError with one line for each of ``labels``, given by ``option``, that the model does not know.

    The label ``other`` is allowed too.
    """
    known, faults = engine.labels, []
    for label in labels:
        if label not in known and label != other:
            import difflib

            similar = difflib.get_close_matches(label, known, n=3)
            shown = ", ".join(map(shorten, known[:_MAX_LABELS])) + (", ..." if len(known) > _MAX_LABELS else "")
            hint = f"did you mean {' or '.join(map(repr, similar))}?" if similar else f"it has {shown}"
            faults.append(f"{option} {label}: the model has no such label; {hint}")
    if faults:
        raise ConfigError(faults)
