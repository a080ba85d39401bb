"""``textrnn init``: write a starter config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from textrnn.cli.parameters import Argument
from textrnn.cli.terminal import print_message
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
