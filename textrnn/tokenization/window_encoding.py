"""Encoding of the parts of texts that a network reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from textrnn.data.windows import Windows
from textrnn.tokenization.long_texts import list_parts
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.word_cache import Encoded


def encode_windows(tokenizer: Tokenizer, texts: Sequence[str] | Sequence[bytes], windows: Windows) -> Encoded:
    """Return the ids of ``windows`` of the texts end to end (N,) int32, and how many of each text (B,) int64."""
    if windows.most == 1:  # only the beginning needs to be encoded
        return tokenizer.encode_packed(texts, max_length=windows.size)
    return windows.keep(*tokenizer.encode_packed(texts))


def encode_window_pieces(tokenizer: Tokenizer, text: str, windows: Windows) -> list[str]:
    """Return the pieces of the ids that :func:`encode_windows` gives for ``text``; empty text has none."""
    if windows.most == 1:
        return tokenizer.encode_pieces(text, max_length=windows.size)
    pieces = [piece for part in list_parts(text.encode()) for piece in tokenizer.encode_pieces(part.decode())]
    kept, _ = windows.keep(np.arange(len(pieces), dtype=np.int32), np.array([len(pieces)]))
    return [pieces[index] for index in kept.tolist()]


def encode_and_count(
    tokenizer: Tokenizer, texts: Sequence[bytes], windows: Windows
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return what :func:`encode_windows` does, and the number of pieces (B,) int64 of the whole texts."""
    if windows.most != 1:
        ids, counts = tokenizer.encode_packed(texts)
        return *windows.keep(ids, counts), counts
    ids, lengths = encode_windows(tokenizer, texts, windows)
    counts, full = lengths.copy(), np.flatnonzero(lengths == windows.size)
    counts[full] = np.maximum(tokenizer.count_pieces([texts[index] for index in full.tolist()])[0], windows.size)
    return ids, lengths, counts
