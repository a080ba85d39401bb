"""``textrnn config``: describe the config file."""

from __future__ import annotations

import json

import typer

from textrnn.cli.terminal import write_data
from textrnn.config import Config
from textrnn.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def config(context: typer.Context) -> None:
    """Describe the config file."""
    if context.invoked_subcommand is None:
        raise ConfigError("config: name a command: textrnn config schema")


@app.command("schema")
def schema_command() -> None:
    """Print the JSON schema of the config file.

    It contains the type, bounds, default and description of every key.

    \b
      textrnn config schema > textrnn.schema.json
    """
    write_data(json.dumps(Config.model_json_schema(), indent=2) + "\n")
