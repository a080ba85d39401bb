"""Atomic writes, backups of previous files, and the files shipped with the package."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, cast

OpenFile = Callable[[Path], AbstractContextManager[Callable[[bytes], object]]]
"""Opens a destination for atomic writing, and yields the function that writes to it."""


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` for writing; rename it to ``path`` if the block ends without an error.

    The bytes are on disk before the rename: ``path`` has the old content or the new, never a part. A missing folder is
    created.
    """
    import tempfile  # noqa: PLC0415 - only writing needs it

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:  # its message names the temporary file
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


def _compress(file: BinaryIO, suffix: str) -> AbstractContextManager[Any]:
    """Return a file that writes compressed data to ``file``, or ``file`` itself if ``suffix`` names no compression."""
    if suffix == ".bz2":
        import bz2  # noqa: PLC0415 - only compressed files need it

        return bz2.BZ2File(file, "wb")
    if suffix == ".gz":
        import gzip  # noqa: PLC0415 - only compressed files need it

        return gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)  # reproducible bytes
    if suffix == ".xz":
        import lzma  # noqa: PLC0415 - only compressed files need it

        return lzma.LZMAFile(file, "wb")
    if suffix == ".zst":
        import zstandard  # noqa: PLC0415 - only compressed files need it

        return zstandard.ZstdCompressor().stream_writer(file, closefd=False)
    return nullcontext(file)


@contextmanager
def compressed_write(path: Path) -> Iterator[BinaryIO]:
    """Open ``path`` for atomic writing, compressed if it ends in .bz2, .gz, .xz or .zst.

    Named pipes and paths in ``/dev`` are written to directly; a symbolic link stays, and its target is written.
    """
    special = path.exists() and (not path.is_file() or path.is_relative_to("/dev"))
    target = path.resolve() if path.is_symlink() else path
    with path.open("ab") if special else atomic_write(target) as file, _compress(file, path.suffix.lower()) as content:
        yield cast("BinaryIO", content)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path`` atomically; surrogate escapes become the original bytes."""
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", errors="surrogateescape"))


def keep_previous(*paths: Path) -> list[tuple[Path, Path]]:
    """Rename existing ``paths`` to ``path.N`` with the first ``N`` free for all of them; return (path, path.N)."""
    number = 1
    while any(path.with_name(f"{path.name}.{number}").exists() for path in paths):
        number += 1
    return [(path, path.rename(path.with_name(f"{path.name}.{number}"))) for path in paths if path.exists()]


def shipped(name: str) -> Path:
    """Return the path of a shipped file or folder: ``demo``, ``starter.yaml`` or ``space.yaml``.

    A wheel has them inside the package; a checkout or an editable install has them in ``data`` and ``configs``.
    """
    package = Path(__file__).resolve().parent
    installed = package / "shipped" / ("demo" if name == "demo" else f"configs/{name}")
    checkout = package.parent / ("data/demo" if name == "demo" else f"configs/{name}")
    return installed if installed.exists() else checkout


def read_umask() -> int:
    """Return the umask of this process."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
