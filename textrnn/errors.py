"""The exceptions that this package raises for faults that a user can mend.

Each message is one line that says what is wrong, where, and what to do. Only the command line turns them into
exit codes.
"""

from __future__ import annotations

from collections.abc import Sequence


class TextrnnError(Exception):
    """Any fault that a user can mend."""


class ConfigError(TextrnnError):
    """Faults in a config file, ``--set`` or a flag; ``faults`` holds one line for each."""

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))


class DataError(TextrnnError):
    """A fault in a data file, at ``line_number`` (counted from 1) where one is known."""

    def __init__(self, path: object, line_number: int | None, reason: str) -> None:
        self.path, self.line_number, self.reason = path, line_number, reason
        name = "standard input" if str(path) == "-" else str(path)
        super().__init__(f"{name}: {reason}" if line_number is None else f"{name}:{line_number}: {reason}")


class DivergedError(DataError):
    """A run whose loss is no longer finite."""


class TokenizerError(TextrnnError):
    """A tokenizer that cannot be trained or read."""


class ModelError(TextrnnError):
    """A model file that cannot be found, read or trusted."""

    def __init__(self, path: object, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class BackendError(TextrnnError):
    """A device or kernel that was asked for and is not there."""


class OutOfMemoryError(BackendError):
    """A run that wants more memory than there is."""


class StoppedError(TextrnnError):
    """A run that the signal ``number`` ended; the message says how to go on with it."""

    def __init__(self, number: int, message: str) -> None:
        self.number = number
        super().__init__(message)


class OtherRankError(TextrnnError):
    """Of several processes that train together another has failed, which has said why; this is number ``rank``."""

    def __init__(self, rank: int) -> None:
        super().__init__(f"process {rank}: ends, for another has failed or was stopped")


def pluralize(count: int, one: str, several: str) -> str:
    """Return ``count`` and what it counts, as in ``1 text comes`` and ``2,000 texts come``."""
    return f"{count:,} {one if count == 1 else several}"
