"""Splits of labelled text: stratified by label, files without one text in two parts, and held-out rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from textrnn.config import DataConfig
from textrnn.data.batch import Rows
from textrnn.data.blocks import LabelTable, parse_blocks
from textrnn.data.cache import read_stat
from textrnn.data.check.minhash import find_first, hash_texts, normalize
from textrnn.data.formats import BY_EXTENSION, find_format, find_suffix, read_head
from textrnn.data.io import file_changed, read_file, read_lines
from textrnn.data.labels import LabelSetIndex, make_strata, split_labels
from textrnn.errors import ConfigError, DataError
from textrnn.files import atomic_write

PARTS = ("train", "valid", "test")

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """The written files and their number of texts per label, by part; a part with a share of 0 is left out.

    ``together`` is the number of texts that repeat an earlier one and went to its part.
    """

    paths: dict[str, Path]
    counts: dict[str, dict[str, int]]
    together: int


def split_file(
    path: str, folder: Path, config: DataConfig, *, shares: Mapping[str, float], seed: int, overwrite: bool = False
) -> Split:
    """Write ``train``, ``valid`` and ``test`` into ``folder``, with the format's extension and unchanged lines.

    ``shares`` are those of valid and test of each label's texts; train gets the rest. Texts that are equal but for
    case, spaces and punctuation go to the same part. The same file, shares and seed give the same bytes. Blank lines
    are dropped, and a header is copied to each part.

    Raises:
        DataError: at the first fault of the file, with its line; it is a pipe, or changes while it is read.
        ConfigError: a file to write exists.
    """
    stat = read_stat(Path(path))
    if stat is None:
        raise DataError(path, None, "is a pipe and would be read twice; save the text to a file")
    parts = [part for part in PARTS if part == "train" or shares[part] > 0]
    suffix = _choose_suffix(path, config)
    paths = {part: folder / f"{part}{suffix}" for part in parts}
    stale = [folder / f"{part}{suffix}" for part in PARTS if part not in parts]  # of an earlier split: they would leak
    _check_free(Path(path), [*paths.values(), *stale], overwrite=overwrite)
    table, classes, letters, lines = _read_rows(path, config)
    strata = _stratify(table)[classes] if config.multi_label else classes
    part_of = draw_parts(strata, letters, shares=shares, seed=seed)
    with ExitStack() as stack:
        files = {PARTS.index(part): stack.enter_context(atomic_write(paths[part])) for part in parts}
        _write_parts(path, lines.tolist(), part_of.tolist(), files=files)
        if read_stat(Path(path)) != stat:
            raise file_changed(path)
        for other in stale:
            other.unlink(missing_ok=True)
    labels = [" + ".join(split_labels(joined)) or "none" for joined in table.labels]
    counts = {}
    for part in parts:
        found = np.bincount(classes[part_of == PARTS.index(part)], minlength=len(labels))
        counts[part] = dict(zip(labels, found.tolist(), strict=True))
    return Split(paths, counts, int(np.count_nonzero(find_first(letters) != np.arange(len(letters)))))


def _stratify(table: LabelTable) -> npt.NDArray[np.int32]:
    """Return the stratum of each entry of ``table``, the same as for the validation set of training."""
    index = LabelSetIndex()
    classes = index.encode(table.labels)
    return make_strata(classes, table.counts, index.label_sets).astype(np.int32)


def draw_parts(
    classes: npt.NDArray[np.int32], letters: Integers, *, shares: Mapping[str, float], seed: int
) -> npt.NDArray[np.int8]:
    """Return the part (R,) int8 of each row, an index of PARTS; rows with equal ``letters`` (R,) int64 share a part.

    A group of equal rows counts for the label of its first row. Within a label the largest groups come first, each to
    the part that lacks most; single rows then fill up the parts in random order.
    """
    rng = np.random.default_rng(seed)
    first = find_first(letters)
    sizes = np.bincount(first, minlength=len(first))
    part_of = np.zeros(len(first), np.int8)
    heads = np.flatnonzero(sizes)
    by_class = heads[np.argsort(classes[heads], kind="stable")]
    for group in np.split(by_class, np.flatnonzero(np.diff(classes[by_class])) + 1):
        drawn = rng.permutation(group)
        missing = _target_counts(int(sizes[group].sum()), shares)
        repeated = drawn[sizes[drawn] > 1]
        for head in repeated[np.argsort(-sizes[repeated], kind="stable")]:
            part = int(np.argmax(missing))
            part_of[head] = part
            missing[part] -= sizes[head]
        single = drawn[sizes[drawn] == 1]
        valid, test = (max(0, int(count)) for count in missing[1:])
        part_of[single[: valid + test]] = 1
        part_of[single[valid : valid + test]] = 2
    return part_of[first]


def _target_counts(rows: int, shares: Mapping[str, float]) -> Integers:
    """Return the number of a label's rows for each part (3,): at least one each while they last, train first."""
    valid, test = (max(1, round(rows * shares[part])) if shares[part] > 0 else 0 for part in PARTS[1:])
    valid = min(valid, rows - 1)
    test = min(test, rows - 1 - valid)
    return np.array([rows - valid - test, valid, test], np.int64)


def _choose_suffix(path: str, config: DataConfig) -> str:
    """Return the extension of ``path`` if it belongs to the format, else the first one of the format."""
    kind = find_format(path, read_head(read_lines(path)), config)
    known = [suffix for suffix, other in BY_EXTENSION.items() if other == kind] or [".txt"]
    return suffix if (suffix := find_suffix(path)) in known else known[0]


def _check_free(source: Path, targets: Iterable[Path], *, overwrite: bool) -> None:
    for target in targets:
        if target.exists() and target.samefile(source):
            raise ConfigError(f"{target}: is the file to split; name another folder with --out")
        if target.exists() and not overwrite:
            raise ConfigError(f"{target}: exists; name another folder with --out, or use --overwrite")


def _read_rows(path: str, config: DataConfig) -> tuple[LabelTable, npt.NDArray[np.int32], Integers, Integers]:
    """Return the labels, and of each row its class (R,), a hash of its normalized text (R,) and its first line (R,)."""
    table = LabelTable()
    parts = []
    for block in parse_blocks(path, read_file(path), config):
        letters = normalize(b"\n".join(block.texts).decode("utf-8").split("\n"))
        lines = np.fromiter(block.line_numbers, np.int64, len(letters))
        parts.append((table.classify(block), hash_texts(letters), lines))
    classes, hashes, lines = (np.concatenate(column) for column in zip(*parts, strict=True))
    return table, classes, hashes, lines


def _write_parts(path: str, starts: list[int], part_of: list[int], *, files: dict[int, BinaryIO]) -> None:
    """Write each row, from its first line to that of the next row, to the file of its part.

    Lines before the first row, a header, go to all ``files``; blank lines after a row are dropped.
    """
    targets = list(files.values())
    lines: list[bytes] = []
    row = 0

    def flush() -> None:
        while lines and not lines[-1].strip():
            lines.pop()
        data = b"".join([line + b"\n" for line in lines])
        for file in targets:
            file.write(data)
        lines.clear()

    source = chain.from_iterable(chunk.split(b"\n") for chunk in read_file(path))
    for number, line in enumerate(source, start=1):
        if row < len(starts) and number == starts[row]:
            flush()
            targets = [files[part_of[row]]]
            row += 1
        lines.append(line)
    flush()


def hold_out(classes: npt.ArrayLike, share: float, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Return the indices of the kept and of the held-out rows, both sorted, drawing ``share`` of each class.

    A class with two rows or more keeps at least one and gives at least one; a class with one row keeps it.
    """
    held = np.zeros(np.size(classes), np.bool_)
    for rows in _shuffle_classes(classes, rng):
        held[rows[: min(len(rows) - 1, max(1, round(len(rows) * share)))]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def hold_out_fold(classes: npt.ArrayLike, number: int, folds: int, *, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Return the indices of the kept and of the held-out rows, both sorted: fold ``number``, from 1, of ``folds``.

    The shuffled rows of each class are dealt to the folds in turn, each class starting where the last one ended, so
    that folds differ by at most one row, per class and in total. With the same ``rng`` each row is held out by one
    fold, except the only row of a class, which is always kept.
    """
    held = np.zeros(np.size(classes), np.bool_)
    dealt = 0
    for rows in _shuffle_classes(classes, rng):
        if len(rows) > 1:
            held[rows[(number - 1 - dealt) % folds :: folds]] = True
            dealt += len(rows)
    return np.flatnonzero(~held), np.flatnonzero(held)


def _shuffle_classes(classes: npt.ArrayLike, rng: np.random.Generator) -> Iterator[Rows]:
    """Yield the row indices of each class in random order."""
    by_class = np.asarray(classes)
    order = np.argsort(by_class, kind="stable")
    stop = 0
    for size in np.unique(by_class, return_counts=True)[1].tolist():
        start, stop = stop, stop + size
        yield rng.permutation(order[start:stop])
