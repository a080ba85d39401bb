"""The pointer to the latest run, which commands without ``-m`` use, and the names of the files of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from textrnn.errors import ModelError
from textrnn.files import write_text

if TYPE_CHECKING:
    from textrnn.reporter import Reporter

POINTER = Path("runs") / "latest"
CHECKPOINT_NAME = "checkpoint.safetensors"  # present while a run is unfinished
CONFIG_NAME = "config.yaml"
METRICS_NAME = "metrics.jsonl"
COMMAND_NAME = "command.txt"
REPORT_NAME = "report.html"  # the evaluation page on the validation set
EXPERIMENT_NAME = "study.json"
SUMMARY_NAME = "summary.json"  # of a finished experiment


def make_latest(folder: Path, reporter: Reporter) -> None:
    """Make ``folder`` the latest run of the current folder; report it if the pointer cannot be written."""
    absolute, here = folder.resolve(), Path.cwd().resolve()
    target = absolute.relative_to(here) if absolute.is_relative_to(here) else absolute
    try:
        write_text(POINTER, f"{target.as_posix()}\n")
    except OSError as error:
        reporter.note(f"{POINTER}: cannot be written ({error.strerror}); name this run with -m {folder}")


def find_latest(naming: str = "with -m") -> Path:
    """Return the folder of the latest run; error messages ask the user to name a model as ``naming`` says.

    Raises:
        ModelError: no run was trained from the current folder, or its folder is gone.
    """
    try:
        name = POINTER.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        raise ModelError(POINTER, f"no model was trained in this folder; train one, or name one {naming}") from None
    if not name or not Path(name).is_dir():
        raise ModelError(POINTER, f"points to {name or 'nothing'}, which is gone; name a model {naming}")
    return Path(name)


def find_best(folder: Path) -> Path | None:
    """Return the folder of the best run of the finished experiment in ``folder``; None if there is none.

    Raises:
        ModelError: its summary is damaged.
    """
    path = folder / SUMMARY_NAME
    if not is_experiment(folder) or not path.is_file():
        return None
    try:
        return Path(folder, json.loads(path.read_text(encoding="utf-8"))["best"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(path, f"not the summary of an experiment, or damaged ({error}); run it again") from None


def is_experiment(folder: Path) -> bool:
    """Return True if ``folder`` holds an experiment (``--kfold`` or ``--seeds``) instead of a single run."""
    return (folder / EXPERIMENT_NAME).is_file()
