"""Writing files so that nothing is lost: a temporary name, a flush, a rename; and the shipped files."""

from __future__ import annotations

import gzip
import lzma
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` for writing; it becomes ``path`` when the block ends without an error.

    The bytes are on disk before the rename, so ``path`` holds the old content or the new, never a part.
    The folder of ``path`` is made when it does not exist.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:  # it would name the temporary file
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o666 & ~read_umask())
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, name):  # a full disk names no file
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextmanager
def compressed_write(path: Path) -> Iterator[BinaryIO]:
    """Open ``path`` for writing as :func:`atomic_write` does; what is written is compressed for .gz, .xz and .zst.

    What is no file, as a named pipe, and everything in ``/dev`` is written to as it stands; of a link the file that it
    leads to is written.
    """
    special = path.exists() and (not path.is_file() or path.is_relative_to("/dev"))
    with path.open("ab") if special else atomic_write(path.resolve() if path.is_symlink() else path) as file:
        suffix = path.suffix.lower()
        if suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as content:  # the same bytes each time
                yield cast("BinaryIO", content)
        elif suffix == ".xz":
            with lzma.LZMAFile(file, "wb") as content:
                yield cast("BinaryIO", content)
        elif suffix == ".zst":
            with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as content:
                yield cast("BinaryIO", content)
        else:
            yield file


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, atomically; bytes that were not UTF-8 stay."""
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", errors="surrogateescape"))


def keep_previous(*paths: Path) -> list[tuple[Path, Path]]:
    """Move what stands at ``paths`` to ``path.N``, with the first ``N`` that is free for all; return (path, path.N)."""
    number = 1
    while any(path.with_name(f"{path.name}.{number}").exists() for path in paths):
        number += 1
    moved = []
    for path in paths:
        if path.exists():
            moved.append((path, path.rename(path.with_name(f"{path.name}.{number}"))))
    return moved


def shipped(name: str) -> Path:
    """Return the path of a shipped file or folder: ``demo``, ``starter.yaml`` or ``space.yaml``.

    An installed wheel holds them inside the package; a checkout (or an editable install) at their own places.
    """
    package = Path(__file__).resolve().parent
    installed = package / "shipped" / ("demo" if name == "demo" else f"configs/{name}")
    checkout = package.parent / ("data/demo" if name == "demo" else f"configs/{name}")
    return installed if installed.exists() else checkout


def read_umask() -> int:
    """Return the permissions that new files of this process do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
