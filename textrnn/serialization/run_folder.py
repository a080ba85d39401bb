"""The run folder: where a training run leaves its model, config, metrics and command line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from textrnn.config import Config, dump_yaml
from textrnn.data.io import STDIN
from textrnn.errors import ConfigError, ModelError
from textrnn.files import write_text
from textrnn.reporter import EpochRecord
from textrnn.serialization.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from textrnn.serialization.latest_run import CHECKPOINT_NAME, POINTER
from textrnn.serialization.model_file import MODEL_NAME, SavedModel, save_model

CONFIG_NAME = "config.yaml"
METRICS_NAME = "metrics.jsonl"
COMMAND_NAME = "command.txt"
EVENTS_NAME = "tensorboard"

_NAMES = {MODEL_NAME, CONFIG_NAME, METRICS_NAME, COMMAND_NAME, CHECKPOINT_NAME, EVENTS_NAME}


def default_folder(config: Config) -> Path:
    """Return ``runs/NAME-CELL``; NAME is the training file's, or its folder's where the file is called train."""
    path = Path("stdin" if config.data.train == STDIN else config.data.train)
    name = path.name.split(".")[0]
    if name == "train":
        name = path.absolute().parent.name
    return Path("runs") / f"{name or 'run'}-{config.model.cell}"


class Run:
    """A run folder that is being written; nothing in it is touched before there is something to be saved.

    ``resumes`` are the records of an interrupted run in it that is gone on with. With ``is_latest`` its first model
    makes it the latest run.

    Raises:
        ConfigError: ``folder`` is a file, a folder that holds something other than a run, or the pointer's own place.
    """

    def __init__(
        self,
        folder: Path,
        *,
        command: str = "",
        overwrite: bool = False,
        resumes: Sequence[EpochRecord] | None = None,
        is_latest: bool = True,
    ) -> None:
        self.folder, self._command, self._overwrite, self._resumes = folder, command, overwrite, resumes
        self.is_latest = is_latest
        self._mark: tuple[int, int] | None = None  # of our config.yaml: shows that the folder is still ours
        check_folder(folder, flag="--out" if resumes is None else "--resume")
        found = [path for path in folder.iterdir() if not _is_left_over(path)] if folder.is_dir() else []
        if resumes is None and (others := {path.name for path in found} - _NAMES):
            raise ConfigError(f"--out {folder}: holds {min(others)}, no part of a run; name an empty or a new folder")

    def reopen(self, config: Config) -> None:
        """Make the interrupted run in the folder ours, with the metrics of the epochs that it goes on after."""
        for path in self.folder.iterdir():
            if _is_left_over(path):
                path.unlink(missing_ok=True)
        write_text(self.folder / METRICS_NAME, "".join(map(_format, self._resumes or ())))
        self._mark_as_ours(config)

    def _mark_as_ours(self, config: Config) -> None:
        write_text(self.folder / CONFIG_NAME, dump_yaml(config))
        self._mark = _identify(self.folder / CONFIG_NAME)

    def claim(self, config: Config) -> Path | None:
        """Make the folder ours, where it is not: the first model or checkpoint is about to be written.

        An earlier run there moves to the first free name of ``FOLDER.1``, ``FOLDER.2``, ..., which is returned; with
        ``overwrite`` its files are replaced.

        Raises:
            ConfigError: another run has taken the folder since.
        """
        if self._mark is not None:
            if self._mark != _identify(self.folder / CONFIG_NAME):
                raise ConfigError(
                    f"{self.folder}: another run has taken this folder; train into one of your own with --out"
                )
            return None
        kept = None if self._overwrite else _move_run(self.folder)
        (self.folder / CHECKPOINT_NAME).unlink(missing_ok=True)
        shutil.rmtree(self.folder / EVENTS_NAME, ignore_errors=True)
        write_text(self.folder / METRICS_NAME, "")
        write_text(self.folder / COMMAND_NAME, f"{self._command}\n")
        self._mark_as_ours(config)
        return kept

    def write(self, record: EpochRecord, model: SavedModel | None) -> None:
        """Add the record of an epoch, and write ``model`` if it is given (it is with the first)."""
        if model is not None:
            save_model(self.folder / MODEL_NAME, model)
        with (self.folder / METRICS_NAME).open("a", encoding="utf-8") as file:
            file.write(_format(record))

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write what going on with the run needs."""
        write_checkpoint(self.folder / CHECKPOINT_NAME, checkpoint)

    def finish(self) -> None:
        """Remove the checkpoint of a run that has come to its end."""
        (self.folder / CHECKPOINT_NAME).unlink(missing_ok=True)


def check_folder(folder: Path, *, flag: str) -> None:
    """Check that ``folder``, which ``flag`` named, is a folder or can become one.

    Raises:
        ConfigError: it is a file or the pointer's own place, or cannot be written to.
    """
    if folder.resolve() == POINTER.resolve():
        raise ConfigError(f"{flag} {folder}: the name of the pointer to the latest run; choose another")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{flag} {folder}: a file; name a folder")
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(place, os.W_OK):
        raise ConfigError(f"{flag} {folder}: {place} cannot be written to; name another folder")


def find_checkpoint(folder: Path) -> Checkpoint:
    """Read the checkpoint of the run in ``folder``.

    Raises:
        ModelError: there is none, or it cannot be used.
    """
    path = folder / CHECKPOINT_NAME
    if folder.is_file():
        raise ModelError(folder, "a file; name the folder of the run")
    if not folder.exists():
        raise ModelError(folder, "no such folder; name the folder of the run")
    if not path.exists():
        if (folder / MODEL_NAME).exists():
            raise ModelError(
                folder,
                f"holds no {CHECKPOINT_NAME}: the run has come to its end, or was killed before its first checkpoint "
                "(train.checkpoint_minutes); train again to begin anew",
            )
        raise ModelError(folder, f"holds no {CHECKPOINT_NAME}: no run was interrupted there after a checkpoint")
    return read_checkpoint(path)


def _format(record: EpochRecord) -> str:
    return json.dumps(asdict(record)) + "\n"


def _is_left_over(path: Path) -> bool:
    """Whether a process that was killed left ``path``: the temporary file of an atomic write."""
    return path.suffix == ".tmp" and any(path.name.startswith(f".{name}.") for name in _NAMES)


def _move_run(folder: Path) -> Path | None:
    """Move the files of an earlier run to a new folder beside ``folder``; None if there are none."""
    names = sorted(path.name for path in folder.iterdir() if not _is_left_over(path)) if folder.is_dir() else []
    if not names:
        return None
    beside = folder if folder.name else folder.resolve()
    number = 1
    while True:
        kept = beside.with_name(f"{beside.name}.{number}")
        try:
            kept.mkdir()
            break
        except FileExistsError:
            number += 1
    for name in names:
        (folder / name).rename(kept / name)
    return kept


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
