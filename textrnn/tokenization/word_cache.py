"""A cache from words to their ids, in C++, for SentencePiece models that encode words one by one."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import make_offsets
from textrnn.native import functions, library

Encoded = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]
Encode = Callable[[Sequence[bytes]], Encoded]
"""Takes texts in UTF-8; returns their ids end to end (N,) int32 and the length of each (B,) int64."""

_PADDING = b" " * 8
_LINE_BYTES = 512  # kLineBytes of words.cpp


class WordCache:
    """The ids of words; several threads may use it at the same time.

    A word is the bytes between two spaces (0x20). It has ids here only if SentencePiece is certain to find them in
    every text:

    - The model is unigram or BPE, normalizes to single spaces, writes U+2581 before each word and has it as a piece.
      No piece has it elsewhere. No piece is a user-defined symbol: these are matched before normalization.
    - No rule of normalization reaches beyond the word or makes a space of a part of it, and its normal form is not
      empty.
    - In a unigram model the best segmentation is better than all others by more than what rounding changes:
      SentencePiece adds up the scores of a text in float32 from its beginning on. So each word has a limit for the sum.

    Unigram words of known pieces are segmented in C++, other words by SentencePiece. A text with a word that has no
    ids, or that exceeds a limit, is not encoded here.
    """

    def __init__(self, model: bytes, handle: npt.NDArray[np.uint64]) -> None:
        self._model, self._handle = model, handle
        weakref.finalize(self, functions.words_close, cache=handle, threads=1).atexit = False

    @classmethod
    def open(cls, model: bytes) -> WordCache | None:
        """Return an empty cache; None if ``model`` does not encode words one by one, or without the C++ library."""
        handle = np.zeros(1, np.uint64)
        if library.is_available():
            functions.words_open(model=np.frombuffer(model, np.uint8), cache=handle, threads=1)
        return cls(model, handle) if handle[0] else None

    def __reduce__(self) -> tuple[Callable[[bytes], WordCache | None], tuple[bytes]]:
        return WordCache.open, (self._model,)

    def encode(self, texts: Sequence[bytes], encode: Encode, *, max_length: int, unknown: int) -> Encoded:
        """Return the first ``max_length`` ids of each text end to end (N,) int32, and their lengths (B,) int64.

        A length of -1 marks a text that has to be encoded as a whole; it has no ids here. ``encode`` is called with
        lines of words that are not in the cache. A blank text has the id ``unknown``.
        """
        offsets = make_offsets(np.fromiter(map(len, texts), np.int64, len(texts)))
        room = int(offsets[-1]) + len(_PADDING) + len(texts)
        places, word_offsets = np.empty(room, np.uint32), np.empty(len(offsets), np.int64)
        missing, sizes = np.empty(room, np.uint8), np.empty(2, np.int64)
        lines = np.empty(room // _LINE_BYTES + 1, np.int64)
        functions.words_find(
            cache=self._handle,
            text=np.frombuffer(b"".join([*texts, _PADDING]), np.uint8),
            offsets=offsets,
            max_length=max_length,
            places=places,
            word_offsets=word_offsets,
            missing=missing,
            lines=lines,
            sizes=sizes,
            threads=1,
        )
        line_offsets = np.concatenate([[0], lines[: sizes[0]]])
        missing = missing[: line_offsets[-1]]
        line_ids, line_lengths = _encode_lines(encode, missing.tobytes(), line_offsets)
        ids, lengths = np.empty(room, np.int32), np.empty(len(texts), np.int64)
        functions.words_encode(
            cache=self._handle,
            places=places[: word_offsets[-1]],
            word_offsets=word_offsets,
            max_length=max_length,
            unknown=unknown,
            missing=missing,
            line_offsets=line_offsets,
            line_ids=line_ids,
            id_offsets=make_offsets(line_lengths),
            ids=ids,
            lengths=lengths,
            threads=1,
        )
        return ids[: int(lengths[lengths > 0].sum())], lengths


def _encode_lines(encode: Encode, text: bytes, offsets: npt.NDArray[np.int64]) -> Encoded:
    if not text:
        return np.empty(0, np.int32), np.empty(0, np.int64)
    bounds = offsets.tolist()
    return encode([text[start:end] for start, end in zip(bounds, bounds[1:], strict=False)])
