"""From the config's files to encoded train and valid sets on disk, labels and a tokenizer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from textrnn.config import DEMO, Config, split_fold
from textrnn.data.batch import Classes, Rows
from textrnn.data.cache import Cache
from textrnn.data.encoded import Corpus, load_tokens
from textrnn.data.io import STDIN, check_readable, is_pipe
from textrnn.data.labels import MultiLabelSet, make_strata, split_labels
from textrnn.data.source import LabelledFile
from textrnn.data.split import hold_out, hold_out_fold
from textrnn.data.word_vectors import check_vectors
from textrnn.errors import ConfigError, DataError, pluralize
from textrnn.files import shipped
from textrnn.native.malloc import give_back_freed_memory
from textrnn.preparation.label_encoder import make_label_encoder
from textrnn.preparation.pretrained_vectors import PieceVectors, describe, load_vectors
from textrnn.preparation.text_statistics import count_repeats, describe_repeats
from textrnn.preparation.tokenizer_setup import fit_tokenizer
from textrnn.reporter import Reporter
from textrnn.tokenization.tokenizer import Tokenizer

_FEW = 50  # texts to stop on


@dataclass(frozen=True)
class Dataset:
    """What a run trains on and stops on.

    A class is the place of a text's label in ``labels``; where texts have several it is the number of one of ``sets``,
    whose first labels are ``labels``, followed by those that only valid has.
    """

    train: Corpus
    valid: Corpus
    labels: tuple[str, ...]
    tokenizer: Tokenizer
    vectors: PieceVectors | None = None
    sets: MultiLabelSet | None = None

    def count_labels(self) -> list[int]:
        """Return how many training texts have each of ``labels``."""
        if self.sets is None:
            return self.train.count_classes(len(self.labels))
        counts = self.sets.count_labels(np.array(self.train.count_classes(len(self.sets.members))))
        return [int(count) for count in counts[: len(self.labels)]]

    @cached_property
    def digest(self) -> str:
        """A number that tells these texts, labels, vectors and this tokenizer from any others."""
        digest = hashlib.sha256(json.dumps(self.labels).encode() + self.tokenizer.model)
        if self.vectors is not None:
            digest.update(self.vectors.pieces.tobytes() + self.vectors.values.tobytes())
        if self.sets is not None:
            digest.update(self.sets.members.offsets.tobytes() + self.sets.members.ids.tobytes())
        for corpus in (self.train, self.valid):
            for batch in corpus.blocks():
                digest.update(batch.ids.tobytes() + batch.offsets.tobytes() + batch.classes.tobytes())
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
        check_vectors(config.embedding.vectors)
    store = Cache.open(config.data.cache, reporter.note)
    with ExitStack() as stack:

        def read(path: str) -> LabelledFile:
            return stack.enter_context(LabelledFile(path, config.data, store, progress=reporter.load))

        return _load(config, reporter, store, read=read, paths=(train_path, valid_path), origin=origin)


def _load(
    config: Config,
    reporter: Reporter,
    store: Cache,
    *,
    read: Callable[[str], LabelledFile],
    paths: tuple[str, str | None],
    origin: str,
) -> Dataset:
    train_path, valid_path = paths
    train = read(train_path)
    labelling = make_label_encoder(train, config.data)
    labels, classes = labelling.labels, labelling.number(train.labels)
    kept: Rows | None = None
    if valid_path is None:
        valid, valid_classes = train, classes
        groups = make_strata(classes, train.counts, labelling.sets)
        kept, held = _hold_out(train, groups, config)
        note = _describe_held_out(len(held), len(train), config)
    else:
        valid = read(valid_path)
        valid_classes, held = labelling.number(valid.labels), None
        note = _describe_unknown(valid, set(labels), config)
    test = None
    if config.data.test is not None:
        test = read(config.data.test)  # a fault in it is told now, not after training
    # the tokenizer, which sees no labels, is the same for all folds, so that the text is encoded once
    seen = kept if config.data.fold is None else None
    tokenizer, source = fit_tokenizer(config, train, seen, store=store)
    vectors, covers = None, ""
    if (path := config.embedding.vectors) is not None:
        vectors = load_vectors(path, tokenizer, store, width=config.model.embedding)
    give_back_freed_memory()
    encode = partial(tokenizer.encode_packed, max_length=config.data.max_length)
    name = f"{tokenizer.fingerprint} {config.data.max_length}"
    load = partial(load_tokens, encode=encode, cache=store, name=name, vocab_size=len(tokenizer))
    whole = load(train, classes=classes)
    trained_on = whole if kept is None else whole.keep(kept)
    stopped_on = load(valid, classes=valid_classes) if held is None else whole.keep(held)
    sets = {"train": trained_on, "valid": stopped_on}
    if test is not None:
        sets["test"] = load(test, classes=np.zeros(len(test.labels), np.int64))  # they are not looked at
    share = (config.data.valid_share, config.data.fold, config.train.seed) if kept is not None else None
    key = [name, share, *(file.key for file in (train, valid, test) if file is not None)]
    repeats = count_repeats(sets, tokenizer, max_length=config.data.max_length, store=store, key=key)
    give_back_freed_memory()
    if vectors is not None:
        covers = describe(vectors, tokenizer, trained_on)
    odd = describe_repeats(repeats, sets, max_length=config.data.max_length)
    dataset = Dataset(trained_on, stopped_on, labels, tokenizer, vectors, labelling.sets)
    about = (_summarise(dataset), _describe_few(dataset), *odd, _hint_at_separator(dataset))
    for line in (origin, note, source, covers, *about):
        if line:
            reporter.note(line)
    return dataset


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
    if test is not None and is_pipe(test):
        raise ConfigError(f"data.test {test}: a pipe, which would be read twice; put the text into a file")
    return train, valid, note


def _hold_out(file: LabelledFile, groups: Classes, config: Config) -> tuple[Rows, Rows]:
    # two bytes a row where that is enough: they are sorted, and by counting
    of_label = groups.astype(np.uint16 if len(groups) < 1 << 16 else np.int32)
    of_text, rng = of_label[file.classes], np.random.default_rng(config.train.seed)
    if config.data.fold is None:
        kept, held = hold_out(of_text, config.data.valid_share, rng)
    else:
        number, folds = split_fold(config.data.fold)
        kept, held = hold_out_fold(of_text, number, folds, rng=rng)
    if not len(held):
        cure = "give a valid set with --valid" if config.data.fold is None else "cut it into fewer parts"
        raise DataError(file.path, None, f"too few texts to hold some out; {cure}")
    return kept, held


def _describe_held_out(held: int, texts: int, config: Config) -> str:
    why = "no valid set given" if config.data.fold is None else f"part {config.data.fold}"
    of_all = f"of {texts:,} texts"
    return f"{why}: {pluralize(held, f'{of_all} is', f'{of_all} are')} held out (seed {config.train.seed})"


def _describe_unknown(valid: LabelledFile, known: set[str], config: Config) -> str:
    """Return one line on labels that only valid has.

    Raises:
        DataError: it has no others.
    """
    split = split_labels if config.data.multi_label else lambda label: [label]
    unknown = [[label for label in split(joined) if label not in known] for joined in valid.labels]
    rows = [row for row, labels in enumerate(unknown) if labels]
    if not rows:
        return ""
    line, row = min((valid.first_lines[row], row) for row in rows)
    label = unknown[row][0]
    if all(label not in known for joined in valid.labels for label in split(joined)):
        raise DataError(valid.path, line, f"no label of this file is in the training text; '{label}' is not")
    count = sum(valid.counts[row] for row in rows)
    if config.data.multi_label:
        counted = f"{pluralize(count, 'text has', 'texts have')} labels that it lacks, counted as missed"
    else:
        counted = f"{pluralize(count, 'such text is', 'such texts are')} counted wrong"
    return f"{valid.path}:{line}: label '{label}' is not in the training text; {counted}"


def _summarise(dataset: Dataset) -> str:
    labels, sets, counts = dataset.labels, dataset.sets, dataset.count_labels()
    several = ""
    if sets is not None:
        texts = np.array(dataset.train.count_classes(len(sets.members)))
        none = int(texts[sets.members.lengths == 0].sum())
        several = f", {sum(counts) / len(dataset.train):.2f} a text" + (
            f", {pluralize(none, 'text', 'texts')} without any" if none else ""
        )
    shown = ", ".join(f"{label} {count}" for label, count in zip(labels[:10], counts, strict=False))
    more = f", and {len(labels) - 10} more" if len(labels) > 10 else ""
    return (
        f"data: {len(dataset.train):,} texts to train on, {len(dataset.valid):,} to stop on, {len(labels)} labels "
        f"({shown}{more}){several}"
    )


def _describe_few(dataset: Dataset) -> str:
    texts = len(dataset.valid)
    if texts >= _FEW:
        return ""
    few = pluralize(texts, "text to stop on is", "texts to stop on are")
    return f"{few} few: the best epoch and the probabilities go by them, and are less sure"


def _hint_at_separator(dataset: Dataset) -> str:
    if dataset.sets is None or dataset.sets.members.lengths.max() > 1:
        return ""
    return "no text has two labels; if they stand together in one field, say what is between: data.label_separator"
