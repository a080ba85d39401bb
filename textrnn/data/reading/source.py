"""Labelled files that are read several times: plain or compressed files, or pipes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import blake2b
from itertools import compress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.config import DataConfig
from textrnn.data.cache import SETTLED_NS, Cache, Draft, Entry, make_key, read_stat
from textrnn.data.minhash import find_first, hash_texts, normalize
from textrnn.data.partition import join_groups
from textrnn.data.reading.blocks import Block, LabelTable, make_blocks
from textrnn.data.reading.io import STDIN, Note, decode_texts, file_changed, open_data, read_chunks
from textrnn.data.reading.layout import find_suffix
from textrnn.data.reading.rows import RowReader
from textrnn.data.soft_labels import SoftLabelTable, SoftLabelWriter

Progress = Callable[[str, int, "int | None"], None]
"""Called with the activity, the bytes read so far, and their total (None: unknown, as of a pipe)."""

_READING_KEYS = {
    *("format", "encoding", "delimiter", "quoting", "label", "label_columns", "text", "group", "weight", "on_error"),
    *("target", "multi_label", "label_separator"),
}
"""The keys of ``data`` that decide how a file is read."""


class LabelledFile(AbstractContextManager["LabelledFile"]):
    """The examples of one file, or of several end to end.

    The first pass notes each row's label and size, and spools the texts of a pipe. ``labels`` are in order of
    appearance (several labels of one text are one entry, joined by tabs), with their ``counts`` and ``first_lines``.
    ``classes`` (rows,) int32 are indices of ``labels``; ``sizes`` (rows,) int32 are the bytes of the texts.
    ``weights`` (rows,) float32 are those of ``data.weight``, or None; ``soft_labels`` the distributions of rows that
    have one, or None. ``key`` identifies the content; ``notes`` are lines for the user about how it was read.
    ``swap_fault`` says why the labels of a training set look like texts, or is None.

    Raises:
        DataError: at the first fault of a file, with its line.
    """

    def __init__(
        self, paths: str | Sequence[str], config: DataConfig, cache: Cache, *, progress: Progress | None = None
    ) -> None:
        self._paths = [paths] if isinstance(paths, str) else list(paths)
        self.path = self._paths[0]
        self._config, self._cache, self._progress = config, cache, progress
        self._activity = "reading"
        self._spool: Draft | None = None
        self._stats = [None if path == STDIN else read_stat(Path(path)) for path in self._paths]
        self._is_pipe = None in self._stats
        try:
            entry = self._find_entry() or self._scan()
        except BaseException:
            self.close()
            raise
        self.labels: list[str] = entry.meta["labels"]
        self.counts: list[int] = entry.meta["counts"]
        self.first_lines: list[int] = entry.meta["first_lines"]
        self.notes: list[str] = entry.meta["notes"]
        self.key: str = entry.meta["key"]
        self.swap_fault: str | None = entry.meta["swap"]
        self.classes = np.memmap(entry.folder / "classes", "<i4", "r")
        self.sizes = np.memmap(entry.folder / "sizes", "<i4", "r")
        self._groups = np.memmap(entry.folder / "groups", "<i8", "r") if config.group is not None else None
        self.weights = np.memmap(entry.folder / "weights", "<f4", "r") if config.weight is not None else None
        self.soft_labels = SoftLabelTable.read(entry, entry.meta["soft_labels"])

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

    def find_groups(self) -> npt.NDArray[np.int64]:
        """Return the first row (rows,) int64 of each row's group: equal texts, or one value of ``data.group``."""
        key = make_key("groups", self.key)
        entry = self._cache.get("groups", key)
        if entry is None:
            hashes = [hash_texts(normalize(decode_texts(texts))) for texts in self.read_texts(activity="comparing")]
            first = find_first(join_groups(np.concatenate(hashes), self._groups))
            with self._cache.draft() as draft:
                draft.write("first", first.astype("<i8").data)
                entry = draft.commit("groups", key, {})
        return np.fromfile(entry.folder / "first", "<i8")

    def _read_all_texts(self) -> Iterator[list[bytes]]:
        if self._spool is None:
            for path, stat in zip(self._paths, self._stats, strict=True):
                with self._open(path, stat) as reader:
                    yield from (block.texts for block in make_blocks(reader))
            return
        spool = self._spool.folder / "texts"
        with spool.open("rb") as file:
            for chunk in read_chunks(file.read):
                yield chunk.split(b"\n")
                self._report(spool.name, file.tell(), spool.stat().st_size)

    @contextmanager
    def _open(
        self,
        path: str,
        stat: list[int] | None,
        *,
        note: Note | None = None,
        digest: Callable[[bytes], None] | None = None,
    ) -> Iterator[RowReader]:
        """Open a file and yield its reader; ``digest`` gets what decides its rows and notes."""
        total = stat[0] if stat else None
        done = 0
        with open_data(path, self._config, note=note) as (raw, file):

            def watch() -> Iterator[bytes]:
                nonlocal done
                for chunk in read_chunks(file.read):
                    done += len(chunk) + 1
                    self._report(path, raw.tell() if stat else done, total)
                    if digest is not None:
                        digest(chunk)
                        digest(b"\n")
                    yield chunk

            yield RowReader(path, watch(), self._config, note=note)
            if digest is not None:  # the notes of equal text differ by these
                digest(f"{file.encoding} {file.ends_in_return}\n".encode())
        end = done if total is None else total
        self._report(path, end, end)
        after = None if stat is None else read_stat(Path(path))
        if stat is not None and (after is None or (after[0], after[1], after[3]) != (stat[0], stat[1], stat[3])):
            raise file_changed(path)

    def _report(self, path: str, done: int, total: int | None) -> None:
        if self._progress is not None:
            name = "standard input" if path == STDIN else Path(path).name
            self._progress(f"{self._activity} {name}", done, total)

    def _find_entry(self) -> Entry | None:
        digests = [None if self._is_pipe else self._cache.get_digest(Path(path)) for path in self._paths]
        return self._cache.get("rows", self._make_entry_key(self._make_key(digests))) if all(digests) else None

    def _make_key(self, digests: Sequence[str | None]) -> str:
        config = self._config
        suffixes = [find_suffix(path) if config.format == "auto" else "" for path in self._paths]
        return make_key("rows", digests, suffixes, config.model_dump(include=_READING_KEYS))

    def _make_entry_key(self, key: str) -> str:
        """Return the key of an entry, whose notes name the files."""
        return make_key("notes", key, self._paths)

    def _scan(self) -> Entry:
        started = time.time_ns()
        if self._is_pipe:
            self._spool = self._cache.draft()
        table, notes, digests = LabelTable(), [], []  # type: tuple[LabelTable, list[str], list[str]]
        with self._cache.draft() as draft:
            soft = SoftLabelWriter(draft)
            for path, stat in zip(self._paths, self._stats, strict=True):
                hasher = blake2b(digest_size=32)
                with self._open(path, stat, note=notes.append, digest=hasher.update) as reader:
                    for block in make_blocks(reader):
                        self._write(block, table, draft)
                        soft.write(block.distributions, size=len(block.texts))
                if not digests and self._config.target == "label":
                    notes += table.find_header(path, reader.layout)
                digests.append(hasher.hexdigest())
                if stat is not None and max(stat[1:3]) < started - SETTLED_NS:
                    self._cache.put_digest(Path(path), stat, digests[-1])
            if self._spool is not None:
                self._spool.flush()
            key = self._make_key(digests)
            swap = table.find_swap() if self._config.target == "label" else None
            columns = {"labels": table.labels, "counts": table.counts, "first_lines": table.first_lines}
            meta = {**columns, "notes": notes, "swap": swap, "key": key, "soft_labels": soft.labels}
            return draft.commit("rows", self._make_entry_key(key), meta)

    def _write(self, block: Block, table: LabelTable, draft: Draft) -> None:
        draft.write("classes", table.classify(block).astype("<i4", copy=False).data)
        sizes = np.fromiter(map(len, block.texts), np.int64, len(block.texts))
        draft.write("sizes", np.minimum(sizes, 2**31 - 1).astype("<i4").data)
        if self._config.group is not None:
            draft.write("groups", b"".join(blake2b(g.encode(), digest_size=8).digest() for g in block.groups))
        if self._config.weight is not None:
            draft.write("weights", np.array(block.weights, "<f4").data)
        if self._spool is not None:
            self._spool.write("texts", b"\n".join([*block.texts, b""]))
