"""Loading a config file with overrides, in the current folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from textrnn.config import Config, load_config, parse_override
from textrnn.errors import ConfigError


def load(text: str | bytes, *sets: str) -> Config:
    """Return the config of ``exp.yaml`` with this text and ``--set`` overrides."""
    path = Path("exp.yaml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return load_config(path, overrides=[parse_override(item) for item in sets])


def faults_of(text: str | bytes, *sets: str) -> list[str]:
    """Return the faults of ``exp.yaml`` with this text and ``--set`` overrides."""
    with pytest.raises(ConfigError) as caught:
        load(text, *sets)
    assert str(caught.value) == "\n".join(caught.value.faults)
    return caught.value.faults
