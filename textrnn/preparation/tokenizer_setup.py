"""The tokenizer of a run: read from its file, or trained on the texts that are trained on, once for the same ones.

One that is trained takes in words of the file of word vectors, so that what the training text lacks has its vector too.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece

from textrnn.config import Config
from textrnn.data.batch import Rows
from textrnn.data.cache import Cache, Entry, make_key
from textrnn.data.source import LabelledFile
from textrnn.data.word_vectors import check_vectors, digest_vectors, read_vectors
from textrnn.errors import pluralize
from textrnn.native.malloc import give_back_freed_memory
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.vocabulary_extension import TYPES, add_words, choose_words, count_words

_LONGEST_TEXT = 1 << 20  # bytes of a text that a tokenizer is trained on; SentencePiece's own bound suits sentences
_SAMPLE_TEXTS = 500_000
_SAMPLE_BYTES = 16 << 20  # SentencePiece needs some 17 times as much memory
_FILE = "tokenizer.model"


def fit_tokenizer(config: Config, train: LabelledFile, kept: Rows | None, *, store: Cache) -> tuple[Tokenizer, str]:
    """Return the tokenizer that ``config`` names, or one trained on the rows ``kept`` of ``train`` (None: all).

    To one that is trained ``embedding.words`` words of ``embedding.vectors`` are added as pieces. Also returns the line
    that tells the user. Of much text a sample is used, drawn with the seed.

    Raises:
        TokenizerError: the tokenizer cannot be read or trained.
        DataError: the file of word vectors cannot be used.
    """
    wanted = config.tokenizer
    if wanted.model is not None:
        tokenizer = Tokenizer.read(Path(wanted.model))
        return tokenizer, f"tokenizer: {len(tokenizer):,} pieces, from {wanted.model}"
    share = None if kept is None else config.data.valid_share
    bounds = (_SAMPLE_TEXTS, _SAMPLE_BYTES, _LONGEST_TEXT)
    key = make_key(
        *("tokenizer", train.key, share, config.train.seed, wanted.model_type, wanted.vocab_size),
        *(bounds, sentencepiece.__version__),
    )
    entry = store.get("tokenizer", key)
    if entry is None:
        entry = _train(config, train, kept, store=store, key=key)
    tokenizer = Tokenizer.read(entry.folder / _FILE)
    note = _describe(tokenizer, entry.meta, wanted.model_type, len(train) if kept is None else len(kept))
    if config.embedding.vectors is None or not config.embedding.words or wanted.model_type not in TYPES:
        return tokenizer, note
    extended = _extend(config, train, kept, tokenizer=tokenizer, store=store, key=key)
    added = len(extended) - len(tokenizer)
    return extended, f"{note}, and {added:,} words of {config.embedding.vectors}"


def _train(config: Config, train: LabelledFile, kept: Rows | None, *, store: Cache, key: str) -> Entry:
    drawn, used = _draw(train.sizes, kept, config.train.seed)
    give_back_freed_memory()  # before SentencePiece takes more
    trained = train_tokenizer(
        chain.from_iterable(train.read_texts(drawn)),
        model_type=config.tokenizer.model_type,
        vocab_size=config.tokenizer.vocab_size,
        hard_vocab_limit=False,
        seed=config.train.seed,
        options={"max_sentence_length": _LONGEST_TEXT},
    )
    meta = {"left_out": trained.too_long + trained.unusable, "used": used}
    with store.draft() as draft:
        draft.write(_FILE, trained.model)
        return draft.commit("tokenizer", key, meta)


def _extend(
    config: Config, train: LabelledFile, kept: Rows | None, *, tokenizer: Tokenizer, store: Cache, key: str
) -> Tokenizer:
    """Return ``tokenizer``, whose entry is ``key``, with the words of the vectors that the config asks for."""
    path, limit = config.embedding.vectors, config.embedding.words
    assert path is not None
    check_vectors(path)
    key = make_key("tokenizer", key, digest_vectors(path, store), limit)
    entry = store.get("tokenizer", key)
    if entry is None:
        drawn, _ = _draw(train.sizes, kept, config.train.seed)
        counts = count_words(train.read_texts(drawn), tokenizer)
        model = add_words(tokenizer, choose_words(read_vectors(path), counts, tokenizer, limit=limit))
        Tokenizer(model, name=Path(path))  # what SentencePiece will not read is not kept
        with store.draft() as draft:
            draft.write(_FILE, model)
            entry = draft.commit("tokenizer", key, {})
    return Tokenizer.read(entry.folder / _FILE)


def _describe(tokenizer: Tokenizer, meta: dict[str, int], kind: str, texts: int) -> str:
    note = f"tokenizer: {len(tokenizer):,} {kind} pieces, trained on "
    note += "the training text" if meta["used"] == texts else f"a sample of {meta['used']:,} of {texts:,} texts"
    if left_out := meta["left_out"]:
        note += f" but for {pluralize(left_out, 'text', 'texts')} (over {_LONGEST_TEXT:,} bytes, or with NUL or U+2585)"
    return note


def _draw(sizes: npt.NDArray[np.int32], kept: Rows | None, seed: int) -> tuple[npt.NDArray[np.bool_] | None, int]:
    """Choose the rows to train on: a mask (rows,), None for all of them, and how many there are."""
    if kept is None and len(sizes) <= _SAMPLE_TEXTS and sizes.sum(dtype=np.int64) <= _SAMPLE_BYTES:
        return None, len(sizes)
    mask = np.ones(len(sizes), np.bool_) if kept is None else np.zeros(len(sizes), np.bool_)
    if kept is not None:
        mask[kept] = True
    count = int(mask.sum())
    if count <= _SAMPLE_TEXTS and sizes.sum(where=mask, dtype=np.int64) <= _SAMPLE_BYTES:
        return mask, count
    rows = np.flatnonzero(mask & (sizes <= _LONGEST_TEXT))
    drawn = np.random.default_rng(seed).choice(rows, min(_SAMPLE_TEXTS, len(rows)), replace=False)
    enough = int(np.searchsorted(np.cumsum(sizes[drawn], dtype=np.int64), _SAMPLE_BYTES, side="right"))
    mask[:] = False
    mask[drawn[:enough]] = True
    return mask, len(drawn[:enough])
