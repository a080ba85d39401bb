"""Files of word vectors: five words of three numbers, and reading them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from textrnn.data.word_vectors import read_vectors

WORDS = ["the", "kettle", "주문", "!", "Boils"]
VALUES = np.arange(15, dtype=np.float32).reshape(5, 3) / 8 - 1
LINES = [f"{word} {' '.join(map(str, row))}" for word, row in zip(WORDS, VALUES.tolist(), strict=True)]
GLOVE = "\n".join(LINES) + "\n"


def read(path: Path) -> dict[str, list[float]]:
    found = {}
    for block in read_vectors(str(path)):
        rows = [row for row, word in enumerate(block.words) if word]
        for row, vector in zip(rows, block.take(rows), strict=True):
            assert vector.dtype == np.float32
            found[block.words[row].decode()] = vector.tolist()
    return found


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path
