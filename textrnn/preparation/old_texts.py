"""Texts and labels that an initial model knows: its validation set, found again, and labels that seem renamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.config import DEMO, DataConfig, as_list
from textrnn.data.cache import Cache
from textrnn.data.encoded import Corpus
from textrnn.data.labels import split_labels
from textrnn.data.minhash import normalize
from textrnn.data.reading.io import is_pipe
from textrnn.data.reading.source import LabelledFile
from textrnn.errors import DataError, shorten
from textrnn.files import shipped
from textrnn.preparation.initial_model import InitialModel
from textrnn.preparation.label_encoder import LabelEncoder
from textrnn.preparation.text_hashes import Hashes, TextHasher

_NO_HASHES: Hashes = np.zeros(0, np.uint64)
Load = Callable[..., Corpus]
"""Takes a file and ``classes``, those of its labels; returns its encoded texts."""


@dataclass(frozen=True)
class OldTexts:
    """The validation set of the ``initial`` model, by its ``hashes`` (H,).

    ``load`` encodes a file as the run does, and ``load_own`` as the initial model did, which decides its hashes: the
    two may read other windows of a text.
    """

    initial: InitialModel
    hashes: Hashes
    load: Load
    load_own: Load

    @classmethod
    def of(cls, initial: InitialModel | None, *, load: Load, load_own: Load) -> OldTexts | None:
        """Return that of ``initial``, or None if it has no record of its validation set."""
        record = None if initial is None else initial.model.validation
        return None if initial is None or record is None else cls(initial, record.hashes, load, load_own)

    def mark(self, file: LabelledFile) -> npt.NDArray[np.bool_]:
        """Return which rows (rows,) of ``file`` are texts of the validation set."""
        return np.isin(self._hash(file), self.hashes)

    def find(self, files: Sequence[tuple[LabelledFile, Corpus]], encoder: LabelEncoder, cache: Cache) -> Corpus | None:
        """Return the texts of the validation set in one of ``files`` and their texts, or None if none is found.

        If some are missing there, the files that the initial model was trained with are searched, if they still exist.
        """
        best, found = None, 0
        older = (self._read(paths, encoder, cache) for paths in _list_files(self.initial.model.config.data))
        for hashes, corpus in chain(((self._hash(file), corpus) for file, corpus in files), older):
            if found == len(self.hashes):
                break
            rows = np.flatnonzero(np.isin(hashes, self.hashes))
            if corpus is not None and (count := len(np.unique(hashes[rows]))) > found:
                best, found = corpus.keep(rows), count
        return best

    def _read(self, paths: list[str], encoder: LabelEncoder, cache: Cache) -> tuple[Hashes, Corpus | None]:
        """Return the hashes and the texts of the files ``paths``, or none if one cannot be read."""
        data, nothing = self.initial.model.config.data.model_copy(update={"weight": None, "group": None}), _NO_HASHES
        if any(not Path(path).exists() or is_pipe(path) for path in paths):
            return nothing, None
        with ExitStack() as stack:
            try:
                file = stack.enter_context(LabelledFile(paths, data, cache))
            except DataError:  # another file now
                return nothing, None
            corpus = self.load(file, classes=encoder.encode(file.labels))
            return self._hash(file), corpus.attach(encoder.make_soft_labels(file))

    def _hash(self, file: LabelledFile) -> Hashes:
        corpus = self.load_own(file, classes=np.zeros(len(file.labels), np.int64))
        return TextHasher.of(corpus, len(self.initial.tokenizer)).hash_all(corpus)


def _list_files(data: DataConfig) -> Iterator[list[str]]:
    """Yield the validation file of a run, if it has one, and its training files."""
    train = [str(shipped("demo") / "train.tsv")] if data.train == DEMO else as_list(data.train)
    if data.train == DEMO:
        yield [str(shipped("demo") / "valid.tsv")]
    elif data.valid is not None:
        yield [data.valid]
    yield [*train, *as_list(data.replay)]


def describe_changes(file: LabelledFile, known: Sequence[str], config: DataConfig) -> Iterator[str]:
    """Yield lines for the user on new labels in ``file`` that seem to be renamed ones of those ``known``."""
    if config.target == "score":
        return
    joined = [*file.labels, *([] if file.soft_labels is None else file.soft_labels.labels)]
    found = {label for labels in joined for label in (split_labels(labels) if config.multi_label else [labels])}
    new = sorted(found - set(known))
    if not known or not new:
        return
    spelled = dict(zip(normalize(known), known, strict=True))
    alike = [(label, spelled[key]) for label, key in zip(new, normalize(new), strict=True) if key in spelled]
    for label, old in alike:
        yield (
            f"{file.path}: the label '{shorten(label)}' is new, but the initial model has '{shorten(old)}'; "
            "if they mean the same, write the old one"
        )
    if len(new) == len(found) and not alike:
        yield (
            f"{file.path}: all labels are new, such as '{shorten(new[0])}', and none is one of the initial model's, "
            f"such as '{shorten(known[0])}'; if classes were renamed, write the old names"
        )
