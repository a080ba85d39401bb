"""Exceptions for faults that a user can fix. Each message is one line: what happened, where, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROW_SUFFIXES = (".parquet", ".arrow", ".feather")
"""The extensions of files that consist of rows instead of lines."""

_SHOWN_CHARACTERS = 20


class TextrnnError(Exception):
    """A fault that a user can fix."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the arguments of the constructors, so that worker processes can raise it."""
        return type(self).__new__, (type(self), *self.args), vars(self)


class ConfigError(TextrnnError):
    """Faults in a config file, ``--set`` or a flag; ``faults`` has one line for each."""

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))


class DataError(TextrnnError):
    """A fault in a data file, at ``line_number`` (from 1; None: the whole file).

    ``kind`` names all faults of this kind, without the values that differ between them, such as ``too few columns``.
    By default it is the ``reason`` up to the semicolon that precedes the cure. ``in_rows``: see :func:`name_place`.
    """

    def __init__(
        self,
        path: object,
        line_number: int | None,
        reason: str,
        *,
        kind: str | None = None,
        in_rows: bool | None = None,
    ) -> None:
        self.path, self.line_number, self.reason = path, line_number, reason
        self.kind = reason.partition(";")[0] if kind is None else kind
        super().__init__(f"{name_place(path, line_number, in_rows=in_rows)}: {reason}")


class DivergedError(DataError):
    """A training run whose loss is not finite."""


class TokenizerError(TextrnnError):
    """A tokenizer that cannot be trained or read."""


class ModelError(TextrnnError):
    """A model file that is missing, unreadable or damaged."""

    def __init__(self, path: object, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class BackendError(TextrnnError):
    """A requested device or kernel that is not available."""


class OutOfMemoryError(BackendError):
    """A run that needs more memory than is available."""


class StoppedError(TextrnnError):
    """A run that was stopped by the signal ``number``; the message says how to resume it."""

    def __init__(self, number: int, message: str) -> None:
        self.number = number
        super().__init__(message)


class OtherRankError(TextrnnError):
    """The end of rank ``rank`` of a distributed run because another rank, which reports the reason, has failed."""

    def __init__(self, rank: int) -> None:
        super().__init__(f"process {rank}: stopping, because another process failed; its message has the reason")


def shorten(name: str) -> str:
    """Return a label, column or the like as a message shows it: its first 20 characters."""
    return name if len(name) <= _SHOWN_CHARACTERS else name[:_SHOWN_CHARACTERS] + "..."


def name_file(path: object) -> str:
    """Return the name of a file in messages."""
    return "standard input" if str(path) == "-" else str(path)


def name_place(path: object, line_number: int | None, *, in_rows: bool | None = None) -> str:
    """Return a line of a file as messages show it, or a row if the file consists of rows (None: by its name)."""
    name = name_file(path)
    if line_number is None:
        return name
    return f"{name}: row {line_number}" if (has_rows(name) if in_rows is None else in_rows) else f"{name}:{line_number}"


def has_rows(path: str) -> bool:
    """Return whether a file or folder consists of rows instead of lines, by its name."""
    return Path(path).suffix.lower() in ROW_SUFFIXES or Path(path).is_dir()


def pluralize(count: int, one: str, many: str) -> str:
    """Return ``count`` with its noun, such as ``1 text`` and ``2,000 texts``."""
    return f"{count:,} {one if count == 1 else many}"
