"""``textrnn init``: write a config to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textrnn.cli.terminal import say
from textrnn.errors import ConfigError
from textrnn.files import shipped, write_text


def init_command(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")] = Path("textrnn.yaml"),
) -> None:
    """Write a config to start from.

    It is commented. A file that exists is left as it is.

    \b
      textrnn init
      textrnn train textrnn.yaml
    """
    if path.exists():
        raise ConfigError(f"{path}: exists; name another file, or move it away")
    write_text(path, shipped("starter.yaml").read_text(encoding="utf-8"))
    say(f"wrote {path}; train with: textrnn train {path}")
