"""The tokenizer of a run: read from a file, or trained on the training set and cached.

A trained one is extended by words of the word vectors, since words that the training set lacks have useful vectors too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece

from textrnn.config import Config
from textrnn.data.batch import Rows
from textrnn.data.cache import Cache, Entry, make_key
from textrnn.data.reading.source import LabelledFile
from textrnn.data.word_vectors import check_vectors, digest_vectors, read_vectors
from textrnn.errors import pluralize
from textrnn.native.malloc import give_back_freed_memory
from textrnn.preparation.initial_model import InitialModel
from textrnn.tokenization.long_texts import cut, split
from textrnn.tokenization.spm_trainer import MAX_LINE_BYTES, train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.vocabulary_extension import TYPES, add_words, choose_words, count_words

_MAX_TEXT_BYTES = 1 << 20  # of each text, in parts as long as the sentences that SentencePiece is made for
_SAMPLE_TEXTS = 500_000
_SAMPLE_BYTES = 16 << 20  # SentencePiece needs about 17 times as much memory
_FILE = "tokenizer.model"


def check_files(config: Config) -> None:
    """Read the tokenizer of ``config``, and check its word vectors, before any text is read.

    Raises:
        TokenizerError, DataError: the file cannot be used.
    """
    if config.tokenizer.model is not None:
        Tokenizer.read(Path(config.tokenizer.model))
    if config.embedding.vectors is not None:
        check_vectors(config.embedding.vectors)


def fit_tokenizer(
    config: Config, train: LabelledFile, kept: Rows | None, *, cache: Cache, initial: InitialModel | None = None
) -> tuple[Tokenizer, str]:
    """Return the tokenizer of ``config``, and one line about it.

    Unless it is a file, or that of the ``initial`` model, it is trained on the rows ``kept`` of ``train`` (None: all),
    or on a sample of them, and extended by up to ``embedding.words`` words of ``embedding.vectors``.

    Raises:
        TokenizerError: the tokenizer cannot be read or trained.
        DataError: the file of word vectors is unusable.
    """
    if initial is not None:
        return initial.tokenizer, initial.describe()
    settings, vectors = config.tokenizer, config.embedding.vectors
    if settings.model is not None:
        tokenizer = Tokenizer.read(Path(settings.model))
        return tokenizer, f"tokenizer: {len(tokenizer):,} pieces, from {settings.model}"
    share = None if kept is None else config.data.valid_share
    bounds = (_SAMPLE_TEXTS, _SAMPLE_BYTES, _MAX_TEXT_BYTES, MAX_LINE_BYTES)
    key = make_key(
        *("tokenizer", train.key, share, config.train.seed, settings.model_type, settings.vocab_size),
        *(bounds, sentencepiece.__version__),
    )
    entry = cache.get("tokenizer", key)
    if entry is None:
        entry = _train(config, train, kept, cache=cache, key=key)
    tokenizer = Tokenizer.read(entry.folder / _FILE)
    texts = len(train) if kept is None else len(kept)
    note = _describe(tokenizer, entry.meta, model_type=settings.model_type, texts=texts)
    if vectors is None or not config.embedding.words or settings.model_type not in TYPES:
        return tokenizer, note
    extended = _extend(config, train, kept, tokenizer=tokenizer, cache=cache, key=key)
    return extended, f"{note}, and {len(extended) - len(tokenizer):,} words of {vectors}"


def _train(config: Config, train: LabelledFile, kept: Rows | None, *, cache: Cache, key: str) -> Entry:
    rows, used = _sample(train.sizes, kept, config.train.seed)
    give_back_freed_memory()  # SentencePiece is about to need more
    trained = train_tokenizer(
        chain.from_iterable(_read(train, rows)),
        model_type=config.tokenizer.model_type,
        vocab_size=config.tokenizer.vocab_size,
        hard_vocab_limit=False,
        seed=config.train.seed,
    )
    meta = {"left_out": trained.unusable, "used": used}
    with cache.draft() as draft:
        draft.write(_FILE, trained.model)
        return draft.commit("tokenizer", key, meta)


def _extend(
    config: Config, train: LabelledFile, kept: Rows | None, *, tokenizer: Tokenizer, cache: Cache, key: str
) -> Tokenizer:
    """Return ``tokenizer``, cached under ``key``, extended by words of the word vectors."""
    path, limit = config.embedding.vectors, config.embedding.words
    assert path is not None
    check_vectors(path)
    key = make_key("tokenizer", key, digest_vectors(path, cache), limit)
    entry = cache.get("tokenizer", key)
    if entry is None:
        rows, _ = _sample(train.sizes, kept, config.train.seed)
        counts = count_words(_read(train, rows), tokenizer)
        model = add_words(tokenizer, choose_words(read_vectors(path), counts, tokenizer, limit=limit))
        Tokenizer(model, name=Path(path))  # check that SentencePiece can read it
        with cache.draft() as draft:
            draft.write(_FILE, model)
            entry = draft.commit("tokenizer", key, {})
    return Tokenizer.read(entry.folder / _FILE)


def _describe(tokenizer: Tokenizer, meta: dict[str, int], *, model_type: str, texts: int) -> str:
    sample = "" if meta["used"] == texts else f"a sample of {meta['used']:,} of {texts:,} texts of "
    note = f"tokenizer: {len(tokenizer):,} {model_type} pieces, trained on {sample}the training set"
    if left_out := meta["left_out"]:
        skipped = pluralize(left_out, "passage", "passages")
        note += f" without {skipped} with NUL or U+2585"
    return note


def _read(train: LabelledFile, rows: npt.NDArray[np.bool_] | None) -> Iterator[list[bytes]]:
    """Yield the texts that the mask ``rows`` selects; a long one in parts, and of a very long one the beginning."""
    for texts in train.read_texts(rows):
        yield [part for text in texts for part in split(text[: cut(text, _MAX_TEXT_BYTES)], MAX_LINE_BYTES)]


def _sample(sizes: npt.NDArray[np.int32], kept: Rows | None, seed: int) -> tuple[npt.NDArray[np.bool_] | None, int]:
    """Sample the rows ``kept`` (None: all) of texts of ``sizes`` (B,) bytes: a mask (B,), None for all, and a count."""
    sizes = np.minimum(sizes, _MAX_TEXT_BYTES)
    if kept is None and len(sizes) <= _SAMPLE_TEXTS and sizes.sum(dtype=np.int64) <= _SAMPLE_BYTES:
        return None, len(sizes)
    rows = np.arange(len(sizes)) if kept is None else np.sort(kept)
    mask = np.zeros(len(sizes), np.bool_)
    if len(rows) > _SAMPLE_TEXTS or sizes[rows].sum(dtype=np.int64) > _SAMPLE_BYTES:
        rows = np.random.default_rng(seed).choice(rows, min(_SAMPLE_TEXTS, len(rows)), replace=False)
        rows = rows[: int(np.searchsorted(np.cumsum(sizes[rows], dtype=np.int64), _SAMPLE_BYTES, side="right"))]
    mask[rows] = True
    return mask, len(rows)
