"""Splitting a labelled file into train, valid and test: by label, and no text in two of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from textrnn.config import DataConfig, DataFormat
from textrnn.data.batch import Rows
from textrnn.data.blocks import LabelTable, parse_blocks
from textrnn.data.cache import take_stat
from textrnn.data.check.minhash import find_first, hash_texts, normalize
from textrnn.data.formats import find_format, find_suffix, take_head
from textrnn.data.io import open_bytes, read_chunks, read_lines
from textrnn.data.labels import SetNumbers, group_for_holding_out, split_labels
from textrnn.errors import ConfigError, DataError
from textrnn.files import atomic_write

PARTS = ("train", "valid", "test")

_CHUNK_BYTES = 1 << 20
_SUFFIXES: dict[DataFormat, tuple[str, ...]] = {
    "tsv": (".tsv",),
    "csv": (".csv",),
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "fasttext": (".txt",),
}
"""The extensions that tell a format, or leave it to the first line; a file with none of them is given the first."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """The files that were written, and how many texts of each label they have; ``together`` came again elsewhere.

    ``paths`` and ``counts`` are by part: train, valid, test, where a part with a share of 0 is left out.
    """

    paths: dict[str, Path]
    counts: dict[str, dict[str, int]]
    together: int


def split_file(
    path: str, folder: Path, config: DataConfig, *, shares: Mapping[str, float], seed: int, overwrite: bool = False
) -> Split:
    """Write ``train``, ``valid`` and ``test`` with the format's extension into ``folder``, lines as they stand.

    ``shares`` are those of valid and test of each label's texts; train has the rest. All texts that are equal but for
    case, blanks and punctuation go to one part. The same file, shares and seed give the same bytes. Blank lines go,
    and a header stands in each part.

    Raises:
        DataError: at the first fault of the file, with its line; it is a pipe, or changes while it is read.
        ConfigError: a file stands there already.
    """
    stat = take_stat(Path(path))
    if stat is None:
        raise DataError(path, None, "a pipe, which would be read twice; put the text into a file")
    parts = [part for part in PARTS if part == "train" or shares[part] > 0]
    suffix = _choose_suffix(path, config)
    paths = {part: folder / f"{part}{suffix}" for part in parts}
    stale = [folder / f"{part}{suffix}" for part in PARTS if part not in parts]  # of another split: they would leak
    _check_free(Path(path), [*paths.values(), *stale], overwrite=overwrite)
    table, classes, letters, lines = _read(path, config)
    groups = _group(table)[classes] if config.multi_label else classes
    part_of = draw_parts(groups, letters, shares=shares, seed=seed)
    with ExitStack() as stack:
        files = {PARTS.index(part): stack.enter_context(atomic_write(paths[part])) for part in parts}
        _write(path, lines.tolist(), part_of.tolist(), files=files)
        if take_stat(Path(path)) != stat:
            raise DataError(path, None, "was changed while it was read; run again when it is complete")
        for other in stale:
            other.unlink(missing_ok=True)
    labels = [" + ".join(split_labels(str(joined))) or "none" for joined in table.to_dict()["labels"]]
    counts = {}
    for part in parts:
        found = np.bincount(classes[part_of == PARTS.index(part)], minlength=len(labels))
        counts[part] = dict(zip(labels, found.tolist(), strict=True))
    return Split(paths, counts, int(np.count_nonzero(find_first(letters) != np.arange(len(letters)))))


def _group(table: LabelTable) -> npt.NDArray[np.int32]:
    """Return the group of each entry of ``table``, of which each part gets its share: as training holds texts out."""
    found = table.to_dict()
    numbers = SetNumbers()
    own = numbers.number([str(joined) for joined in found["labels"]])
    return group_for_holding_out(own, [int(count) for count in found["counts"]], numbers.sets).astype(np.int32)


def draw_parts(
    classes: npt.NDArray[np.int32], letters: Integers, *, shares: Mapping[str, float], seed: int
) -> npt.NDArray[np.int8]:
    """Return the part (R,) int8 of each row, an index of PARTS; rows with equal ``letters`` (R,) int64 have one part.

    A group of such rows counts for the label of its first one. Within a label the largest groups come first, each to
    the part that lacks most; single rows, in an order that is drawn, then fill the parts up.
    """
    rng = np.random.default_rng(seed)
    first = find_first(letters)
    sizes = np.bincount(first, minlength=len(first))
    part_of = np.zeros(len(first), np.int8)
    heads = np.flatnonzero(sizes)
    by_class = heads[np.argsort(classes[heads], kind="stable")]
    for group in np.split(by_class, np.flatnonzero(np.diff(classes[by_class])) + 1):
        drawn = rng.permutation(group)
        wanted = _count_wanted(int(sizes[group].sum()), shares)
        several = drawn[sizes[drawn] > 1]
        for head in several[np.argsort(-sizes[several], kind="stable")]:
            part = int(np.argmax(wanted))
            part_of[head] = part
            wanted[part] -= sizes[head]
        single = drawn[sizes[drawn] == 1]
        valid, test = (max(0, int(lacking)) for lacking in wanted[1:])
        part_of[single[: valid + test]] = 1
        part_of[single[valid : valid + test]] = 2
    return part_of[first]


def _count_wanted(rows: int, shares: Mapping[str, float]) -> Integers:
    """Return how many of a label's rows each part should have (3,): one at least, as far as they go; train first."""
    valid, test = (max(1, round(rows * shares[part])) if shares[part] > 0 else 0 for part in PARTS[1:])
    valid = min(valid, rows - 1)
    test = min(test, rows - 1 - valid)
    return np.array([rows - valid - test, valid, test], np.int64)


def _choose_suffix(path: str, config: DataConfig) -> str:
    known = _SUFFIXES[find_format(path, take_head(read_lines(path)), config)]
    return suffix if (suffix := find_suffix(path)) in known else known[0]


def _check_free(source: Path, targets: Iterable[Path], *, overwrite: bool) -> None:
    for target in targets:
        if target.exists() and target.samefile(source):
            raise ConfigError(f"{target}: is the file that is split; name another folder with --out")
        if target.exists() and not overwrite:
            raise ConfigError(f"{target}: exists; name another folder with --out, or say --overwrite")


def _read(path: str, config: DataConfig) -> tuple[LabelTable, npt.NDArray[np.int32], Integers, Integers]:
    """Return labels, the class (R,) of each row, a hash of its letters (R,), and the line (R,) where it starts."""
    table = LabelTable()
    parts = []
    with open_bytes(path) as file:
        for block in parse_blocks(path, read_chunks(file, _CHUNK_BYTES), config):
            letters = normalize(b"\n".join(block.texts).decode("utf-8").split("\n"))
            lines = np.fromiter(block.line_numbers, np.int64, len(letters))
            parts.append((table.classify(block), hash_texts(letters), lines))
    classes, hashes, lines = (np.concatenate(column) for column in zip(*parts, strict=True))
    return table, classes, hashes, lines


def _write(path: str, starts: list[int], part_of: list[int], *, files: dict[int, BinaryIO]) -> None:
    """Write each row, from the line where it starts to where the next one does, to the file of its part.

    What is before the first row, a header, goes to all ``files``; blank lines behind a row go.
    """
    targets = list(files.values())
    held: list[bytes] = []
    row = 0

    def flush() -> None:
        while held and not held[-1].strip():
            held.pop()
        data = b"".join([line + b"\n" for line in held])
        for file in targets:
            file.write(data)
        held.clear()

    with open_bytes(path) as content:
        lines = chain.from_iterable(chunk.split(b"\n") for chunk in read_chunks(content, _CHUNK_BYTES))
        for number, line in enumerate(lines, start=1):
            if row < len(starts) and number == starts[row]:
                flush()
                targets = [files[part_of[row]]]
                row += 1
            held.append(line)
        flush()


def hold_out(classes: npt.ArrayLike, share: float, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Split row numbers into (kept, held out), both rising, drawing ``share`` of each class from ``rng``.

    A class with two rows or more keeps one and gives one at least; a class with one row keeps it.
    """
    by_class = np.asarray(classes)
    order = np.argsort(by_class, kind="stable")
    held = np.zeros(len(order), np.bool_)
    sizes = np.unique(by_class, return_counts=True)[1]
    stop = 0
    for size in sizes.tolist():
        start, stop = stop, stop + size
        rows = rng.permutation(order[start:stop])
        held[rows[: min(size - 1, max(1, round(size * share)))]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def hold_out_fold(classes: npt.ArrayLike, number: int, folds: int, *, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Split row numbers into (kept, held out), both rising: held out is the part ``number``, from 1, of ``folds``.

    The rows of a class, in an order drawn from ``rng``, are dealt to the parts in turn, and those of the next class
    go on where they ended, so that parts differ by one row at most, in each class and together. With the same ``rng``
    each row is held out by one part, but for a class with one row, which keeps it.
    """
    by_class = np.asarray(classes)
    order = np.argsort(by_class, kind="stable")
    held = np.zeros(len(order), np.bool_)
    stop = dealt = 0
    for size in np.unique(by_class, return_counts=True)[1].tolist():
        start, stop = stop, stop + size
        rows = rng.permutation(order[start:stop])
        if size > 1:
            held[rows[(number - 1 - dealt) % folds :: folds]] = True
            dealt += size
    return np.flatnonzero(~held), np.flatnonzero(held)
