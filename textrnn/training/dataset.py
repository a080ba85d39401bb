"""From the config's files to encoded train and valid sets, labels and a tokenizer."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textrnn.config import DEMO, Config
from textrnn.corpus.batching import PackedBatch, hold_out, pack
from textrnn.corpus.examples import Example, read_examples
from textrnn.corpus.reading import check_readable
from textrnn.errors import DataError
from textrnn.files import shipped
from textrnn.modelfile import make_labels
from textrnn.tokenizer import Tokenizer, train_tokenizer
from textrnn.training.reporter import Reporter

_LONGEST_TEXT = 1 << 20  # bytes of a text that a tokenizer is trained on; SentencePiece's own bound suits sentences


@dataclass(frozen=True)
class Dataset:
    """What a run trains on and stops on."""

    train: PackedBatch
    valid: PackedBatch
    labels: tuple[str, ...]
    tokenizer: Tokenizer

    def digest(self) -> str:
        """Return a number that tells these texts, labels and this tokenizer from any others."""
        digest = hashlib.sha256(json.dumps(self.labels).encode() + self.tokenizer.model)
        for corpus in (self.train, self.valid):
            for part in (corpus.ids, corpus.offsets, corpus.classes):
                digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


def load_dataset(config: Config, reporter: Reporter) -> Dataset:
    """Read the data that ``config`` names, train or read the tokenizer, and encode.

    Raises:
        DataError: a file cannot be used.
        TokenizerError: the tokenizer cannot be read or trained.
    """
    train_path, valid_path, origin = _find_paths(config)
    if config.tokenizer.model is not None:
        Tokenizer.read(Path(config.tokenizer.model))  # a wrong name is told before the data is read
    train = read_examples(train_path, config.data)
    labels = make_labels([example.label for example in train])
    if len(labels) < 2:
        raise DataError(train_path, None, f"every text has the label '{labels[0]}'; there is nothing to tell apart")
    classes = {label: index for index, label in enumerate(labels)}
    if valid_path is None:
        train, valid, note = _hold_out(train_path, train, classes, config=config)
    else:
        valid = read_examples(valid_path, config.data)
        note = _describe_unknown(valid_path, valid, classes)
    if config.data.test is not None:
        read_examples(config.data.test, config.data)  # a fault in it is told now, not after training
    tokenizer, source = _make_tokenizer(config, train)
    for line in (origin, note, source, _summarise(train, valid, labels)):
        if line:
            reporter.note(line)
    longest = config.data.max_length
    return Dataset(
        encode(train, classes, tokenizer, max_length=longest),
        encode(valid, classes, tokenizer, max_length=longest),
        labels,
        tokenizer,
    )


def encode(
    examples: Sequence[Example], classes: dict[str, int], tokenizer: Tokenizer, *, max_length: int
) -> PackedBatch:
    """Encode ``examples`` into one packed batch; a label that ``classes`` lacks becomes class -1."""
    ids = tokenizer.encode_all([example.text for example in examples], max_length=max_length)
    return pack(ids, [classes.get(example.label, -1) for example in examples])


def _find_paths(config: Config) -> tuple[str, str | None, str]:
    train, valid, note = config.data.train, config.data.valid, ""
    if train == DEMO:
        folder = shipped("demo")
        note = "no training text given: training on the demo data that ships with textrnn (--train FILE for yours)"
        train, valid = str(folder / "train.tsv"), str(folder / "valid.tsv")
    for path in (train, valid, config.data.test):
        if path is not None:
            check_readable(path)
    return train, valid, note


def _hold_out(
    path: str, examples: list[Example], classes: dict[str, int], *, config: Config
) -> tuple[list[Example], list[Example], str]:
    rng = np.random.default_rng(config.train.seed)
    kept, held = hold_out([classes[example.label] for example in examples], config.data.valid_share, rng)
    if not held:
        raise DataError(path, None, "too few texts to hold some out; give a valid set with --valid")
    note = f"no valid set given: {len(held):,} of {len(examples):,} texts are held out (seed {config.train.seed})"
    return [examples[i] for i in kept], [examples[i] for i in held], note


def _describe_unknown(path: str, valid: Sequence[Example], classes: dict[str, int]) -> str:
    unknown = [example for example in valid if example.label not in classes]
    if not unknown:
        return ""
    if len(unknown) == len(valid):
        raise DataError(
            path, unknown[0].line_number, f"no label of this file is in the training text; '{unknown[0].label}' is not"
        )
    where = f"{path}:{unknown[0].line_number}"
    return (
        f"{where}: label '{unknown[0].label}' is not in the training text; {len(unknown)} such texts are counted wrong"
    )


def _make_tokenizer(config: Config, train: Sequence[Example]) -> tuple[Tokenizer, str]:
    wanted = config.tokenizer
    if wanted.model is not None:
        tokenizer = Tokenizer.read(Path(wanted.model))
        return tokenizer, f"tokenizer: {len(tokenizer):,} pieces, from {wanted.model}"
    trained = train_tokenizer(
        (example.text.encode("utf-8") for example in train),
        model_type=wanted.model_type,
        vocab_size=wanted.vocab_size,
        hard_vocab_limit=False,
        seed=config.train.seed,
        options={"max_sentence_length": _LONGEST_TEXT},
    )
    note = f"tokenizer: {len(trained.tokenizer):,} {wanted.model_type} pieces, trained on the training text"
    if left_out := trained.too_long + trained.unusable:
        note += f" but for {left_out} texts (over {_LONGEST_TEXT:,} bytes, or with NUL or U+2585)"
    return trained.tokenizer, note


def _summarise(train: Sequence[Example], valid: Sequence[Example], labels: Sequence[str]) -> str:
    counts = Counter(example.label for example in train)
    shown = ", ".join(f"{label} {counts[label]}" for label in labels[:10])
    more = f", and {len(labels) - 10} more" if len(labels) > 10 else ""
    return f"data: {len(train):,} texts to train on, {len(valid):,} to stop on, {len(labels)} labels ({shown}{more})"
