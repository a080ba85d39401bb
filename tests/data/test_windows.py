"""Windows of long texts: where they are, what is kept of a text, and their batches."""

from __future__ import annotations

import numpy as np
import pytest

from packed import make_batch, unpack
from samples import make_config
from textrnn.data.batch import pack
from textrnn.data.windows import WHOLE, Windows


def split(windows: Windows, sequences: list[list[int]]) -> list[list[int]]:
    texts = windows.split(pack(sequences))
    return unpack(texts.select(np.arange(len(texts))))


@pytest.mark.parametrize(
    ("length", "most", "expected"),
    [
        (1, 3, [(0, 1)]),
        (4, 3, [(0, 4)]),
        (5, 3, [(0, 4), (1, 5)]),  # two windows cover it
        (8, 3, [(0, 4), (4, 8)]),
        (9, 3, [(0, 4), (2, 6), (5, 9)]),
        (12, 3, [(0, 4), (4, 8), (8, 12)]),
        (101, 3, [(0, 4), (48, 52), (97, 101)]),  # beginning, middle and end
        (101, 1, [(0, 4)]),
        (17, None, [(0, 4), (3, 7), (6, 10), (9, 13), (13, 17)]),
    ],
)
def test_windows_are_spaced_evenly(length: int, most: int | None, expected: list[tuple[int, int]]) -> None:
    text = list(range(length))
    assert split(Windows(4, most), [text]) == [text[start:stop] for start, stop in expected]


def test_the_windows_of_what_is_kept_are_those_of_the_texts() -> None:
    batch, sequences = make_batch(60, longest=40)
    for windows in (Windows(4, 1), Windows(4, 3), Windows(4, None)):
        ids, lengths = windows.keep(batch.ids, batch.lengths.astype(np.int64))
        kept = [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])]
        assert split(windows, kept) == split(windows, sequences)
        assert max(map(len, kept)) == (windows.limit or 40)
        assert lengths.tolist() == windows.count_read(batch.lengths.astype(np.int64)).tolist()


def test_the_mean_of_a_text_is_over_its_windows() -> None:
    texts = Windows(2, 3).split(pack([[1], [1, 2, 3], [1] * 9]))
    values = np.array([[8], [1], [2], [3], [6], [0]], np.float32)
    assert texts.average(values).tolist() == [[8], [1.5], [3]]
    assert texts.average(values).dtype == np.float32


def test_rows_select_texts() -> None:
    batch, sequences = make_batch(9)
    texts = Windows(3, 3).split(batch, np.array([7, 2]))
    assert unpack(texts.select(np.arange(len(texts)))) == split(Windows(3, 3), [sequences[7], sequences[2]])


def test_one_window_of_a_long_text_is_drawn() -> None:
    batch, _ = make_batch(50, longest=30)
    windows = Windows(5, 3)
    seen: list[set[tuple[int, ...]]] = [set() for _ in range(50)]
    for seed in range(20):
        texts = windows.draw(batch, np.random.default_rng(seed))
        assert texts.lengths.tolist() == np.minimum(batch.lengths, 5).tolist()
        drawn = texts.select(np.arange(50)[::-1])
        assert drawn.classes.tolist() == list(range(50))[::-1]
        for found, window in zip(seen, unpack(drawn)[::-1], strict=True):
            found.add(tuple(window))
    for row, found in enumerate(seen):
        assert found == {*map(tuple, split(windows, [batch.select(np.array([row])).ids.tolist()]))}


def test_short_texts_are_drawn_as_they_are() -> None:
    batch, _ = make_batch(5)
    assert Windows(9, 3).draw(batch, np.random.default_rng(0)) is batch


@pytest.mark.parametrize(
    ("long_texts", "expected"),
    [("cut", Windows(7, 1)), ("windows", Windows(7, 3)), ("whole", Windows(WHOLE, None))],
)
def test_the_config_sets_them(long_texts: str, expected: Windows) -> None:
    assert Windows.of(make_config(data__max_length=7, data__long_texts=long_texts).data) == expected
