"""Files at fsspec addresses: lists of inputs, and files that appear when they are complete."""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from textrnn.errors import ConfigError, DataError
from textrnn.extras import import_extra

_COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}
_TEMPORARY = ".tmp"


@dataclass(frozen=True)
class Input:
    """An input file of ``size`` bytes at ``address``; ``name`` is its path in the folder that was named."""

    address: str
    name: str
    size: int


def open_filesystem(address: str) -> tuple[Any, str]:
    """Return the fsspec filesystem of ``address``, and its path there.

    Raises:
        ConfigError: fsspec, or the package for this kind of address, is not installed.
        DataError: the address is wrong.
    """
    core = import_extra("fsspec.core", extra="ray", feature="--engine ray")
    try:
        fs, path = core.url_to_fs(address)
    except ImportError as error:
        raise ConfigError(f"{address}: {error}") from None
    except (ValueError, OSError) as error:
        raise DataError(address, None, f"cannot be opened ({error}); correct the address") from None
    return fs, path


def list_inputs(addresses: Sequence[str]) -> list[Input]:
    """Return the files at ``addresses``: files, folders, or patterns with ``*``; hidden files are left out.

    Raises:
        DataError: nothing is there, or a folder has no files.
        ConfigError: two files have the same name.
    """
    inputs = [found for address in addresses for found in _list_files(address)]
    seen: dict[str, Input] = {}
    for each in inputs:
        other = seen.setdefault(strip_suffixes(each.name)[0], each)
        if other is not each:
            raise ConfigError(f"{each.address}: has the name of {other.address}; process them one by one")
    return inputs


def _list_files(address: str) -> Iterator[Input]:
    fs, path = open_filesystem(address)
    try:
        is_folder = fs.isdir(path)
        found = fs.find(path, detail=True) if is_folder else fs.glob(path, detail=True) if "*" in path else None
        if found is None:
            found = {path: fs.info(path)}
    except FileNotFoundError:
        raise DataError(address, None, "no such file; correct the address") from None
    except Exception as error:  # each kind of filesystem has its own
        raise DataError(address, None, f"cannot be read ({error}); check the address and the credentials") from None
    files = {name: info for name, info in found.items() if info["type"] == "file" and not _is_hidden(name, path)}
    if not files:
        raise DataError(address, None, "no files there; name files, or a folder of them")
    is_local = fs.protocol == "file" or "file" in fs.protocol
    for name, info in sorted(files.items()):
        own = posixpath.relpath(name, path) if is_folder else posixpath.basename(name)
        yield Input(name if is_local else fs.unstrip_protocol(name), own, info["size"])


def _is_hidden(name: str, root: str) -> bool:
    inside = name.removeprefix(root).split("/")
    return any(part.startswith((".", "_")) for part in inside)


def strip_suffixes(name: str) -> tuple[str, str, str]:
    """Return the name of a file without its extensions, that of its format and that of its compression."""
    stem, suffix = posixpath.splitext(name)
    compression = suffix if suffix.lower() in _COMPRESSED else ""
    stem, kind = posixpath.splitext(stem) if compression else (stem, suffix)
    return stem, kind.lower(), compression


@contextmanager
def open_input(address: str) -> Iterator[Any]:
    """Open a file for reading; it is decompressed by its extension."""
    fs, path = open_filesystem(address)
    suffix = strip_suffixes(path)[2].lower()
    with fs.open(path, "rb", compression=_COMPRESSED.get(suffix)) as file:
        yield file


@contextmanager
def open_atomically(address: str) -> Iterator[Any]:
    """Open a temporary file beside ``address`` for writing, compressed by its extension; rename it at the end.

    Several processes may write the same file: each has its own temporary one, and the last one stays.
    """
    fs, path = open_filesystem(address)
    folder, name = posixpath.split(path)
    fs.makedirs(folder, exist_ok=True)
    temporary = posixpath.join(folder, f".{name}.{uuid.uuid4().hex}{_TEMPORARY}")
    try:
        with fs.open(temporary, "wb", compression=_COMPRESSED.get(strip_suffixes(path)[2].lower())) as file:
            yield file
        fs.mv(temporary, path)
    except BaseException:
        if fs.exists(temporary):
            fs.rm(temporary)
        raise


def remove_temporary(address: str) -> None:
    """Remove the temporary files that killed processes left in a folder."""
    fs, path = open_filesystem(address)
    for name in fs.find(path):
        if posixpath.basename(name).startswith(".") and name.endswith(_TEMPORARY):
            fs.rm(name)
