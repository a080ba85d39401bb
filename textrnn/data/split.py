"""Splits of a labelled file into files for training, validation and test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from textrnn.config import DataConfig
from textrnn.data.arrow.arrow_files import find_row_suffix
from textrnn.data.arrow.arrow_writer import open_arrow
from textrnn.data.cache import read_stat
from textrnn.data.labels import LabelSetIndex, make_strata, split_labels
from textrnn.data.minhash import find_first, hash_texts, normalize
from textrnn.data.partition import draw_parts, join_groups
from textrnn.data.reading.blocks import LabelTable, make_blocks
from textrnn.data.reading.io import decode_texts, encode_lines, file_changed, open_text, read_chunks, read_data
from textrnn.data.reading.layout import BY_EXTENSION, Layout, find_suffix
from textrnn.data.reading.rows import RowReader
from textrnn.errors import ConfigError, DataError
from textrnn.files import atomic_write

PARTS = ("train", "valid", "test")

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """The written files and their number of texts per label, by part; a part with a share of 0 is left out.

    ``together`` is the number of texts that belong to the group of an earlier one and went to its part; ``notes`` are
    lines for the user about how the file was read.
    """

    paths: dict[str, Path]
    counts: dict[str, dict[str, int]]
    together: int
    notes: list[str]


def split_file(
    path: str, folder: Path, config: DataConfig, *, shares: Mapping[str, float], seed: int, overwrite: bool = False
) -> Split:
    """Write ``train``, ``valid`` and ``test`` into ``folder``, with the format's extension and unchanged lines.

    ``shares`` are those of valid and test of each label's texts; train gets the rest. Texts that are equal but for
    case, spaces and punctuation go to the same part, as do those of a group (``data.group``). The same file, shares and
    seed give the same bytes. Blank lines are dropped, and a header is copied to each part. The encoding stays; a JSON
    array becomes JSON Lines. Parquet and Arrow files, and folders of them, keep their format and all columns.

    Raises:
        DataError: at the first fault of the file, with its line; it is a pipe, or changes while it is read.
        ConfigError: a file to write exists.
    """
    stat = read_stat(Path(path))
    if stat is None:
        raise DataError(path, None, "is a pipe and would be read twice; save the text to a file")
    parts = [part for part in PARTS if part == "train" or shares[part] > 0]
    notes: list[str] = []
    table, classes, groups, layout, numbers = _read_rows(path, config, notes)
    row_suffix = find_row_suffix(path)
    suffix = row_suffix or _choose_suffix(path, layout)
    paths = {part: folder / f"{part}{suffix}" for part in parts}
    stale = [folder / f"{part}{suffix}" for part in PARTS if part not in parts]  # of an earlier split: they would leak
    _check_free(Path(path), [*paths.values(), *stale], overwrite=overwrite)
    strata = _stratify(table, config)[classes]
    targets = partial(_target_counts, shares=shares)
    part_of = np.maximum(draw_parts(strata, groups, targets=targets, rng=np.random.default_rng(seed)), 0)
    with ExitStack() as stack:
        if row_suffix:
            _write_rows(path, numbers, part_of, targets=paths, stack=stack)
        else:
            files = {PARTS.index(part): stack.enter_context(atomic_write(paths[part])) for part in parts}
            _write_parts(path, config, part_of.tolist(), files=files)
        if read_stat(Path(path)) != stat:
            raise file_changed(path)
        for other in stale:
            other.unlink(missing_ok=True)
    labels = [" + ".join(split_labels(joined)) or "none" for joined in table.labels]
    counts = {}
    for part in parts:
        found = np.bincount(classes[part_of == PARTS.index(part)], minlength=len(labels))
        counts[part] = dict(zip(labels, found.tolist(), strict=True))
    together = int(np.count_nonzero(find_first(groups) != np.arange(len(groups))))
    return Split(paths, counts, together, notes)


def _stratify(table: LabelTable, config: DataConfig) -> npt.NDArray[np.int32]:
    """Return the stratum of each entry of ``table``: its label, the decile of its score, or that of its labels."""
    if config.target == "score":
        scores = np.array(table.labels, np.float64)
        deciles = np.quantile(np.repeat(scores, table.counts), np.arange(1, 10) / 10)
        return np.unique(np.searchsorted(deciles, scores), return_inverse=True)[1].astype(np.int32)
    if not config.multi_label:
        return np.arange(len(table.labels), dtype=np.int32)
    index = LabelSetIndex()
    classes = index.encode(table.labels)
    return make_strata(classes, table.counts, index.label_sets).astype(np.int32)


def _target_counts(rows: int, shares: Mapping[str, float]) -> list[int]:
    """Return the number of a label's rows for each part: at least one each while they last, train first."""
    valid, test = (max(1, round(rows * shares[part])) if shares[part] > 0 else 0 for part in PARTS[1:])
    valid = min(valid, rows - 1)
    test = min(test, rows - 1 - valid)
    return [rows - valid - test, valid, test]


def _choose_suffix(path: str, layout: Layout) -> str:
    """Return the extension of ``path`` if it belongs to the format, else the first one of the format."""
    known = [suffix for suffix, other in BY_EXTENSION.items() if other == layout.format] or [".txt"]
    suffix = find_suffix(path)
    is_array = layout.is_array and suffix == ".json"  # written as JSON Lines
    return suffix if suffix in known and not is_array else known[0]


def _check_free(source: Path, targets: Iterable[Path], *, overwrite: bool) -> None:
    for target in targets:
        if target.exists() and target.samefile(source):
            raise ConfigError(f"{target}: is the file to split; name another folder with --out")
        if target.exists() and not overwrite:
            raise ConfigError(f"{target}: exists; name another folder with --out, or use --overwrite")


def _read_rows(
    path: str, config: DataConfig, notes: list[str]
) -> tuple[LabelTable, npt.NDArray[np.int32], Integers, Layout, Integers]:
    """Return the labels, the class (R,) and the group (R,) of each row, the layout, and the line (R,) of each row.

    Lines for the user are added to ``notes``.
    """
    table = LabelTable()
    parts, groups, numbers = [], [], []
    reader = RowReader(path, read_data(path, config, note=notes.append), config, note=notes.append)
    for block in make_blocks(reader):
        numbers.append(np.fromiter(block.line_numbers, np.int64, len(block.texts)))
        parts.append((table.classify(block), hash_texts(normalize(decode_texts(block.texts)))))
        groups.append(hash_texts(block.groups))
    is_label = config.target == "label"
    if fault := table.find_swap() if is_label and not config.multi_label else None:
        raise DataError(path, None, fault)
    notes += table.find_header(path, reader.layout) if is_label else []
    classes, hashes = (np.concatenate(column) for column in zip(*parts, strict=True))
    joined = join_groups(hashes, np.concatenate(groups) if config.group is not None else None)
    return table, classes, joined, reader.layout, np.concatenate(numbers)


def _write_rows(
    path: str, numbers: Integers, part_of: Integers, *, targets: Mapping[str, Path], stack: ExitStack
) -> None:
    """Write the rows of Parquet or Arrow, which have these ``numbers`` (from 1), to the file of their part."""
    for part, target in targets.items():
        write = stack.enter_context(open_arrow(target, types={}, sources=[path]))
        if (rows := numbers[part_of == PARTS.index(part)] - 1).size:
            write(rows, {})


def _write_parts(path: str, config: DataConfig, part_of: list[int], *, files: dict[int, BinaryIO]) -> None:
    """Write the header to all ``files``, and each row to the file of its part, in the encoding of ``path``."""
    with open_text(path, encoding=config.encoding) as (_, text):
        reader = RowReader(path, read_chunks(text.read), config)
        writes = {part: encode_lines(file.write, lambda: text) for part, file in files.items()}
        if reader.header is not None:
            for write in writes.values():
                write(reader.header + b"\n")
        parts = iter(part_of)
        for rows in reader:
            lines: dict[int, list[bytes]] = {}
            for row, part in zip(rows, parts, strict=False):
                lines.setdefault(part, []).append(row.raw + b"\n")
            for part, own in lines.items():
                writes[part](b"".join(own))
