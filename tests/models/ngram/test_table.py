"""The logits of an n-gram table: the formula, the C++ library against the definition, and independence of the batch."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from pieces import draw_texts, make_spelling
from textrnn.data.batch import PackedBatch, pack
from textrnn.models.ngram import table
from textrnn.models.ngram.features import hash_ngrams
from textrnn.models.ngram.table import NgramTable
from textrnn.native.library import is_available

needs_library = pytest.mark.skipif(not is_available(), reason="the library was not compiled")
everywhere = pytest.mark.parametrize("library", [False, pytest.param(True, marks=needs_library)])
LENGTHS = [3, 0, 1, 0, 40, 2, 257, 9, 1, 0, *[5] * 60, 3000]


def draw_table(batch: PackedBatch, C: int, *, share: float = 0.5) -> NgramTable:
    """Return random weights for a ``share`` of the n-grams of ``batch``, and for others."""
    rng = np.random.default_rng(C)
    keys = np.unique(hash_ngrams(batch.ids, batch.offsets, make_spelling())[0])
    keys = np.union1d(keys[rng.random(len(keys)) < share], rng.integers(0, 2**32, 50).astype(np.uint32))
    F = len(keys)
    numbers = [(1 + 5 * rng.random(F)), rng.normal(size=(F, C)), rng.normal(size=C)]
    return NgramTable(keys, *[part.astype(np.float32) for part in numbers])


def forward(
    table: NgramTable, batch: PackedBatch, *, library: bool, threads: int | None = None
) -> npt.NDArray[np.float32]:
    found = table.forward(batch.ids, batch.offsets, make_spelling(), threads=threads, library=library)
    assert (found.dtype, found.shape) == (np.float32, (len(batch), len(table.bias)))
    return found


def forward_plainly(table: NgramTable, batch: PackedBatch) -> npt.NDArray[np.float64]:
    rows = {key: row for row, key in enumerate(table.keys.tolist())}
    keys, bounds = hash_ngrams(batch.ids, batch.offsets, make_spelling(), library=False)
    logits = []
    for text in range(len(batch)):
        total = table.bias.astype(np.float64)
        counts = Counter(keys[bounds[text] : bounds[text + 1]].tolist())
        for number, factor in enumerate((1.0, 0.5, 1.0)):
            kind = [(rows[key], n) for key, n in counts.items() if key in rows and key >> 30 == number]
            norm = math.sqrt(sum(n * float(table.idf[row]) ** 2 for row, n in kind))
            for row, n in kind:
                total = total + factor * n * float(table.idf[row]) / norm * table.weight[row].astype(np.float64)
        logits.append(total)
    return np.array(logits)


def test_prediction_imports_neither_torch_nor_scipy() -> None:
    code = "import sys, textrnn.models.ngram.table; sys.exit(bool({'torch', 'sklearn', 'scipy'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@everywhere
@pytest.mark.parametrize("C", [1, 2, 3, 19])
def test_logits_follow_the_formula(library: bool, C: int) -> None:
    batch = draw_texts(LENGTHS)
    drawn = draw_table(batch, C)
    np.testing.assert_allclose(
        forward(drawn, batch, library=library), forward_plainly(drawn, batch), rtol=1e-5, atol=1e-5
    )


@needs_library
@pytest.mark.parametrize("C", [1, 2, 3, 19])
def test_the_library_gives_the_bits_of_the_definition(C: int) -> None:
    batch = draw_texts([*LENGTHS, 2000], seed=3)
    drawn = draw_table(batch, C)
    np.testing.assert_array_equal(forward(drawn, batch, library=True), forward(drawn, batch, library=False))


@everywhere
def test_logits_do_not_depend_on_other_texts_or_threads(library: bool) -> None:
    batch = draw_texts(LENGTHS, seed=1)
    drawn = draw_table(batch, 2)
    together = forward(drawn, batch, library=library, threads=1)
    order = np.random.default_rng(0).permutation(len(batch))
    for threads in (1, 2, 7):
        np.testing.assert_array_equal(
            forward(drawn, batch.select(order), library=library, threads=threads), together[order]
        )
    for part in np.array_split(order, 9):
        np.testing.assert_array_equal(forward(drawn, batch.select(part), library=library), together[part])


@needs_library
def test_the_first_texts_get_the_same_logits_as_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = draw_texts(LENGTHS, seed=1)
    drawn = draw_table(batch, 3)
    expected = forward(drawn, batch, library=True)
    assert "_slots" in drawn.__dict__
    monkeypatch.setattr(table, "_KEYS_PER_TOKEN", len(drawn.keys) / (2.5 * len(batch.ids)))
    patient = replace(drawn)
    for made in (False, False, True, True):
        np.testing.assert_array_equal(forward(patient, batch, library=True), expected)
        assert ("_slots" in patient.__dict__) == made


@everywhere
def test_unknown_ngrams_give_the_bias(library: bool) -> None:
    batch = draw_texts(LENGTHS)
    drawn = draw_table(batch, 3, share=0)
    known = np.isin(drawn.keys, hash_ngrams(batch.ids, batch.offsets, make_spelling())[0])
    assert not known.any()
    np.testing.assert_array_equal(forward(drawn, batch, library=library), np.tile(drawn.bias, (len(batch), 1)))
    empty = NgramTable(drawn.keys[:0], drawn.idf[:0], drawn.weight[:0], drawn.bias)
    np.testing.assert_array_equal(forward(empty, batch, library=library), np.tile(drawn.bias, (len(batch), 1)))


@everywhere
def test_memory_layout_does_not_matter(library: bool) -> None:
    batch = draw_texts(LENGTHS)
    drawn = draw_table(batch, 3)
    columns = NgramTable(drawn.keys, drawn.idf, np.asfortranarray(drawn.weight), np.repeat(drawn.bias, 2)[::2])
    np.testing.assert_array_equal(forward(columns, batch, library=library), forward(drawn, batch, library=library))


@everywhere
def test_no_texts_and_texts_without_pieces(library: bool) -> None:
    drawn = draw_table(draw_texts(LENGTHS), 2)
    assert forward(drawn, draw_texts([]), library=library).shape == (0, 2)
    np.testing.assert_array_equal(forward(drawn, draw_texts([0, 0]), library=library), [drawn.bias, drawn.bias])


@everywhere
def test_the_smallest_and_the_largest_key_are_found(library: bool) -> None:
    batch = pack([[4], [19]])
    keys, _ = hash_ngrams(batch.ids, batch.offsets, make_spelling())
    for kept in (keys.min(), keys.max()):
        one = NgramTable(np.array([kept]), np.float32([2]), np.float32([[3, 5]]), np.float32([1, 0]))
        assert {tuple(row) for row in forward(one, batch, library=library).tolist()} == {(1, 0), (4, 5)}


@needs_library
def test_keys_that_collide_too_often_use_the_definition() -> None:
    batch = draw_texts(LENGTHS)
    own = draw_table(batch, 2)
    alike = (np.arange(1 << 14, dtype=np.uint64) << np.uint64(18)).astype(np.uint32)  # all hash to one slot
    keys = np.union1d(own.keys, alike)
    rng = np.random.default_rng(0)
    numbers = [1 + rng.random(len(keys)), rng.normal(size=(len(keys), 2)), rng.normal(size=2)]
    crafted = NgramTable(keys, *[part.astype(np.float32) for part in numbers])
    assert table.build_slots(own.keys) is not None
    assert table.build_slots(keys) is None
    np.testing.assert_array_equal(forward(crafted, batch, library=True), forward(crafted, batch, library=False))


@everywhere
def test_offsets_and_ids_out_of_range_are_refused(library: bool) -> None:
    drawn = draw_table(draw_texts(LENGTHS), 2)
    with pytest.raises(ValueError, match="ids be of the spelling's vocabulary"):
        drawn.forward(np.array([5, 99], np.int32), np.array([0, 2]), make_spelling(), library=library)
    with pytest.raises(ValueError, match="offsets should rise from 0"):
        drawn.forward(np.array([5, 9], np.int32), np.array([0, 1]), make_spelling(), library=library)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keys": np.array([3, 1], np.uint32)}, "do not rise"),
        ({"keys": np.array([3, 3], np.uint32)}, "do not rise"),
        ({"keys": np.array([1, 3, 4], np.uint32)}, "shapes"),
        ({"keys": np.array([1, 3], np.int64)}, "uint32"),
        ({"weight": np.zeros((2, 2), np.float32)}, "shapes"),
        ({"weight": np.zeros(2, np.float32)}, "shapes"),
        ({"idf": np.zeros(2)}, "float32"),
        ({"bias": np.array(1, np.float32)}, "shapes"),
        ({"keys": np.array(1, np.uint32)}, "shapes"),
        ({"bias": np.float32([1, np.nan, 0])}, "not finite"),
        ({"idf": np.float32([1, np.inf])}, "not finite"),
    ],
)
def test_an_inconsistent_table_is_refused(change: dict[str, npt.NDArray[np.generic]], message: str) -> None:
    parts = {
        "keys": np.array([1, 3], np.uint32),
        "idf": np.ones(2, np.float32),
        "weight": np.zeros((2, 3), np.float32),
        "bias": np.zeros(3, np.float32),
    }
    NgramTable(**parts)
    with pytest.raises(ValueError, match=message):
        NgramTable(**(parts | change))
