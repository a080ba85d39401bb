"""The data of a run: encoded training and validation sets on disk, labels, tokenizer, word vectors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from textrnn.config import DEMO, Config, DataConfig, as_list
from textrnn.data.batch import Classes, Rows
from textrnn.data.cache import Cache
from textrnn.data.encoded import Corpus, load_tokens
from textrnn.data.labels import MultiLabelSet
from textrnn.data.reading.io import STDIN, check_readable, is_pipe
from textrnn.data.reading.source import LabelledFile
from textrnn.data.windows import WHOLE_TEXTS, Windows
from textrnn.errors import ConfigError, DataError, pluralize, shorten
from textrnn.files import shipped
from textrnn.native.malloc import give_back_freed_memory
from textrnn.preparation.initial_model import InitialModel
from textrnn.preparation.label_encoder import LabelEncoder, describe_unknown, make_label_encoder
from textrnn.preparation.old_texts import Load, OldTexts, describe_changes
from textrnn.preparation.pretrained_vectors import PieceVectors, describe, load_vectors
from textrnn.preparation.row_division import RowDivision, divide_rows, draw_part
from textrnn.preparation.text_hashes import Hashes, TextHasher
from textrnn.preparation.text_statistics import compute_statistics, describe_statistics
from textrnn.preparation.tokenizer_setup import check_files, fit_tokenizer
from textrnn.reporter import Reporter
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.window_encoding import encode_and_count

_CHUNK_ROWS = 1 << 18
_MANY = 50  # validation texts, enough for a sound choice of the best epoch


@dataclass(frozen=True)
class Dataset:
    """Training and validation set of a run.

    The class of a text is the index of its label in ``labels``. In multi-label data it is the index of its set of
    labels in ``label_sets``, whose first labels are ``labels``; labels that only the validation set has follow. The
    first ``own_sets`` of these (None: all) are those of the run, and the others those of ``old_valid``. The labels of
    scores are the ``anchors`` (C,) float64. The network reads the ``windows`` of each text, and begins with
    the weights of the ``initial`` model, whose validation set is ``old_valid`` as far as it was found;
    ``new_valid`` are the texts of ``valid`` that are new.
    """

    train: Corpus
    valid: Corpus
    labels: tuple[str, ...]
    tokenizer: Tokenizer
    vectors: PieceVectors | None = None
    label_sets: MultiLabelSet | None = None
    own_sets: int | None = None
    anchors: npt.NDArray[np.float64] | None = None
    windows: Windows = WHOLE_TEXTS
    initial: InitialModel | None = None
    old_valid: Corpus | None = None
    new_valid: Corpus | None = None

    def count_labels(self) -> list[int]:
        """Return the number of training texts with each of ``labels``."""
        if self.label_sets is None:
            return self.train.count_classes(len(self.labels))
        counts = self.label_sets.count_labels(np.array(self.train.count_classes(len(self.label_sets.members))))
        return [int(count) for count in counts[: len(self.labels)]]

    def sum_shares(self) -> list[float]:
        """Return the number of training texts with each of ``labels``; soft labels count by their probabilities."""
        totals, C = np.array(self.count_labels(), np.float64), len(self.labels)
        classes = self.train.classes
        for start in range(0, len(classes), _CHUNK_ROWS):
            rows = np.arange(start, min(start + _CHUNK_ROWS, len(classes)))
            soft = self.train.select_soft_labels(rows)
            if soft is not None:
                replaced = classes[rows[soft.find_rows()]]
                if self.label_sets is None:
                    totals -= np.bincount(replaced, minlength=C)
                else:
                    totals -= self.label_sets.to_multi_hot(replaced)[:, :C].sum(axis=0)
                totals += np.bincount(soft.classes, soft.shares, C)
        return [float(total) for total in totals]

    @cached_property
    def valid_hashes(self) -> Hashes:
        """The distinct hashes of the validation texts, rising."""
        return np.unique(TextHasher.of(self.valid, len(self.tokenizer)).hash_all(self.valid))

    @cached_property
    def digest(self) -> str:
        """A SHA-256 digest of all texts, labels and vectors, and of the tokenizer."""
        digest = hashlib.sha256(json.dumps(self.labels).encode() + self.tokenizer.model)
        if self.vectors is not None:
            digest.update(self.vectors.pieces.tobytes() + self.vectors.values.tobytes())
        if self.label_sets is not None:
            members = self.label_sets.members
            n = len(members) if self.own_sets is None else self.own_sets
            digest.update(members.offsets[: n + 1].tobytes() + members.ids[: members.offsets[n]].tobytes())
        for corpus in (self.train, self.valid):
            for batch in corpus.blocks():
                digest.update(batch.ids.tobytes() + batch.offsets.tobytes() + batch.classes.tobytes())
                for array in () if batch.soft_labels is None else vars(batch.soft_labels).values():
                    digest.update(array.tobytes())
                digest.update(b"" if batch.weights is None else batch.weights.tobytes())
        return digest.hexdigest()


def load_dataset(config: Config, reporter: Reporter) -> Dataset:
    """Read the data files of ``config``, train or read the tokenizer, and encode the texts. Results are cached.

    Raises:
        DataError: a file is unusable.
        TokenizerError: the tokenizer cannot be read or trained.
        ModelError: the initial model cannot be read.
    """
    paths, origin = find_paths(config)
    initial = InitialModel.read(config)
    check_files(config)
    cache = Cache.open(config.data.cache, reporter.note)
    with ExitStack() as stack:

        def read(path: str | list[str]) -> LabelledFile:
            is_train = path in (paths[0], config.data.replay)
            data = _choose_columns(config, is_train=is_train)
            try:
                return stack.enter_context(LabelledFile(path, data, cache, progress=reporter.load))
            except DataError as error:  # other files than the training set may have labels instead of probabilities
                if is_train or data.label_columns is None or error.kind != "no such column":
                    raise
            data = data.model_copy(update={"label_columns": None})
            return stack.enter_context(LabelledFile(path, data, cache, progress=reporter.load))

        dataset, notes = _load(config, cache, read=read, paths=paths, initial=initial)
    for note in (origin, *notes):
        if note:
            reporter.note(note)
    return dataset


def read_validation_texts(config: Config) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the labels (several of one text are joined by tabs) and the texts of a run's validation set, in parts.

    Raises:
        DataError: a file has changed since, or it was a pipe.
    """
    (train_path, valid_path), _ = find_paths(config)
    paths = train_path if valid_path is None else valid_path
    if pipe := next((path for path in as_list(paths) if is_pipe(path)), None):
        raise DataError(pipe, None, "a pipe, which cannot be read again")
    data, cache = _choose_columns(config, is_train=valid_path is None), Cache.open(config.data.cache, lambda _: None)
    with ExitStack() as stack:
        file = stack.enter_context(LabelledFile(paths, data, cache))
        rows = np.ones(len(file), np.bool_)
        if valid_path is None:
            initial = InitialModel.read(config)
            encoder = make_label_encoder(file, config.data, () if initial is None else initial.labels)
            division = _divide(
                file,
                encoder,
                config,
                has_valid=False,
                read=lambda replayed: stack.enter_context(LabelledFile(replayed, data, cache)),
                old_texts=_make_old_texts(initial, config, cache),
            )
            rows[:] = False
            rows[division.held] = True
        classes = file.classes[rows].tolist()
        start = 0
        for texts in file.read_texts(rows):
            part = classes[start : start + len(texts)]
            yield [file.labels[index] for index in part], [text.decode("utf-8") for text in texts]
            start += len(texts)


def _load(
    config: Config,
    cache: Cache,
    *,
    read: Callable[[str | list[str]], LabelledFile],
    paths: tuple[str | list[str], str | None],
    initial: InitialModel | None,
) -> tuple[Dataset, list[str]]:
    """Return the dataset, and lines for the user, some of which may be empty."""
    train_path, valid_path = paths
    train = read(train_path)
    if train.swap_fault is not None and not config.data.multi_label:
        raise DataError(train.path, None, train.swap_fault)
    known = () if initial is None else initial.labels
    encoder, old_texts = make_label_encoder(train, config.data, known), _make_old_texts(initial, config, cache)
    division = _divide(train, encoder, config, has_valid=valid_path is not None, read=read, old_texts=old_texts)
    files = {"train": train, "valid": train if valid_path is None else read(valid_path)}
    split_note = division.note
    if valid_path is not None:
        unknown = describe_unknown(files["valid"], set(encoder.labels), config.data)
        split_note = "; ".join(filter(None, (division.note, unknown)))
    classes = {name: encoder.encode(file.labels) for name, file in files.items()}
    part = division.kept if config.data.train_share == 1 else draw_part(train, encoder, division, config=config)
    if config.data.test is not None:  # report its faults before training
        files["test"] = read(config.data.test)
    # the tokenizer sees no labels: all folds share one, and so share the encoded text
    seen = division.kept if config.data.fold is None else None
    tokenizer, tokenizer_note = fit_tokenizer(config, train, seen, cache=cache, initial=initial)
    vectors = _load_vectors(config, tokenizer, cache)
    give_back_freed_memory()
    windows = Windows.of(config.data)
    encoded = _encode_files(files, classes, encoder, load=_make_loader(tokenizer, windows, cache))
    corpora = _select_corpora(encoded, train, division, part=part)
    key = [f"{tokenizer.fingerprint} {windows}", _key_rows(config, division), *(file.key for file in files.values())]
    repeats = compute_statistics(corpora, tokenizer, cache=cache, key=key)
    give_back_freed_memory()
    texts, validated = encoded["train"], encoded["valid"]
    own_sets = None if encoder.label_sets is None else len(encoder.label_sets.members)
    pairs = [(files[name], encoded[name]) for name in ("train", "valid")]
    old_valid = None if old_texts is None else old_texts.find(pairs, encoder, cache)
    dataset = Dataset(
        corpora["train"],
        corpora["valid"],
        encoder.labels,
        tokenizer,
        vectors,
        label_sets=encoder.label_sets,
        own_sets=own_sets,
        anchors=encoder.anchors,
        windows=windows,
        initial=initial,
        old_valid=old_valid,
        new_valid=validated if division.held is None else texts.keep(division.new),
    )
    notes = [
        *(note for file in dict.fromkeys(files.values()) for note in file.notes),
        split_note,
        tokenizer_note,
        *describe_changes(train, known, config.data),
        *_describe_sets(dataset, train, config),
        *describe_statistics(repeats, corpora, windows),
        *_list_warnings(dataset, config),
    ]
    return dataset, notes


def _encode_files(
    files: dict[str, LabelledFile], classes: dict[str, Classes], encoder: LabelEncoder, *, load: Load
) -> dict[str, Corpus]:
    """Return the encoded ``files``; the test set has no ``classes``, since its labels are not needed."""
    encoded: dict[str, Corpus] = {}
    for name, own in classes.items():
        same = next((other for other in encoded if files[other] is files[name]), None)
        if same is not None:
            encoded[name] = encoded[same]
        else:
            encoded[name] = load(files[name], classes=own).attach(encoder.make_soft_labels(files[name]))
    if (test := files.get("test")) is not None:
        encoded["test"] = load(test, classes=np.zeros(len(test.labels), np.int64))
    return encoded


def _select_corpora(
    encoded: dict[str, Corpus], file: LabelledFile, division: RowDivision, *, part: Rows | None
) -> dict[str, Corpus]:
    """Return the sets of the run among the ``encoded`` files.

    Those of the training ``file`` are the rows ``part`` (None: all), weighted, and those that ``division`` holds out.
    """
    texts, held = encoded["train"], division.held
    own = {"train": _add_weights(texts if part is None else texts.keep(part), file)}
    return encoded | own | ({} if held is None else {"valid": texts.keep(held)})


def _load_vectors(config: Config, tokenizer: Tokenizer, cache: Cache) -> PieceVectors | None:
    path = config.embedding.vectors
    return None if path is None else load_vectors(path, tokenizer, cache, width=config.model.embedding)


def _divide(
    file: LabelledFile,
    encoder: LabelEncoder,
    config: Config,
    *,
    has_valid: bool,
    read: Callable[[str | list[str]], LabelledFile],
    old_texts: OldTexts | None,
) -> RowDivision:
    """Return the division of the training file, whose last rows are those of ``data.replay``."""
    replayed = 0 if config.data.replay is None else len(read(config.data.replay))
    known = None if old_texts is None else old_texts.mark(file)
    return divide_rows(file, encoder, config, has_valid=has_valid, known=known, replayed=replayed)


def _make_loader(tokenizer: Tokenizer, windows: Windows, cache: Cache) -> Load:
    """Return a function that encodes a file with ``tokenizer``, as far as ``windows`` are read."""
    encode, name = partial(encode_and_count, tokenizer, windows=windows), f"{tokenizer.fingerprint} {windows}"
    return partial(load_tokens, encode=encode, cache=cache, name=name, vocab_size=len(tokenizer))


def _make_old_texts(initial: InitialModel | None, config: Config, cache: Cache) -> OldTexts | None:
    if initial is None:
        return None
    load, load_own = (
        _make_loader(initial.tokenizer, Windows.of(data), cache) for data in (config.data, initial.model.config.data)
    )
    return OldTexts.of(initial, load=load, load_own=load_own)


def _list_warnings(dataset: Dataset, config: Config) -> Iterator[str]:
    """Yield what is odd about the validation set and the labels."""
    if len(dataset.valid) < _MANY and config.train.refit is None:
        texts = pluralize(len(dataset.valid), "validation text", "validation texts")
        yield f"only {texts}: model selection and calibration are unreliable"
    if dataset.label_sets is not None and dataset.label_sets.members.lengths.max() <= 1:
        yield "no text has two labels; if one field holds several, set data.label_separator"


def _choose_columns(config: Config, *, is_train: bool) -> DataConfig:
    """Return how a file is read: only the training set has weights."""
    return config.data if is_train else config.data.model_copy(update={"weight": None})


def _add_weights(texts: Corpus, file: LabelledFile) -> Corpus:
    """Return ``texts`` of ``file`` with their weights, divided by their mean.

    Raises:
        DataError: all are 0.
    """
    own = replace(texts, weights=file.weights).text_weights
    if own is None or file.weights is None:
        return texts
    mean = float(own.mean(dtype=np.float64))
    if not mean:
        raise DataError(file.path, None, "all weights are 0; at least one text needs a weight")
    return replace(texts, weights=(file.weights / np.float32(mean)).astype(np.float32))


def find_paths(config: Config) -> tuple[tuple[str | list[str], str | None], str]:
    """Return the paths of training and validation set, and a note on the demo data."""
    train, valid, note = config.data.train, config.data.valid, ""
    if train == DEMO:
        folder = shipped("demo")
        note = "no training set given: using the demo data that ships with textrnn (--train FILE for yours)"
        train = str(folder / "train.tsv")
        valid = str(folder / "valid.tsv") if config.data.fold is None else None
        if config.train.refit is not None:
            train, valid = [train, str(folder / "valid.tsv")], None
    test, replay = config.data.test, as_list(config.data.replay)
    if twice := next((path for path in replay if path in (*as_list(train), valid)), None):
        raise ConfigError(f"data.replay {twice}: is the training or the validation set too; name other files")
    if piped := next((path for path in replay if is_pipe(path)), None):
        raise ConfigError(f"data.replay {piped}: is a pipe, but the old text is read twice; save it to a file")
    train = [*as_list(train), *replay] if replay else train
    for path in (*as_list(train), valid, test):
        if path is not None:
            check_readable(path)
    if as_list(train).count(STDIN) + (valid == STDIN) > 1:
        raise ConfigError("data.valid -: data.train reads standard input already; name a file, or leave data.valid out")
    if test is not None and is_pipe(test):
        raise ConfigError(f"data.test {test}: is a pipe, but the test set is read twice; save it to a file")
    return (train, valid), note


def _key_rows(config: Config, division: RowDivision) -> tuple[object, ...]:
    """Return what the rows of the training and the validation set depend on, besides the files."""
    share = None if division.held is None else (config.data.valid_share, config.data.fold)
    part = config.data.train_share if config.data.train_share < 1 else None
    own = (part, config.train.seed if share or part else None, division.count)
    # an initial model decides rows too
    return share, *own, None if division.kept is None else hashlib.sha256(division.kept.tobytes()).hexdigest()


def _describe_sets(dataset: Dataset, train: LabelledFile, config: Config) -> Iterator[str]:
    """Yield a line on the word vectors, if any, and one on the sets."""
    if dataset.vectors is not None:
        yield describe(dataset.vectors, dataset.tokenizer, dataset.train)
    yield _summarize_scores(dataset, train) if config.data.target == "score" else _summarize(dataset)


def _summarize_scores(dataset: Dataset, train: LabelledFile) -> str:
    scores = np.array(train.labels, np.float64)[train.classes]
    valid = f"{len(dataset.valid):,} validation texts, " if len(dataset.valid) else ""
    extent = f"scores from {scores.min():g} to {scores.max():g}, on average {scores.mean():.4g}"
    return f"data: {len(dataset.train):,} training texts, {valid}{extent}"


def _summarize(dataset: Dataset) -> str:
    labels, sets, counts = dataset.labels, dataset.label_sets, dataset.count_labels()
    average = ""
    if sets is not None:
        texts = np.array(dataset.train.count_classes(len(sets.members)))
        unlabelled = int(texts[sets.members.lengths == 0].sum())
        average = f", {sum(counts) / len(dataset.train):.2f} per text"
        if unlabelled:
            average += f", {pluralize(unlabelled, 'text', 'texts')} without labels"
    listed = ", ".join(f"{shorten(label)} {count}" for label, count in zip(labels[:10], counts, strict=False))
    more = f", and {len(labels) - 10} more" if len(labels) > 10 else ""
    valid = f"{len(dataset.valid):,} validation texts, " if len(dataset.valid) else ""
    return f"data: {len(dataset.train):,} training texts, {valid}{len(labels)} labels ({listed}{more}){average}"
