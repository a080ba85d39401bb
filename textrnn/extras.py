"""Packages that are missing: those of extras, and required ones."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from textrnn.errors import ConfigError

_PACKAGES = {"sklearn": "scikit-learn", "yaml": "pyyaml", "vl_convert": "vl-convert-python"}
"""The names of packages whose modules are called otherwise."""


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


def describe_missing(error: ModuleNotFoundError) -> str | None:
    """Return the message about a required package that is not installed; None if the module is one of textrnn."""
    module = (error.name or "textrnn").partition(".")[0]
    package = _PACKAGES.get(module, module)
    return None if module == "textrnn" else f"this needs the package {package}; pip install {package}"
