"""The section of a page about its making: commands, versions and config."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np

from textrnn.config import Config, dump_yaml
from textrnn.serialization.latest_run import COMMAND_NAME

_MAX_CONFIG, _MAX_COMMAND = 20_000, 2_000  # characters


def list_versions(version: str) -> dict[str, str]:
    """Return the versions of textrnn, which is ``version``, and of what it runs on, by name."""
    return {"textrnn": version, "Python": platform.python_version(), "numpy": np.__version__}


def show_config(config: Config) -> str:
    """Return ``config`` as YAML, of limited length."""
    return dump_yaml(config)[:_MAX_CONFIG]


def read_command(run: Path) -> str:
    """Return the command line that trained ``run``, or an empty text."""
    path = run / COMMAND_NAME
    if not path.is_file():
        return ""
    return path.read_text(encoding="utf-8", errors="replace").strip()[:_MAX_COMMAND]
