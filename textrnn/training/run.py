"""The run folder: where a training run leaves its model, config, metrics and command line."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from textrnn.config import Config, dump_yaml
from textrnn.errors import ConfigError
from textrnn.files import keep_previous, write_text
from textrnn.modelfile import MODEL_NAME, SavedModel, save_model
from textrnn.runs import point_to
from textrnn.training.reporter import EpochRecord

CONFIG_NAME = "config.yaml"
METRICS_NAME = "metrics.jsonl"
COMMAND_NAME = "command.txt"


def default_folder(config: Config) -> Path:
    """Return ``runs/NAME-CELL``; NAME is the training file's, or its folder's where the file is called train."""
    path = Path(config.data.train)
    name = path.name.split(".")[0]
    if name == "train":
        name = path.absolute().parent.name
    return Path("runs") / f"{name or 'run'}-{config.model.cell}"


class Run:
    """A run folder that is being written.

    Raises:
        ConfigError: ``folder`` is a file, or a folder that holds something other than a run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: Path | None = None
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"--out {folder}: a file; name a folder")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / CONFIG_NAME).exists():
            raise ConfigError(f"--out {folder}: holds files that are no run of textrnn; name an empty or a new folder")

    def start(self, config: Config, *, command: str, overwrite: bool) -> None:
        """Make the folder; an earlier run there is kept under the next free name, or deleted with ``overwrite``."""
        if self.folder.is_dir() and any(self.folder.iterdir()):
            if overwrite:
                shutil.rmtree(self.folder)
            else:
                self.kept = keep_previous(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / CONFIG_NAME, dump_yaml(config))
        write_text(self.folder / COMMAND_NAME, f"{command}\n")

    def save(self, model: SavedModel) -> None:
        """Write the model, and make this run the latest."""
        save_model(self.folder / MODEL_NAME, model)
        point_to(self.folder)

    def log(self, record: EpochRecord) -> None:
        """Add a line to the metrics."""
        with (self.folder / METRICS_NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")
