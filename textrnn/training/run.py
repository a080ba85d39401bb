"""The run folder: where a training run leaves its model, config, metrics and command line."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from textrnn.config import Config, dump_yaml
from textrnn.corpus.reading import STDIN
from textrnn.errors import ConfigError
from textrnn.files import write_text
from textrnn.modelfile import MODEL_NAME, SavedModel, save_model
from textrnn.runs import POINTER
from textrnn.training.reporter import EpochRecord

CONFIG_NAME = "config.yaml"
METRICS_NAME = "metrics.jsonl"
COMMAND_NAME = "command.txt"

_NAMES = {MODEL_NAME, CONFIG_NAME, METRICS_NAME, COMMAND_NAME}


def default_folder(config: Config) -> Path:
    """Return ``runs/NAME-CELL``; NAME is the training file's, or its folder's where the file is called train."""
    path = Path("stdin" if config.data.train == STDIN else config.data.train)
    name = path.name.split(".")[0]
    if name == "train":
        name = path.absolute().parent.name
    return Path("runs") / f"{name or 'run'}-{config.model.cell}"


class Run:
    """A run folder that is being written; nothing in it is touched before the first model is there to be saved.

    Raises:
        ConfigError: ``folder`` is a file, a folder that holds something other than a run, or the pointer's own place.
    """

    def __init__(self, folder: Path, *, command: str = "", overwrite: bool = False) -> None:
        self.folder, self._command, self._overwrite = folder, command, overwrite
        self._mark: tuple[int, int] | None = None  # of our config.yaml: shows that the folder is still ours
        if folder.resolve() == POINTER.resolve():
            raise ConfigError(f"--out {folder}: the name of the pointer to the latest run; choose another")
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"--out {folder}: a file; name a folder")
        place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not os.access(place, os.W_OK):
            raise ConfigError(f"--out {folder}: {place} cannot be written to; name another folder")
        others = {path.name for path in folder.iterdir()} - _NAMES if folder.is_dir() else set()
        if others:
            raise ConfigError(f"--out {folder}: holds {min(others)}, no part of a run; name an empty or a new folder")

    def write(self, record: EpochRecord, config: Config, model: SavedModel | None) -> Path | None:
        """Add the record of an epoch, and write ``model`` if it is given (it is with the first).

        The first call makes the folder ours: an earlier run there moves to the first free name of ``FOLDER.1``,
        ``FOLDER.2``, ..., which is returned; with ``overwrite`` its files are replaced.

        Raises:
            ConfigError: another run has taken the folder since.
        """
        kept = None
        if self._mark is None:
            kept = None if self._overwrite else _move_run(self.folder)
        elif self._mark != _identify(self.folder / CONFIG_NAME):
            raise ConfigError(
                f"{self.folder}: another run has taken this folder; train into one of your own with --out"
            )
        if model is not None:
            save_model(self.folder / MODEL_NAME, model)
        if self._mark is None:
            write_text(self.folder / METRICS_NAME, "")
            write_text(self.folder / COMMAND_NAME, f"{self._command}\n")
            write_text(self.folder / CONFIG_NAME, dump_yaml(config))
            self._mark = _identify(self.folder / CONFIG_NAME)
        with (self.folder / METRICS_NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")
        return kept


def _move_run(folder: Path) -> Path | None:
    """Move the files of an earlier run to a new folder beside ``folder``; None if there are none."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
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
