"""Made-up text, and SentencePiece models that are trained on it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from textrnn.tokenization.spm_trainer import TrainedTokenizer, train_tokenizer

ONE_THREAD = {"num_threads": 1}
_SYLLABLES = [
    *("ka", "lo", "mi", "ru", "te", "sno", "pa", "vid", "u", "갈"),
    *("나무", "새", "é", "fer", "go", "ba", "dy", "xi", "zul"),
]


def make_lines(count: int = 400, seed: int = 0) -> list[bytes]:
    """Return lines of made-up words, some of them Hangul."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(300)]
    return [" ".join(rng.choices(words, k=rng.randint(2, 8))).encode() for _ in range(count)]


LINES = make_lines()


def train(lines: Iterable[bytes] | None = None, **arguments: Any) -> TrainedTokenizer:
    """Train a small model on ``lines``, by default on LINES."""
    settings = {"vocab_size": 120, "options": ONE_THREAD, **arguments}
    return train_tokenizer(LINES if lines is None else lines, **settings)
