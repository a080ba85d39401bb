"""Labelled raw text on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from textrnn.data.cache import Cache
from textrnn.distillation.spool import KEPT, Spool


def test_texts_and_probabilities_come_back(tmp_path: Path) -> None:
    with Spool(Cache(tmp_path).draft(), 3) as spool:
        spool.write(["차", "", "a\tb"], np.array([[0.5, 0.25, 0.25], [1, 0, 0], [0, 0.75, 0.25]], np.float32))
        spool.write(["last\ud800"], np.array([[0, 0, 1]], np.float32))
        assert len(spool) == 4
        texts, probabilities = spool.select(np.array([0, 3]))
        assert texts == ["차", "last?"]
        assert probabilities.tolist() == [[0.5, 0.25, 0.25], [0, 0, 1]]
        (block,) = spool.blocks()
        assert block[0] == ["차", "", "a\tb", "last?"]
        assert block[1].tolist() == [[0.5, 0.25, 0.25], [1, 0, 0], [0, 0.75, 0.25], [0, 0, 1]]
    assert not list(tmp_path.iterdir())  # nothing is left


def test_of_many_labels_the_most_probable_ones_stay(tmp_path: Path) -> None:
    row = np.append(np.full(KEPT, 0.001), np.full(KEPT, (1 - 0.001 * KEPT) / KEPT)).astype(np.float32)[None]
    with Spool(Cache(tmp_path).draft(), 2 * KEPT) as spool:
        spool.write(["text"], row)
        kept = spool.select(np.array([0]))[1][0]
    assert (kept[:KEPT] == 0).all()
    assert kept[KEPT:] == pytest.approx(1 / KEPT)


def test_many_small_probabilities_come_back_as_equal_ones(tmp_path: Path) -> None:
    row = np.append(0.5, np.full(149, 0.5 / 149)).astype(np.float32)[None]
    with Spool(Cache(tmp_path).draft(), 150) as spool:
        spool.write(["text"], row)
        assert spool.select(np.array([0]))[1] == pytest.approx(row, rel=1e-4)
