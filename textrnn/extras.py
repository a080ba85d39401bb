"""Import of the packages that extras of textrnn install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from textrnn.errors import ConfigError


def import_extra(module: str, *, extra: str, feature: str) -> Any:
    """Return ``module``, which ``extra`` installs; ``feature`` is what needs it, such as a command or a key.

    Raises:
        ConfigError: the module, or one that it needs, is missing or too old.
    """
    try:
        return import_module(module)
    except ImportError as error:
        reason = f"needs the package {error.name.partition('.')[0]}" if error.name else str(error)  # else: too old
        raise ConfigError(f"{feature}: {reason}; pip install 'textrnn[{extra}]'") from error
