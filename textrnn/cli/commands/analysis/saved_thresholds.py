"""Thresholds of confidence in model files: ``textrnn evaluate`` saves and removes them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from textrnn.cli.commands.analysis.unknown_labels import list_labels
from textrnn.cli.terminal import print_message
from textrnn.errors import ConfigError, DataError, pluralize

if TYPE_CHECKING:
    from textrnn.evaluation.abstention import Guarantee
    from textrnn.inference.engine import Engine


def save_thresholds(path: Path, engine: Engine, guarantees: list[Guarantee]) -> None:
    """Write the thresholds of ``guarantees`` into the model file; raise DataError if there is none."""
    from textrnn.evaluation.abstention import count_needed, list_thresholds
    from textrnn.serialization.model_file import save_confidence_thresholds

    max_error = guarantees[0].max_error
    if all(guarantee.threshold is None for guarantee in guarantees):
        cure = f"allow more, or give more text (at least {count_needed(max_error):,} confident predictions)"
        reason = f"no confidence guarantees at most {100 * max_error:g} % errors; {cure}"
        raise DataError("--save-thresholds", None, f"nothing saved: {reason}")
    thresholds = list_thresholds(guarantees, engine.labels)
    save_confidence_thresholds(path, thresholds, max_error=max_error)
    print_message(f"{path}: predict prints unknown below the thresholds, unless --ignore-thresholds is given")
    if never := [label for label, threshold in zip(engine.labels, thresholds, strict=True) if math.isinf(threshold)]:
        labels = pluralize(len(never), "label", "labels")
        print_message(f"{labels} without a threshold, never printed: {list_labels(never)}")


def clear_thresholds(path: Path, engine: Engine) -> None:
    """Remove the thresholds from the model file; raise ConfigError if there are none."""
    from textrnn.serialization.model_file import save_confidence_thresholds

    if not engine.confidence_thresholds:
        raise ConfigError(f"--clear-thresholds: {path} has none; leave it out")
    save_confidence_thresholds(path, None)
    print_message(f"{path}: predict prints every label again")
