"""A vocabulary in several scripts and random texts of its pieces, for the tests of n-grams."""

from __future__ import annotations

import numpy as np

from textrnn.data.batch import PackedBatch, make_offsets
from textrnn.models.ngram.features import Spelling

BYTES = (0x00, 0x41, 0xF0, 0xFF)
PIECES = [
    *(
        "",
        "\ufffd",
        "\u2581",
        "\u2581the",
        "the",
        "s",
        "\u2581a",
        "e",
        "\u2581\u2581wide",
        "a\u2581b",
        "\u2581end\u2581",
    ),
    *("\u2581환불", "주문", "을", "\U0001f600", "\u2581\U0001f468\u200d\U0001f469", "é", "\u2581Ζ"),
    *("\u2581understanding", "0"),
]
CODES = [*[[*map(ord, piece)] for piece in PIECES], *[[0x110000 + byte] for byte in BYTES]]
"""Code points of each id."""


def make_spelling() -> Spelling:
    """Return the spelling of :data:`CODES`."""
    codes = np.array([code for piece in CODES for code in piece], np.uint32)
    return Spelling(codes, make_offsets(np.array([len(piece) for piece in CODES], np.int64)))


def draw_texts(lengths: list[int], *, seed: int = 0) -> PackedBatch:
    """Return random texts with these numbers of pieces; their classes alternate between 0 and 1."""
    rng = np.random.default_rng(seed)
    offsets = make_offsets(np.array(lengths, np.int64))
    ids = rng.integers(0, len(CODES), int(offsets[-1])).astype(np.int32)
    return PackedBatch(ids, offsets, np.arange(len(lengths)) % 2)
