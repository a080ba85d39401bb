"""``textrnn config``: describe the config file."""

from __future__ import annotations

import json

from textrnn.cli.terminal import write_data
from textrnn.config import Config


def schema_command() -> None:
    """Print the JSON schema of the config file.

    It contains the type, bounds, default and description of every key.

    \b
      textrnn config schema > textrnn.schema.json
    """
    write_data(json.dumps(Config.model_json_schema(), indent=2) + "\n")
