"""A labelled file that is read more than once, whatever it is: a plain file, a compressed one, a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import compress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.config import DataConfig
from textrnn.data.blocks import Block, LabelTable, parse_blocks
from textrnn.data.cache import SETTLED_NS, Cache, Draft, Entry, make_key, take_stat
from textrnn.data.formats import find_suffix
from textrnn.data.io import STDIN, open_raw, read_chunks
from textrnn.errors import DataError

TrainerState = Callable[[str, int, "int | None"], None]
"""Called with what is being done, how many bytes were read, and of how many (None: of a pipe)."""

_CHUNK_BYTES = 1 << 20


class LabelledFile:
    """The examples of one file. The first reading notes each row's label and size; a pipe's texts are set aside then.

    ``classes`` (rows,) int32 are indices of ``labels``, which stand in the order of their first lines (several labels
    of one text are joined by tabs, and one entry); ``counts``
    and ``first_lines`` belong to them; ``sizes`` (rows,) int32 are the bytes of the texts. ``key`` names the content.

    Raises:
        DataError: at the first fault of the file, with its line.
    """

    def __init__(self, path: str, config: DataConfig, store: Cache, progress: TrainerState | None = None) -> None:
        self.path, self._config, self._store = path, config, store
        self._progress = progress
        self._doing = "reading"
        self._spool: Draft | None = None
        self._stat = None if path == STDIN else take_stat(Path(path))
        try:
            entry = self._recall() or self._scan()
        except BaseException:
            self.close()
            raise
        self.labels: list[str] = entry.meta["labels"]
        self.counts: list[int] = entry.meta["counts"]
        self.first_lines: list[int] = entry.meta["first_lines"]
        self.key: str = entry.meta["key"]
        self._folder = entry.folder
        self.classes = np.memmap(entry.folder / "classes", "<i4", "r")
        self.sizes = np.memmap(entry.folder / "sizes", "<i4", "r")

    def __len__(self) -> int:
        return len(self.classes)

    def read_texts(self, rows: npt.NDArray[np.bool_] | None = None, *, doing: str = "reading") -> Iterator[list[bytes]]:
        """Yield the texts in lists: all, or those whose entry of ``rows`` (rows,) is set; ``doing`` is told."""
        self._doing = doing
        start = 0
        for texts in self._read_texts():
            stop = start + len(texts)
            if stop > len(self):
                raise self._changed()
            yield texts if rows is None else list(compress(texts, rows[start:stop].tolist()))
            start = stop
        if start != len(self):
            raise self._changed()

    def __enter__(self) -> LabelledFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was set aside."""
        if self._spool is not None:
            self._spool.close()

    def _read_texts(self) -> Iterator[list[bytes]]:
        if self._spool is None:
            return (block.texts for block in self._read_blocks())
        return self._read_spool(self._spool.folder / "texts")

    def _read_spool(self, path: Path) -> Iterator[list[bytes]]:
        with path.open("rb") as file:
            total = path.stat().st_size
            parts: list[bytes] = []
            while data := file.read(_CHUNK_BYTES):
                *texts, rest = data.split(b"\n")
                parts.append(texts[0] if texts else rest)
                if texts:
                    texts[0] = b"".join(parts)
                    parts = [rest]
                    yield texts
                self._tell(file.tell(), total)

    def _read_blocks(self, digest: Callable[[bytes], None] | None = None) -> Iterator[Block]:
        with open_raw(self.path) as (raw, content):
            total = self._stat[0] if self._stat else None
            done = 0

            def watch() -> Iterator[bytes]:
                nonlocal done
                for chunk in read_chunks(content, _CHUNK_BYTES):
                    done += len(chunk) + 1
                    self._tell(raw.tell() if self._stat else done, total)
                    if digest is not None:
                        digest(chunk)
                    yield chunk

            yield from parse_blocks(self.path, watch(), self._config)
        end = done if total is None else total
        self._tell(end, end)
        if self._stat is None:
            return
        stat = take_stat(Path(self.path))
        if stat is None or (stat[0], stat[1], stat[3]) != (self._stat[0], self._stat[1], self._stat[3]):
            raise self._changed()

    def _tell(self, done: int, total: int | None) -> None:
        if self._progress is not None:
            name = "standard input" if self.path == STDIN else Path(self.path).name
            self._progress(f"{self._doing} {name}", done, total)

    def _changed(self) -> DataError:
        return DataError(self.path, None, "was changed while it was read; run again when it is complete")

    def _recall(self) -> Entry | None:
        digest = self._store.recall(Path(self.path)) if self._stat else None
        return self._store.find("rows", self._make_key(digest)) if digest else None

    def _make_key(self, digest: str) -> str:
        config = self._config
        suffix = find_suffix(self.path) if config.format == "auto" else ""
        several = [("several", config.label_separator)] if config.multi_label else []
        return make_key("rows", digest, config.format, suffix, config.label, config.text, *several)

    def _scan(self) -> Entry:
        started = time.time_ns()
        hasher = blake2b(digest_size=32)

        def digest(chunk: bytes) -> None:
            hasher.update(chunk)
            hasher.update(b"\n")

        if self._stat is None:
            self._spool = self._store.draft()
        table = LabelTable()
        with self._store.draft() as draft:
            for block in self._read_blocks(digest):
                draft.write("classes", table.classify(block).astype("<i4", copy=False).data)
                sizes = np.fromiter(map(len, block.texts), np.int64, len(block.texts))
                draft.write("sizes", np.minimum(sizes, 2**31 - 1).astype("<i4").data)
                if self._spool is not None:
                    self._spool.write("texts", b"\n".join([*block.texts, b""]))
            if self._spool is not None:
                self._spool.flush()
            key = self._make_key(hasher.hexdigest())
            if self._stat and max(self._stat[1:3]) < started - SETTLED_NS:
                self._store.remember(Path(self.path), self._stat, hasher.hexdigest())
            return draft.commit("rows", key, {**table.to_dict(), "key": key})
