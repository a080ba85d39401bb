"""The commands, one module each or one for each group."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from textrnn.cli.parameters import CommandFunction

COMMANDS = {
    "spm-train": "spm_train.spm_train",
    "spm-encode": "spm_filter.spm_encode",
    "spm-decode": "spm_filter.spm_decode",
    "train": "train.train_command",
    "tune": "tune.tune_command",
    "evaluate": "evaluate.evaluate_command",
    "predict": "predict.predict_command",
    "optimize": "optimize.optimize_command",
    "filter": "filter.filter_command",
    "demo": "demo.demo_command",
    "init": "init.init_command",
    "bench": "bench.bench_command",
    "doctor": "doctor.doctor_command",
    "data check": "data.check_command",
    "data split": "data.split_command",
    "config schema": "config.schema_command",
}
"""The module and the function of each command, in the order of the help."""

GROUPS = {"data": "Check labelled files, or split one.", "config": "Describe the config file."}
"""What each group of commands does."""


def load_command(name: str) -> CommandFunction:
    """Return the function of the command called ``name``; only its module is imported."""
    module, _, function = COMMANDS[name].partition(".")
    return cast("CommandFunction", getattr(import_module(f"{__name__}.{module}"), function))
