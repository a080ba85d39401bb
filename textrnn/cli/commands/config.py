"""``textrnn init`` and ``textrnn config``: write and describe the config file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from textrnn.cli.parameters import Argument
from textrnn.cli.terminal import print_message, write_data
from textrnn.config import Config
from textrnn.errors import ConfigError
from textrnn.files import shipped, write_text


def init_command(
    path: Annotated[Path, Argument(metavar="FILE", help="The file to write.")] = Path("textrnn.yaml"),
) -> None:
    """Write a starter config.

    The config holds every key with its default and a comment. An existing file is never overwritten.

    \b
      textrnn init
      textrnn train textrnn.yaml
    """
    if path.exists():
        raise ConfigError(f"{path}: already exists; name another file, or move it away")
    write_text(path, shipped("starter.yaml").read_text(encoding="utf-8"))
    print_message(f"wrote {path}; train with: textrnn train {path}")


def schema_command() -> None:
    """Print the JSON schema of the config file.

    It contains the type, bounds, default and description of every key.

    \b
      textrnn config schema > textrnn.schema.json
    """
    write_data(json.dumps(Config.model_json_schema(), indent=2) + "\n")
