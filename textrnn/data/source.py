"""A labelled file that is read several times: a plain or compressed file, or a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from hashlib import blake2b
from itertools import compress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.config import DataConfig
from textrnn.data.blocks import Block, LabelTable, parse_blocks
from textrnn.data.cache import SETTLED_NS, Cache, Draft, Entry, make_key, read_stat
from textrnn.data.formats import find_suffix
from textrnn.data.io import STDIN, file_changed, open_raw, read_chunks

Progress = Callable[[str, int, "int | None"], None]
"""Called with the activity, the bytes read so far, and their total (None: unknown, as of a pipe)."""


class LabelledFile(AbstractContextManager["LabelledFile"]):
    """The examples of one file. The first pass notes each row's label and size, and spools the texts of a pipe.

    ``labels`` are in order of appearance (several labels of one text are one entry, joined by tabs), with their
    ``counts`` and ``first_lines``. ``classes`` (rows,) int32 are indices of ``labels``; ``sizes`` (rows,) int32 are the
    bytes of the texts. ``key`` identifies the content.

    Raises:
        DataError: at the first fault of the file, with its line.
    """

    def __init__(self, path: str, config: DataConfig, cache: Cache, *, progress: Progress | None = None) -> None:
        self.path, self._config, self._cache = path, config, cache
        self._progress = progress
        self._activity = "reading"
        self._spool: Draft | None = None
        self._stat = None if path == STDIN else read_stat(Path(path))
        try:
            entry = self._find_entry() or self._scan()
        except BaseException:
            self.close()
            raise
        self.labels: list[str] = entry.meta["labels"]
        self.counts: list[int] = entry.meta["counts"]
        self.first_lines: list[int] = entry.meta["first_lines"]
        self.key: str = entry.meta["key"]
        self.classes = np.memmap(entry.folder / "classes", "<i4", "r")
        self.sizes = np.memmap(entry.folder / "sizes", "<i4", "r")

    def __len__(self) -> int:
        return len(self.classes)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the spooled texts."""
        if self._spool is not None:
            self._spool.close()

    def read_texts(
        self, rows: npt.NDArray[np.bool_] | None = None, *, activity: str = "reading"
    ) -> Iterator[list[bytes]]:
        """Yield the texts in lists: all, or those that the mask ``rows`` (rows,) selects; ``activity`` is reported."""
        self._activity = activity
        start = 0
        for texts in self._read_all_texts():
            stop = start + len(texts)
            if stop > len(self):
                raise file_changed(self.path)
            yield texts if rows is None else list(compress(texts, rows[start:stop].tolist()))
            start = stop
        if start != len(self):
            raise file_changed(self.path)

    def _read_all_texts(self) -> Iterator[list[bytes]]:
        if self._spool is None:
            yield from (block.texts for block in self._read_blocks())
            return
        path = self._spool.folder / "texts"
        with path.open("rb") as file:
            for chunk in read_chunks(file.read, keep_mark=True):
                yield chunk.split(b"\n")
                self._report(file.tell(), path.stat().st_size)

    def _read_blocks(self, digest: Callable[[bytes], None] | None = None) -> Iterator[Block]:
        with open_raw(self.path) as (raw, content):
            total = self._stat[0] if self._stat else None
            done = 0

            def watch() -> Iterator[bytes]:
                nonlocal done
                for chunk in read_chunks(content.read):
                    done += len(chunk) + 1
                    self._report(raw.tell() if self._stat else done, total)
                    if digest is not None:
                        digest(chunk)
                    yield chunk

            yield from parse_blocks(self.path, watch(), self._config)
        end = done if total is None else total
        self._report(end, end)
        if self._stat is None:
            return
        stat = read_stat(Path(self.path))
        if stat is None or (stat[0], stat[1], stat[3]) != (self._stat[0], self._stat[1], self._stat[3]):
            raise file_changed(self.path)

    def _report(self, done: int, total: int | None) -> None:
        if self._progress is not None:
            name = "standard input" if self.path == STDIN else Path(self.path).name
            self._progress(f"{self._activity} {name}", done, total)

    def _find_entry(self) -> Entry | None:
        digest = self._cache.get_digest(Path(self.path)) if self._stat else None
        return self._cache.get("rows", self._make_key(digest)) if digest else None

    def _make_key(self, digest: str) -> str:
        config = self._config
        suffix = find_suffix(self.path) if config.format == "auto" else ""
        multi_label = [("several", config.label_separator)] if config.multi_label else []
        return make_key("rows", digest, config.format, suffix, config.label, config.text, *multi_label)

    def _scan(self) -> Entry:
        started = time.time_ns()
        hasher = blake2b(digest_size=32)

        def digest(chunk: bytes) -> None:
            hasher.update(chunk)
            hasher.update(b"\n")

        if self._stat is None:
            self._spool = self._cache.draft()
        table = LabelTable()
        with self._cache.draft() as draft:
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
                self._cache.put_digest(Path(self.path), self._stat, hasher.hexdigest())
            columns = {"labels": table.labels, "counts": table.counts, "first_lines": table.first_lines}
            return draft.commit("rows", key, {**columns, "key": key})
