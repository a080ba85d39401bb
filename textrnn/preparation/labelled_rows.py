"""The labelled rows of a run as texts: its training set without the validation set, and the validation set."""

from __future__ import annotations

from typing import NamedTuple

from textrnn.config import Config, DataConfig, as_list
from textrnn.data.cache import Cache
from textrnn.data.reading.examples import Example, read_examples
from textrnn.data.reading.io import Note, is_pipe
from textrnn.data.reading.source import LabelledFile
from textrnn.errors import DataError
from textrnn.preparation.dataset import find_paths
from textrnn.preparation.label_encoder import make_label_encoder
from textrnn.preparation.row_division import divide_rows


class LabelledRows(NamedTuple):
    """Training and validation examples; ``file`` is the first training file."""

    train: list[Example]
    valid: list[Example]
    file: str


def read_labelled_rows(config: Config, *, note: Note) -> LabelledRows:
    """Read the training and the validation set of ``config``, which a run of it would have.

    Raises:
        DataError: a file is missing, a pipe, or unusable, or too few texts can be held out.
    """
    (train_path, valid_path), origin = find_paths(config)
    if origin:
        note(origin)
    files = as_list(train_path)
    for path in (*files, *as_list(valid_path)):
        if is_pipe(path):
            raise DataError(path, None, "is a pipe, but labelled rows are read more than once; save them to a file")
    train = [example for path in files for example in read_examples(path, config.data, note=note)]
    if valid_path is not None:
        return LabelledRows(train, _read_valid(valid_path, config.data, note=note), files[0])
    with LabelledFile(train_path, config.data, Cache.open(config.data.cache, note)) as file:
        division = divide_rows(file, make_label_encoder(file, config.data), config, has_valid=False)
        kept, held = division.kept, division.held
    assert kept is not None
    assert held is not None  # since the run has no other validation set
    note(f"no validation set given: {len(held):,} of {len(train):,} texts held out (seed {config.train.seed})")
    return LabelledRows([train[row] for row in kept.tolist()], [train[row] for row in held.tolist()], files[0])


def _read_valid(path: str, config: DataConfig, *, note: Note) -> list[Example]:
    """Read a validation set, which may have one label a text instead of ``data.label_columns``."""
    try:
        return read_examples(path, config, note=note)
    except DataError as error:
        if config.label_columns is None or error.kind != "no such column":
            raise
    return read_examples(path, config.model_copy(update={"label_columns": None}), note=note)
