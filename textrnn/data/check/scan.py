"""One pass over a labelled file that extracts what the checks compare, and skips faulty rows."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from textrnn.config import DataConfig
from textrnn.data.check.findings import Finding, Findings
from textrnn.data.encoded import map_in_threads
from textrnn.data.labels import split_labels
from textrnn.data.minhash import Signatures, hash_texts, minhash, normalize
from textrnn.data.reading.blocks import Block, LabelTable, make_blocks
from textrnn.data.reading.io import decode_texts, read_data
from textrnn.data.reading.rows import RowReader
from textrnn.errors import DataError

Integers = npt.NDArray[np.int64]
CountPieces = Callable[["list[bytes]"], "tuple[Integers, Integers]"]
"""Takes texts in UTF-8; returns the number of pieces of each (B,) int64, and of unknown ones (B,) int64."""

_ODD_CHARACTERS = {
    # C0 without the tab, C1, and invisible or bidirectional characters; some scripts need U+200C and U+200D
    "control": re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff]"),
    "replacement": re.compile("\ufffd"),
    "mojibake": re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac|\u00ef\u00bf\u00bd"),
    "tab": re.compile("\t"),
}


@dataclass(frozen=True)
class Rows:
    """Features of R rows, each (R,) int64 unless stated.

    ``texts`` and ``letters`` are hashes of the text and of the normalized text, ``sizes`` the bytes of the latter;
    ``classes`` int32 are indices of the file's label sets; ``empty`` is bool, ``signatures`` (R, 20) uint32. ``pieces``
    and ``unknown`` are 0 for empty texts and without a tokenizer.
    """

    texts: Integers
    letters: Integers
    sizes: Integers
    classes: npt.NDArray[np.int32]
    lines: Integers
    characters: Integers
    empty: npt.NDArray[np.bool_]
    signatures: Signatures
    pieces: Integers
    unknown: Integers

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def join(cls, parts: Sequence[Rows]) -> Rows:
        """Return the rows of all parts end to end."""
        columns: list[Any] = [np.concatenate(column) for column in zip(*(vars(p).values() for p in parts), strict=True)]
        return cls(*columns)


@dataclass(frozen=True)
class Scan:
    """The rows of a file, and its labels in order of appearance.

    ``sets`` are the distinct (joined) labels of a text, in the order of the rows' ``classes``. ``spool`` is a temporary
    file with the normalized text of row ``r`` in UTF-8 at ``offsets[r]:offsets[r+1]``.
    """

    path: str
    role: str | None
    labels: list[str]
    counts: list[int]
    first_lines: list[int]
    sets: list[str]
    rows: Rows
    offsets: Integers
    spool: IO[bytes]

    def __len__(self) -> int:
        return len(self.rows)

    def label_rows(self) -> Iterator[tuple[str, int, int]]:
        """Yield each label with its number of texts and its first line."""
        return zip(self.labels, self.counts, self.first_lines, strict=True)

    def label_of(self, row: int) -> str:
        """Return the label of a row; several are separated by commas."""
        return ", ".join(split_labels(self.sets[int(self.rows.classes[row])]))

    def read_letters(self, row: int) -> str:
        """Return the normalized text of a row."""
        self.spool.seek(int(self.offsets[row]))
        return self.spool.read(int(self.offsets[row + 1] - self.offsets[row])).decode("utf-8", errors="replace")


def scan(
    path: str,
    config: DataConfig,
    findings: Findings,
    *,
    role: str | None = None,
    count_pieces: CountPieces | None = None,
) -> Scan:
    """Read the file at ``path`` (``-``: standard input), and add its faults and odd characters to ``findings``."""
    table = LabelTable()
    spool = tempfile.TemporaryFile(prefix="textrnn-")  # noqa: SIM115 - lives as long as the scan
    parts = [_extract(Block([], [], []), np.zeros(0, np.int32), letters=[], pieces=_no_pieces([]))]
    try:
        for block, pieces in _read_blocks(path, config, table, findings=findings, count_pieces=count_pieces):
            texts = decode_texts(block.texts)
            letters = normalize(texts)
            spool.write("".join(letters).encode("utf-8"))
            parts.append(_extract(block, table.classify(block), letters=letters, pieces=pieces))
            _check_characters(path, block, findings, texts=texts)
        is_single = config.target == "label" and not config.multi_label
        if role in (None, "train") and is_single and (fault := table.find_swap()):
            findings.refuse(DataError(path, None, fault))
    except DataError as fault:  # of the whole file, or of the place where it is truncated
        findings.refuse(fault)
    spool.flush()
    rows = Rows.join(parts)
    offsets = np.append(0, np.cumsum(rows.sizes))
    return Scan(path, role, *_count_labels(table), sets=table.labels, rows=rows, offsets=offsets, spool=spool)


def _count_labels(table: LabelTable) -> tuple[list[str], list[int], list[int]]:
    """Return the labels, their number of texts and their first lines; each label of a set counts."""
    counts: dict[str, int] = {}
    lines: dict[str, int] = {}
    for joined, count, line in zip(table.labels, table.counts, table.first_lines, strict=True):
        for label in split_labels(joined):
            counts[label] = counts.get(label, 0) + count
            lines.setdefault(label, line)
    return list(counts), list(counts.values()), list(lines.values())


def _read_blocks(
    path: str, config: DataConfig, table: LabelTable, *, findings: Findings, count_pieces: CountPieces | None
) -> Iterator[tuple[Block, tuple[Integers, Integers]]]:
    """Yield the file's blocks with the pieces of their texts, which other threads count in advance."""
    note, count = findings.notes.append, count_pieces or _no_pieces
    chunks = read_data(path, config, note=note)
    reader = RowReader(path, chunks, config, note=note, on_fault=findings.refuse)
    yield from map_in_threads(lambda block: (block, count(block.texts)), make_blocks(reader))
    if config.target == "label":
        findings.notes += table.find_header(path, reader.layout)


def _no_pieces(texts: list[bytes]) -> tuple[Integers, Integers]:
    zeros = np.zeros(len(texts), np.int64)
    return zeros, zeros


def _extract(
    block: Block, classes: npt.NDArray[np.int32], *, letters: list[str], pieces: tuple[Integers, Integers]
) -> Rows:
    size = len(block.texts)
    empty = np.fromiter((not text.strip() for text in letters), np.bool_, size)
    return Rows(
        texts=hash_texts(block.texts),
        letters=hash_texts(letters),
        sizes=np.fromiter((len(text.encode("utf-8")) for text in letters), np.int64, size),
        classes=classes,
        lines=np.fromiter(block.line_numbers, np.int64, size),
        characters=np.fromiter((len(text.decode("utf-8")) for text in block.texts), np.int64, size),
        empty=empty,
        signatures=minhash(letters),
        pieces=np.where(empty, 0, pieces[0]),
        unknown=np.where(empty, 0, pieces[1]),
    )


def _check_characters(path: str, block: Block, findings: Findings, *, texts: list[str]) -> None:
    joined = "\n".join(texts)
    for kind, pattern in _ODD_CHARACTERS.items():
        if pattern.search(joined) is None:  # far cheaper than a search in each text
            continue
        for text, number in zip(texts, block.line_numbers, strict=True):
            if match := pattern.search(text):
                codes = " ".join(f"U+{ord(character):04X}" for character in match[0])
                findings.add(kind, Finding(path, number, f"{codes} at character {match.start() + 1} of the text"))
