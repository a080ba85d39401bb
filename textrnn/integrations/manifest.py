"""The manifest of an output folder: its inputs, settings and finished parts, by which a run is resumed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textrnn.errors import ConfigError, DataError
from textrnn.integrations.addresses import Input, open_atomically, open_filesystem
from textrnn.integrations.part_files import PartCounts

_NAME = "_manifest.json"  # readers of folders skip names like this
_BLOCK = 1 << 20


@dataclass
class Manifest:
    """The ``inputs`` of ``folder`` by the names of their parts, and the counts of the parts that are ``done``."""

    folder: str
    model_sha256: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, Input]
    done: dict[str, PartCounts] = field(default_factory=dict)

    @property
    def rest(self) -> list[str]:
        """The names of the parts that are missing, those of the largest inputs first."""
        return sorted(self.inputs.keys() - self.done.keys(), key=lambda name: (-self.inputs[name].size, name))

    def save(self) -> None:
        """Write the file atomically."""
        with open_atomically(f"{self.folder}/{_NAME}") as file:
            file.write(json.dumps(self._to_dict(), ensure_ascii=False, indent=1).encode())

    def _to_dict(self) -> dict[str, Any]:
        parts = {}
        for name, source in self.inputs.items():
            counts = self.done.get(name)
            rows = {} if counts is None else {"rows": counts.rows_out, "labels": counts.labels}
            parts[name] = {"input": source.address, "bytes": source.size, **rows}
        return {"model_sha256": self.model_sha256, "settings": self.settings, "parts": parts}

    def resume(self) -> None:
        """Fill :attr:`done` from the folder, if it has a manifest.

        Raises:
            ConfigError: it is of another model, of other inputs or settings, or the folder has other files.
            DataError: the manifest is damaged.
        """
        fs, path = open_filesystem(self.folder)
        files = set(fs.find(path)) if fs.exists(path) else set()
        if not files:
            return
        if f"{path}/{_NAME}" not in files:
            raise ConfigError(f"--resume: {self.folder} has files but no {_NAME}; name another folder")
        try:
            known = json.loads(fs.cat_file(f"{path}/{_NAME}"))
            self._compare(known)
            for name, part in known["parts"].items():
                if "rows" in part and f"{path}/{name}" in files:
                    self.done[name] = PartCounts(part["rows"], part["rows"], Counter(part["labels"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{self.folder}/{_NAME}", None, "is damaged; write to another folder") from None

    def _compare(self, known: Mapping[str, Any]) -> None:
        """Raise ConfigError if the manifest ``known`` is of another run."""
        cure = "name another folder for this run"
        if known["model_sha256"] != self.model_sha256:
            raise ConfigError(f"--resume: {self.folder} was written by another model; name that model, or {cure}")
        own = self._to_dict()
        for key in own["settings"]:
            if known["settings"][key] != own["settings"][key]:
                was = known["settings"][key]
                raise ConfigError(f"--resume: {self.folder} was written with {key} {was}; use it again, or {cure}")
        for name in [*own["parts"], *known["parts"]]:
            before, now = (table["parts"].get(name) for table in (known, own))
            if before is None or now is None or any(before[key] != now[key] for key in ("input", "bytes")):
                address = (now or before)["input"]
                what = "is not an input" if before is None else "is no longer given" if now is None else "has changed"
                raise ConfigError(f"--resume: {address} {what} of the run in {self.folder}; {cure}")


def check_empty(folder: str) -> None:
    """Raise ConfigError if ``folder`` has files."""
    fs, path = open_filesystem(folder)
    if fs.exists(path) and (not fs.isdir(path) or fs.ls(path, detail=False)):
        raise ConfigError(f"--output {folder}: is not empty; add --resume to finish its run, or name another folder")


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
