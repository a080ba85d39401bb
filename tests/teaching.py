"""Raw text and the sentence embeddings of a made-up teacher: the sum of vectors of words."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import numpy.typing as npt

from samples import make_config
from textrnn.config import Config

WORDS = [
    *("green", "black", "tea", "coffee", "lemon", "milk", "please", "now"),
    *("hot", "cold", "parcel", "late", "again", "refund", "order"),
]


def write_lines(path: Path, count: int = 60) -> list[str]:
    """Write ``count`` random lines to ``path``, the second of them blank, and return them."""
    rng = random.Random(0)
    lines = [" ".join(rng.choices(WORDS, k=rng.randint(2, 5))) for _ in range(count)]
    lines[1] = ""
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return lines


def embed(lines: list[str], *, width: int = 6) -> npt.NDArray[np.float32]:
    """Return the embeddings (B, width) of ``lines``; that of a blank one is all zeros."""
    vectors = dict(zip(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), width)), strict=True))
    zero = np.zeros(width)
    return np.array([sum((vectors.get(word, zero) for word in line.split()), zero) for line in lines], np.float32)


def pretraining_config(**values: object) -> Config:
    """Return a config that pretrains a tiny network."""
    defaults = {
        "tokenizer__vocab_size": 60,
        "model__hidden": 8,
        "model__embedding": 16,
        "model__dropout": 0.0,
        "train__epochs": 3,
        "train__batch_size": 4,
        "train__lr": 0.02,
    }
    return make_config(**(defaults | values))
