"""Where the cache folder is, and how large."""

from __future__ import annotations

import os
import sys
from pathlib import Path

META = "meta.json"
"""The file that every entry holds."""


def find_cache_folder(name: str | None = None) -> Path:
    """Return the folder that ``data.cache`` names; without a name the user's own cache folder."""
    if name is not None:
        return Path(name).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not Path(cache).is_absolute():
        windows = os.environ.get("LOCALAPPDATA", "") if sys.platform == "win32" else ""
        cache = windows or str(Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache"))
    return Path(cache) / "textrnn"


def measure_cache(folder: Path) -> tuple[int, int]:
    """Return the number of entries and the bytes of all files in the cache folder ``folder``."""
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return sum(path.name == META for path in files), sum(path.stat().st_size for path in files)
