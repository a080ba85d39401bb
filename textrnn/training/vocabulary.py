"""The tokenizer of a run: read from its file, or trained on the texts that are trained on, once for the same ones."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece

from textrnn.config import Config
from textrnn.corpus.batching import Rows
from textrnn.corpus.memory import give_back_freed_memory
from textrnn.corpus.source import LabelledFile
from textrnn.corpus.store import Store, make_key
from textrnn.tokenizer import Tokenizer, train_tokenizer

_LONGEST_TEXT = 1 << 20  # bytes of a text that a tokenizer is trained on; SentencePiece's own bound suits sentences
_SAMPLE_TEXTS = 500_000
_SAMPLE_BYTES = 16 << 20  # SentencePiece needs some 17 times as much memory
_FILE = "tokenizer.model"


def fit_tokenizer(config: Config, train: LabelledFile, kept: Rows | None, *, store: Store) -> tuple[Tokenizer, str]:
    """Return the tokenizer that ``config`` names, or one trained on the rows ``kept`` of ``train`` (None: all).

    Also returns the line that tells the user. Of much text a sample is used, drawn with the seed.

    Raises:
        TokenizerError: the tokenizer cannot be read or trained.
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
    entry = store.find("tokenizer", key)
    if entry is None:
        drawn, used = _draw(train.sizes, kept, config.train.seed)
        give_back_freed_memory()  # before SentencePiece takes more
        trained = train_tokenizer(
            chain.from_iterable(train.read_texts(drawn)),
            model_type=wanted.model_type,
            vocab_size=wanted.vocab_size,
            hard_vocab_limit=False,
            seed=config.train.seed,
            options={"max_sentence_length": _LONGEST_TEXT},
        )
        meta = {"left_out": trained.too_long + trained.unusable, "used": used}
        with store.draft() as draft:
            draft.write(_FILE, trained.model)
            entry = draft.commit("tokenizer", key, meta)
    tokenizer = Tokenizer.read(entry.folder / _FILE)
    return tokenizer, _describe(tokenizer, entry.meta, wanted.model_type, len(train) if kept is None else len(kept))


def _describe(tokenizer: Tokenizer, meta: dict[str, int], kind: str, texts: int) -> str:
    note = f"tokenizer: {len(tokenizer):,} {kind} pieces, trained on "
    note += "the training text" if meta["used"] == texts else f"a sample of {meta['used']:,} of {texts:,} texts"
    if left_out := meta["left_out"]:
        note += f" but for {left_out} texts (over {_LONGEST_TEXT:,} bytes, or with NUL or U+2585)"
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
