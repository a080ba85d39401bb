"""The cache folder: entries named by a digest of their inputs, complete or absent."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from textrnn.errors import DataError
from textrnn.files import atomic_write, read_umask

LAYOUT = 3
"""Part of every key; raise it when the layout or the meaning of the files changes."""

SETTLED_NS = 2 * 10**9
"""A file modified less than this before it was read may change again without a new modification time."""

META = "meta.json"
"""The file that every entry holds."""

_DRAFT = "textrnn-draft-"
# the user may name a folder that holds other things: only names like these are ever removed
_ENTRY_NAME = re.compile(r"(rows|groups|tokens|tokenizer|vectors|repeats|embeddings)-[0-9a-f]{32}")
_DIGEST_NAME = re.compile(r"[0-9a-f]{32}\.json")
_DIGESTS = "files"  # the folder with the digests of files that were read
_STALE_SECONDS = 24 * 3600
_UNUSED_SECONDS = 30 * 24 * 3600
_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# Encoded text of textrnn. It is safe to delete.\n"


def find_cache_folder(name: str | None = None) -> Path:
    """Return the folder that ``data.cache`` names; without a name, the user's cache folder."""
    if name is not None:
        return Path(name).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not Path(cache).is_absolute():
        windows = os.environ.get("LOCALAPPDATA", "") if sys.platform == "win32" else ""
        cache = windows or str(Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache"))
    return Path(cache) / "textrnn"


def measure_cache(folder: Path) -> tuple[int, int]:
    """Return the number of entries and the bytes of all files in the cache folder ``folder``."""
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return sum(path.name == META for path in files), sum(path.stat().st_size for path in files)


def make_key(*parts: object) -> str:
    """Return the key of an entry made from ``parts`` (plain values)."""
    return blake2b(json.dumps([LAYOUT, *parts]).encode(), digest_size=16).hexdigest()


def read_stat(path: Path) -> list[int] | None:
    """Return size, times and inode of a regular file, which differ once the file changes; None for a pipe.

    Of a folder the total size, the last times and a hash of the names and inodes are returned.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        found = [file.stat() for file in files] or [path.stat()]
        names = json.dumps(
            [(str(file.relative_to(path)), stat.st_ino) for file, stat in zip(files, found, strict=False)]
        )
        inode = int.from_bytes(blake2b(names.encode(), digest_size=7).digest(), "little")
        times = (max(stat.st_mtime_ns for stat in found), max(stat.st_ctime_ns for stat in found))
        return [sum(stat.st_size for stat in found), *times, inode]
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino] if path.is_file() else None


@dataclass(frozen=True)
class Entry:
    """A complete entry: its folder and its metadata."""

    folder: Path
    meta: dict[str, Any]


class Cache:
    """The entries of one cache folder. Several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def open(cls, name: str | None, note: Callable[[str], None]) -> Cache:
        """Open the folder that ``data.cache`` names; if it is not writable, report that and open a temporary one."""
        try:
            folder = find_cache_folder(name)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            Path(tempfile.mkdtemp(dir=folder, prefix=_DRAFT)).rmdir()
            if not (folder / "CACHEDIR.TAG").exists():  # backup programs skip tagged folders
                (folder / "CACHEDIR.TAG").write_bytes(_TAG)
            return cls(folder)
        except (OSError, RuntimeError) as error:  # RuntimeError: no home folder
            reason = getattr(error, "strerror", None) or error
            note(
                f"{name or 'the cache folder'}: cannot be written ({reason}), so encoded text is not kept; "
                "--set data.cache=FOLDER keeps it"
            )
            temporary = tempfile.TemporaryDirectory(prefix="textrnn-", ignore_cleanup_errors=True)
            cache = cls(Path(temporary.name))
            cache._temporary = temporary  # removed when the process ends
            return cache

    def get(self, kind: str, key: str) -> Entry | None:
        """Return the entry and mark it as used; None if it is missing or damaged."""
        folder = self.folder / f"{kind}-{key}"
        for _ in range(2):  # another process may commit it between the read and the check for the folder
            try:
                meta = json.loads((folder / META).read_bytes())
                if all(_read_checksum(folder / name) == expected for name, expected in meta["files"].items()):
                    with contextlib.suppress(OSError):  # the entry of another user
                        os.utime(folder)
                    return Entry(folder, meta)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                pass
            if not folder.exists():
                return None
        _remove_entry(folder)
        return None

    def draft(self) -> Draft:
        """Return a new folder to write files into; the caller closes it."""
        return Draft(self)

    @contextlib.contextmanager
    def explain_errors(self) -> Iterator[None]:
        """Turn an OSError into a DataError that says what to do."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise DataError(
                self.folder,
                None,
                f"cannot be written ({reason}); choose a folder with free space with --set data.cache=FOLDER",
            ) from None

    def get_digest(self, path: Path) -> str | None:
        """Return the stored digest of the file ``path``; None if there is none or the file has changed since."""
        try:
            stored = json.loads(self._digest_path(path).read_bytes())
            if stored["stat"] == read_stat(path):
                os.utime(self._digest_path(path))
                return str(stored["digest"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def put_digest(self, path: Path, stat: list[int], digest: str) -> None:
        """Store the digest of the file ``path``, whose ``stat`` was the same before and after it was read."""
        with contextlib.suppress(OSError), atomic_write(self._digest_path(path)) as file:
            file.write(json.dumps({"path": str(path.absolute()), "stat": stat, "digest": digest}).encode())

    def _digest_path(self, path: Path) -> Path:
        name = blake2b(os.fsencode(path.absolute()), digest_size=16).hexdigest()
        return self.folder / _DIGESTS / f"{name}.json"

    def evict(self) -> None:
        """Remove drafts that were abandoned a day ago, and entries and digests unused for 30 days."""
        now = time.time()
        with contextlib.suppress(OSError):
            for path in [*self.folder.iterdir(), *(self.folder / _DIGESTS).glob("*")]:
                with contextlib.suppress(OSError):
                    self._evict_path(path, now)

    def _evict_path(self, path: Path, now: float) -> None:
        age = now - path.stat().st_mtime
        top = path.parent == self.folder
        if top and path.name.startswith(_DRAFT):
            newest = max((file.stat().st_mtime for file in path.glob("*")), default=0.0)
            if min(age, now - newest) > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        elif age > _UNUSED_SECONDS:
            if top and _ENTRY_NAME.fullmatch(path.name):
                _remove_entry(path)
            elif not top and _DIGEST_NAME.fullmatch(path.name):
                path.unlink()


class Draft(contextlib.AbstractContextManager["Draft"]):
    """Files being written, for a new entry or for temporary use. Closing removes them unless they were committed."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._files: dict[str, BinaryIO] = {}
        self._checksums: dict[str, int] = {}
        with cache.explain_errors():
            self.folder = Path(tempfile.mkdtemp(dir=cache.folder, prefix=_DRAFT))

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Append ``data`` to the file ``name``."""
        with self._cache.explain_errors():
            if name not in self._files:
                self._files[name] = (self.folder / name).open("xb")
            self._files[name].write(data)
        self._checksums[name] = zlib.crc32(data, self._checksums.get(name, 0))

    def flush(self) -> None:
        """Make the written data readable."""
        with self._cache.explain_errors():
            for file in self._files.values():
                file.flush()

    def commit(self, kind: str, key: str, meta: dict[str, Any]) -> Entry:
        """Turn the draft into an entry and evict old ones; if another process committed it first, return its entry."""
        files = {name: [self._files[name].tell(), checksum] for name, checksum in self._checksums.items()}
        self.write(META, json.dumps({**meta, "files": files}).encode())
        with self._cache.explain_errors():
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
                file.close()
            target = self._cache.folder / f"{kind}-{key}"
            # a draft is private to its owner; an entry is for everyone who shares the cache
            self.folder.chmod(0o777 & ~read_umask())
            for last in (False, True):  # get() removes a damaged entry, so the second attempt has a free name
                try:
                    self.folder.rename(target)
                    break
                except OSError:
                    if entry := self._cache.get(kind, key):
                        return entry
                    if last:
                        raise
        self._cache.evict()
        return Entry(target, meta)

    def close(self) -> None:
        """Close the files, and remove them unless they were committed."""
        for file in self._files.values():
            with contextlib.suppress(OSError):  # write() has raised it already
                file.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _read_checksum(path: Path) -> list[int]:
    """Return the size and the CRC-32 of a file."""
    size = checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            size, checksum = size + len(block), zlib.crc32(block, checksum)
    return [size, checksum]


def _remove_entry(folder: Path) -> None:
    """Remove an entry at once for readers to come; processes that have its files open keep them."""
    with contextlib.suppress(OSError):
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_DRAFT)) / folder.name
        folder.rename(aside)
        shutil.rmtree(aside.parent, ignore_errors=True)
