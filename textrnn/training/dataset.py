"""From the config's files to encoded train and valid sets on disk, labels and a tokenizer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from textrnn.config import DEMO, Config, split_fold
from textrnn.corpus.batching import Classes, Corpus, Rows, hold_out, hold_out_fold
from textrnn.corpus.cache import load_tokens
from textrnn.corpus.memory import give_back_freed_memory
from textrnn.corpus.reading import STDIN, check_readable
from textrnn.corpus.source import LabelledFile
from textrnn.corpus.store import Store
from textrnn.corpus.vectors import check_files
from textrnn.errors import ConfigError, DataError
from textrnn.files import shipped
from textrnn.modelfile import make_labels
from textrnn.tokenizer import Tokenizer
from textrnn.training.embedding import PieceVectors, describe, load_vectors
from textrnn.training.reporter import Reporter
from textrnn.training.vocabulary import fit_tokenizer


@dataclass(frozen=True)
class Dataset:
    """What a run trains on and stops on."""

    train: Corpus
    valid: Corpus
    labels: tuple[str, ...]
    tokenizer: Tokenizer
    vectors: PieceVectors | None = None

    @cached_property
    def digest(self) -> str:
        """A number that tells these texts, labels, vectors and this tokenizer from any others."""
        digest = hashlib.sha256(json.dumps(self.labels).encode() + self.tokenizer.model)
        if self.vectors is not None:
            digest.update(self.vectors.pieces.tobytes() + self.vectors.values.tobytes())
        for corpus in (self.train, self.valid):
            for block in corpus.blocks():
                digest.update(block)
        return digest.hexdigest()


def load_dataset(config: Config, reporter: Reporter) -> Dataset:
    """Read the data that ``config`` names, train or read the tokenizer, and encode; what is cached is not done again.

    Raises:
        DataError: a file cannot be used.
        TokenizerError: the tokenizer cannot be read or trained.
    """
    train_path, valid_path, origin = _find_paths(config)
    if config.tokenizer.model is not None:
        Tokenizer.read(Path(config.tokenizer.model))  # a wrong name is told before the data is read
    if config.embedding.vectors is not None:
        check_files(config.embedding.vectors)
    store = Store.open(config.data.cache, reporter.note)
    with ExitStack() as stack:

        def read(path: str) -> LabelledFile:
            return stack.enter_context(LabelledFile(path, config.data, store, reporter.load))

        return _load(config, reporter, store, read=read, paths=(train_path, valid_path), origin=origin)


def _load(
    config: Config,
    reporter: Reporter,
    store: Store,
    *,
    read: Callable[[str], LabelledFile],
    paths: tuple[str, str | None],
    origin: str,
) -> Dataset:
    train_path, valid_path = paths
    train = read(train_path)
    labels = make_labels(train.labels)
    if len(labels) < 2:
        raise DataError(train_path, None, f"every text has the label '{labels[0]}'; there is nothing to tell apart")
    classes = _number(train.labels, labels)
    kept: Rows | None = None
    if valid_path is None:
        valid, valid_classes = train, classes
        kept, held = _hold_out(train, classes, config)
        why = "no valid set given" if config.data.fold is None else f"part {config.data.fold}"
        note = f"{why}: {len(held):,} of {len(train):,} texts are held out (seed {config.train.seed})"
    else:
        valid = read(valid_path)
        valid_classes, held = _number(valid.labels, labels), None
        note = _describe_unknown(valid, valid_classes)
    if config.data.test is not None:
        read(config.data.test)  # a fault in it is told now, not after training
    # the tokenizer, which sees no labels, is the same for all folds, so that the text is encoded once
    seen = kept if config.data.fold is None else None
    tokenizer, source = fit_tokenizer(config, train, seen, store=store)
    vectors, covers = None, ""
    if (path := config.embedding.vectors) is not None:
        vectors = load_vectors(path, tokenizer, store, width=config.model.embedding)
    give_back_freed_memory()
    encode = partial(tokenizer.encode_packed, max_length=config.data.max_length)
    name = f"{tokenizer.fingerprint} {config.data.max_length}"
    load = partial(load_tokens, encode=encode, store=store, name=name, vocab_size=len(tokenizer))
    whole = load(train, classes=classes)
    trained_on = whole if kept is None else whole.keep(kept)
    stopped_on = load(valid, classes=valid_classes) if held is None else whole.keep(held)
    give_back_freed_memory()
    if vectors is not None:
        covers = describe(vectors, tokenizer, trained_on)
    for line in (origin, note, source, covers, _summarise(trained_on, stopped_on, labels)):
        if line:
            reporter.note(line)
    return Dataset(trained_on, stopped_on, labels, tokenizer, vectors)


def _find_paths(config: Config) -> tuple[str, str | None, str]:
    train, valid, note = config.data.train, config.data.valid, ""
    if train == DEMO:
        folder = shipped("demo")
        note = "no training text given: training on the demo data that ships with textrnn (--train FILE for yours)"
        train = str(folder / "train.tsv")
        valid = str(folder / "valid.tsv") if config.data.fold is None else None
    test = config.data.test
    for path in (train, valid, test):
        if path is not None:
            check_readable(path)
    if train == valid == STDIN:
        raise ConfigError("data.valid -: standard input is data.train already; name another, or leave it out")
    if test is not None and not Path(test).is_file():
        raise ConfigError(f"data.test {test}: a pipe, which would be read twice; put the text into a file")
    return train, valid, note


def _number(of_file: Iterable[str], labels: Sequence[str]) -> Classes:
    """Return the class of each label of a file: its place in ``labels``, or -1."""
    places = {label: index for index, label in enumerate(labels)}
    return np.array([places.get(label, -1) for label in of_file], np.int64)


def _hold_out(file: LabelledFile, classes: Classes, config: Config) -> tuple[Rows, Rows]:
    # two bytes a row where that is enough: they are sorted, and by counting
    of_label = classes.astype(np.uint16 if len(classes) < 1 << 16 else np.int32)
    of_text, rng = of_label[file.classes], np.random.default_rng(config.train.seed)
    if config.data.fold is None:
        kept, held = hold_out(of_text, config.data.valid_share, rng)
    else:
        number, folds = split_fold(config.data.fold)
        kept, held = hold_out_fold(of_text, number, folds, rng=rng)
    if not len(held):
        raise DataError(file.path, None, "too few texts to hold some out; give a valid set with --valid")
    return kept, held


def _describe_unknown(valid: LabelledFile, classes: Classes) -> str:
    unknown = np.flatnonzero(classes < 0).tolist()
    if not unknown:
        return ""
    line, index = min((valid.first_lines[index], index) for index in unknown)
    label = valid.labels[index]
    if len(unknown) == len(valid.labels):
        raise DataError(valid.path, line, f"no label of this file is in the training text; '{label}' is not")
    count = sum(valid.counts[index] for index in unknown)
    return f"{valid.path}:{line}: label '{label}' is not in the training text; {count} such texts are counted wrong"


def _summarise(train: Corpus, valid: Corpus, labels: Sequence[str]) -> str:
    counts = train.count_classes(len(labels))
    shown = ", ".join(f"{label} {count}" for label, count in zip(labels[:10], counts, strict=False))
    more = f", and {len(labels) - 10} more" if len(labels) > 10 else ""
    return f"data: {len(train):,} texts to train on, {len(valid):,} to stop on, {len(labels)} labels ({shown}{more})"
