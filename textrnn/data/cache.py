"""The cache folder: entries named by what they were made of, whole or not there at all."""

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

LAYOUT = 2
"""Part of every key: another layout or meaning of the files takes another number."""

SETTLED_NS = 2 * 10**9
"""A file that was changed later than this before it was read may change without a new time."""

_DRAFT = "textrnn-draft-"
# the folder may be one that holds other things: nothing else is ever removed
_OWN_ENTRY = re.compile(r"(rows|tokens|tokenizer|vectors|repeats)-[0-9a-f]{32}")
_OWN_DIGEST = re.compile(r"[0-9a-f]{32}\.json")
_FILES = "files"  # the digests of files that were read
_STALE_SECONDS = 24 * 3600
_UNUSED_SECONDS = 30 * 24 * 3600
_TAG = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n# token ids of textrnn, which makes them again where they are gone\n"
)


@dataclass(frozen=True)
class Entry:
    """A whole entry: its folder, and what its maker said of it."""

    folder: Path
    meta: dict[str, Any]


def make_key(*parts: object) -> str:
    """Return a name for what was made of ``parts`` (plain values)."""
    return blake2b(json.dumps([LAYOUT, *parts]).encode(), digest_size=16).hexdigest()


class Cache:
    """The entries of one cache folder. Several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def open(cls, name: str | None, note: Callable[[str], None]) -> Cache:
        """Open the folder that ``data.cache`` names; where it cannot be written to, a temporary one, and say so."""
        try:
            folder = find_cache_folder(name)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            Path(tempfile.mkdtemp(dir=folder, prefix=_DRAFT)).rmdir()
            if not (folder / "CACHEDIR.TAG").exists():  # programs that make backups know it
                (folder / "CACHEDIR.TAG").write_bytes(_TAG)
            return cls(folder)
        except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
            reason = getattr(error, "strerror", None) or error
            shown = name or "the cache folder"
            note(
                f"{shown}: cannot be written ({reason}), so token ids are not kept; --set data.cache=FOLDER keeps them"
            )
            temporary = tempfile.TemporaryDirectory(prefix="textrnn-", ignore_cleanup_errors=True)
            store = cls(Path(temporary.name))
            store._temporary = temporary  # which removes it when the process ends
            return store

    def find(self, kind: str, key: str) -> Entry | None:
        """Return the entry, which counts as used now; None where there is none, or not all of it."""
        folder = self.folder / f"{kind}-{key}"
        for _ in range(2):  # it may have come between the first look and the question whether it exists
            try:
                meta = json.loads((folder / META).read_bytes())
                if all(_check_sum(folder / name) == wanted for name, wanted in meta["files"].items()):
                    with contextlib.suppress(OSError):  # another user's
                        os.utime(folder)
                    return Entry(folder, meta)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                pass
            if not folder.exists():
                return None
        _remove_entry(folder)  # a disk that lost what it had taken
        return None

    def draft(self) -> Draft:
        """Return a new folder to write files into, which its user closes."""
        return Draft(self)

    @contextlib.contextmanager
    def explaining(self) -> Iterator[None]:
        """Turn a refusal of the disk into a DataError that says what to do."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise DataError(
                self.folder, None, f"cannot be written ({reason}); name a folder with room by --set data.cache=FOLDER"
            ) from None

    def recall(self, path: Path) -> str | None:
        """Return the digest of the content of ``path``, if that has been told and the file has not changed since."""
        try:
            known = json.loads(self._remembered(path).read_bytes())
            if known["stat"] == take_stat(path):
                os.utime(self._remembered(path))
                return str(known["digest"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def remember(self, path: Path, stat: list[int], digest: str) -> None:
        """Keep the digest of the file ``path``, which had this ``stat`` before and after it was read."""
        with contextlib.suppress(OSError), atomic_write(self._remembered(path)) as file:
            file.write(json.dumps({"path": str(path.absolute()), "stat": stat, "digest": digest}).encode())

    def _remembered(self, path: Path) -> Path:
        name = blake2b(os.fsencode(path.absolute()), digest_size=16).hexdigest()
        return self.folder / _FILES / f"{name}.json"

    def sweep(self) -> None:
        """Remove what other processes left unfinished a day ago, and what was not used for thirty days."""
        now = time.time()
        with contextlib.suppress(OSError):
            for path in [*self.folder.iterdir(), *(self.folder / _FILES).glob("*")]:
                with contextlib.suppress(OSError):
                    self._sweep_one(path, now - path.stat().st_mtime, now)

    def _sweep_one(self, path: Path, age: float, now: float) -> None:
        top = path.parent == self.folder
        if top and path.name.startswith(_DRAFT):
            newest = max((file.stat().st_mtime for file in path.glob("*")), default=0.0)
            if min(age, now - newest) > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        elif age > _UNUSED_SECONDS:
            if top and _OWN_ENTRY.fullmatch(path.name):
                _remove_entry(path)
            elif not top and _OWN_DIGEST.fullmatch(path.name):
                path.unlink()


class Draft:
    """Files that are being written: an entry to be, or what is needed for a while. Closed, they are gone."""

    def __init__(self, store: Cache) -> None:
        self._store = store
        self._files: dict[str, BinaryIO] = {}
        self._sums: dict[str, int] = {}
        with store.explaining():
            self.folder = Path(tempfile.mkdtemp(dir=store.folder, prefix=_DRAFT))

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Append ``data`` to the file ``name``."""
        with self._store.explaining():
            if name not in self._files:
                self._files[name] = (self.folder / name).open("xb")
            self._files[name].write(data)
        self._sums[name] = zlib.crc32(data, self._sums.get(name, 0))

    def flush(self) -> None:
        """Make what was written readable."""
        with self._store.explaining():
            for file in self._files.values():
                file.flush()

    def commit(self, kind: str, key: str, meta: dict[str, Any]) -> Entry:
        """Make this the entry; where another process was faster, its entry stands. Old entries are swept."""
        files = {name: [self._files[name].tell(), found] for name, found in self._sums.items()}
        self.write(META, json.dumps({**meta, "files": files}).encode())
        with self._store.explaining():
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
                file.close()
            target = self._store.folder / f"{kind}-{key}"
            # a draft is its maker's alone, an entry for all who share the cache
            self.folder.chmod(0o777 & ~read_umask())
            for last in (False, True):  # find() takes a broken entry out of the way
                try:
                    self.folder.rename(target)
                    break
                except OSError:
                    if entry := self._store.find(kind, key):
                        return entry
                    if last:
                        raise
        self._store.sweep()
        return Entry(target, meta)

    def close(self) -> None:
        """Close the files, and remove them unless they have become an entry."""
        for file in self._files.values():
            with contextlib.suppress(OSError):  # what could not be written has been told
                file.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def take_stat(path: Path) -> list[int] | None:
    """Return what tells that a regular file is the same as before; None for anything else."""
    found = path.stat()
    if not path.is_file():
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _check_sum(path: Path) -> list[int]:
    """Return the size and the CRC-32 of a file."""
    size = found = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            size, found = size + len(block), zlib.crc32(block, found)
    return [size, found]


def _remove_entry(folder: Path) -> None:
    """Remove an entry; it is gone at once for whoever looks for it, and those who have it open keep it."""
    with contextlib.suppress(OSError):
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_DRAFT)) / folder.name
        folder.rename(aside)
        shutil.rmtree(aside.parent, ignore_errors=True)


META = "meta.json"
"""The file that every entry holds."""


def find_cache_folder(name: str | None = None) -> Path:
    """Return the folder that ``data.cache`` names; without a name the user's own cache folder."""
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
