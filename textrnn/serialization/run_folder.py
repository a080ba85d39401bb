"""The run folder of a training run: model, config, metrics and command line."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path

from textrnn.config import Config, as_list, dump_yaml
from textrnn.data.reading.io import STDIN
from textrnn.errors import ConfigError, ModelError
from textrnn.files import write_text
from textrnn.reporter import EpochRecord
from textrnn.serialization.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from textrnn.serialization.latest_run import (
    CHECKPOINT_NAME,
    COMMAND_NAME,
    CONFIG_NAME,
    METRICS_NAME,
    POINTER,
    REPORT_NAME,
)
from textrnn.serialization.model_file import MODEL_NAME, SavedModel, save_model

EVENTS_NAME = "tensorboard"

_ROWS = "distilled"  # with rows that were made for a run
_ROWS_FOLDER = rf"{_ROWS}-[0-9a-f]{{8}}"
_FILES = (MODEL_NAME, CONFIG_NAME, METRICS_NAME, COMMAND_NAME, CHECKPOINT_NAME, EVENTS_NAME, REPORT_NAME)
_NAMES = "|".join([*map(re.escape, _FILES), _ROWS_FOLDER])
_TEMPORARY = rf"\.({_NAMES}|{_ROWS})\..*\.tmp"  # an atomic write whose process was killed


def default_folder(config: Config) -> Path:
    """Return ``runs/NAME-CELL``; NAME is that of the training file, or of its folder if the file is called train.

    A final model goes to ``RUN-final``, beside the run that it is a refit of.
    """
    if config.train.refit is not None:
        run = Path(config.train.refit).absolute()
        return Path(config.train.refit).parent / f"{run.name}-final"
    train = as_list(config.data.train)[0]
    path = Path("stdin" if train == STDIN else train)
    name = path.name.split(".")[0]
    if name == "train":
        name = path.absolute().parent.name
    return Path("runs") / f"{name or 'run'}-{config.model.cell}"


class RunFolder:
    """A run folder that is being written. It stays untouched until a model or checkpoint is saved.

    Args:
        path: of the folder.
        command: the user's command line, which is recorded.
        overwrite: whether to delete an earlier run in the folder instead of moving it.
        resumes: the records of the interrupted run in the folder that is resumed.
        is_latest: whether the first model makes this the latest run.

    Raises:
        ConfigError: ``path`` is a file, a folder with other content than a run, or the path of the pointer.
    """

    def __init__(
        self,
        path: Path,
        *,
        command: str = "",
        overwrite: bool = False,
        resumes: Sequence[EpochRecord] | None = None,
        is_latest: bool = True,
    ) -> None:
        self.path, self._command, self._overwrite, self._resumes = path, command, overwrite, resumes
        self.is_latest, self.has_model = is_latest, any(record.best for record in resumes or ())
        self._mark: tuple[int, int] | None = None  # identifies our config.yaml: the folder is still ours
        if resumes is None:
            check_folder(path, flag="--out", kind="a run", own=f"{_NAMES}|{_TEMPORARY}")
        else:
            check_folder(path, flag="--resume")

    def reopen(self, config: Config) -> None:
        """Claim the folder of the resumed run, and remove the metrics of epochs after its checkpoint."""
        for path in self.path.iterdir():
            if re.fullmatch(_TEMPORARY, path.name):
                _remove(path)
        write_text(self.path / METRICS_NAME, "".join(map(_format, self._resumes or ())))
        self._write_config(config)

    def _write_config(self, config: Config) -> None:
        write_text(self.path / CONFIG_NAME, dump_yaml(config))
        self._mark = _identify(self.path / CONFIG_NAME)

    def claim(self, config: Config) -> Path | None:
        """Claim the folder before anything is saved in it; later calls check that it is still ours.

        An earlier run in it moves to the first free name of ``FOLDER.1``, ``FOLDER.2``, ..., which is returned. With
        ``overwrite`` its files are deleted. Rows that were made for this run stay.

        Raises:
            ConfigError: another run has claimed the folder since.
        """
        if self._mark is not None:
            if self._mark != _identify(self.path / CONFIG_NAME):
                raise ConfigError(f"{self.path}: another run is writing to this folder; name another one with --out")
            return None
        used = {Path(file).resolve().parent for file in config.data.training_files}
        rows = [folder for folder in self.path.glob(f"{_ROWS}-*") if folder.resolve() in used]
        moved = None if self._overwrite else _move_run(self.path, kept=[folder.name for folder in rows])
        for folder in self.path.glob(f"{_ROWS}-*"):
            if folder not in rows and re.fullmatch(_ROWS_FOLDER, folder.name):
                _remove(folder)
        for name in (MODEL_NAME, CHECKPOINT_NAME, REPORT_NAME):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / EVENTS_NAME, ignore_errors=True)
        write_text(self.path / METRICS_NAME, "")
        write_text(self.path / COMMAND_NAME, f"{self._command}\n")
        self._write_config(config)
        return moved

    def write(self, record: EpochRecord, model: SavedModel | None) -> None:
        """Append the record of an epoch; first write ``model`` if it is given."""
        if model is not None:
            save_model(self.path / MODEL_NAME, model)
            self.has_model = True
        with (self.path / METRICS_NAME).open("a", encoding="utf-8") as file:
            file.write(_format(record))

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write the state from which the run can be resumed."""
        write_checkpoint(self.path / CHECKPOINT_NAME, checkpoint)

    def remove_checkpoint(self) -> None:
        """Remove the checkpoint, if there is one."""
        (self.path / CHECKPOINT_NAME).unlink(missing_ok=True)


@contextmanager
def making_rows(folder: Path) -> Iterator[Path]:
    """Yield a new folder in the run folder ``folder`` for the files of rows that a run will learn from.

    Nothing else in ``folder`` changes. Rows that :func:`keep_rows` does not keep are removed at the end.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{_ROWS}.", suffix=".tmp") as name:
            yield Path(name)
    finally:
        if is_new:
            with suppress(OSError):  # it holds rows
                folder.rmdir()


def keep_rows(made: Path) -> Path:
    """Return the folder that the rows in the folder ``made`` move to, which is named by their content.

    So rows of another content never take its place, and a run that has moved never reads those of another.
    """
    digest = hashlib.sha256()
    for path in sorted(made.iterdir()):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    rows = made.parent / f"{_ROWS}-{digest.hexdigest()[:8]}"
    rows.mkdir(exist_ok=True)
    for path in made.iterdir():
        path.replace(rows / path.name)
    return rows


def is_made_rows(path: Path) -> bool:
    """Return whether ``path`` is a file that :func:`keep_rows` kept."""
    return re.fullmatch(_ROWS_FOLDER, path.parent.name) is not None


def _remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def check_folder(folder: Path, *, flag: str, kind: str = "", own: str = "(?s).*", required: str = "") -> None:
    """Check that ``folder``, the value of ``flag``, is writable or can be created, and empty or of this ``kind``.

    The names of all its files must match the pattern ``own``, and one must be ``required``.

    Raises:
        ConfigError: it is a file, the path of the pointer to the latest run, not writable, or has other content.
    """
    if folder.resolve() == POINTER.resolve():
        raise ConfigError(f"{flag} {folder}: reserved for the pointer to the latest run; name another folder")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{flag} {folder}: a file; name a folder")
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(existing, os.W_OK):
        raise ConfigError(f"{flag} {folder}: {existing} cannot be written to; name another folder")
    names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    others = [name for name in names if not re.fullmatch(own, name)]
    if others or (names and required and required not in names):
        raise ConfigError(
            f"{flag} {folder}: contains {(others or names)[0]}, which is not part of {kind}; name an empty folder"
        )


def find_checkpoint(folder: Path) -> Checkpoint:
    """Read the checkpoint of the run in ``folder``; raises ModelError if it is missing or unusable."""
    if not folder.is_dir():
        reason = "a file" if folder.exists() else "no such folder"
        raise ModelError(folder, f"{reason}; name the folder of the run")
    path = folder / CHECKPOINT_NAME
    if path.exists():
        return read_checkpoint(path)
    reason = "no run was interrupted here after a checkpoint"
    if (folder / MODEL_NAME).exists():
        reason = "the run is finished, or was killed before its first checkpoint (train.checkpoint_minutes)"
    raise ModelError(folder, f"contains no {CHECKPOINT_NAME}: {reason}; train again")


def _format(record: EpochRecord) -> str:
    measured = {name: value for name, value in asdict(record).items() if value is not None and not math.isnan(value)}
    return json.dumps(measured) + "\n"


def _move_run(folder: Path, *, kept: Sequence[str]) -> Path | None:
    """Move the files of an earlier run, except ``kept`` ones, to a new folder next to ``folder``, and return it.

    Returns None without files.
    """
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if not (names := [name for name in names if name not in kept and not re.fullmatch(_TEMPORARY, name)]):
        return None
    base = folder if folder.name else folder.resolve()
    for number in count(1):
        target = base.with_name(f"{base.name}.{number}")
        with suppress(FileExistsError):
            target.mkdir()
            break
    for name in names:
        (folder / name).rename(target / name)
    return target


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
