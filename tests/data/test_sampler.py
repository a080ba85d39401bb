"""Batches hold every text once, within their limits, in an order that the seed fixes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from packed import make_batch, unpack
from textrnn.data import sampler
from textrnn.data.batch import PackedBatch, pack
from textrnn.data.sampler import bucket_batches, count_batches, sorted_batches


def draw(
    texts: PackedBatch, seed: object = 0, *, size: int | None = None, tokens: int | None = None
) -> list[list[int]]:
    """Return the rows of each batch of an epoch."""
    batches = bucket_batches(texts, size, np.random.default_rng(seed), batch_tokens=tokens)  # type: ignore[arg-type]
    return [batch.classes.tolist() for batch in batches]


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 199, 200, 201, 450])
@pytest.mark.parametrize("batch_size", [1, 4, 1000])
def test_batches_of_a_size_hold_every_text_once(rows: int, batch_size: int) -> None:
    texts, sequences = make_batch(rows, shortest=0)
    batches = list(bucket_batches(texts, batch_size, np.random.default_rng(3)))
    drawn = []
    for batch in batches:
        assert unpack(batch) == [sequences[row] for row in batch.classes]
        drawn += batch.classes.tolist()
    assert sorted(drawn) == list(range(rows))
    full, rest = divmod(rows, batch_size)
    assert sorted(map(len, batches)) == sorted([batch_size] * full + [rest] * (rest > 0))
    assert len(batches) == count_batches(texts, batch_size)


def test_a_pool_is_batched_by_length_in_random_order() -> None:
    texts, _ = make_batch(200, longest=60)
    lengths = [texts.lengths[rows] for rows in draw(texts, size=4)]  # one pool
    drawn = [(int(part.min()), int(part.max())) for part in lengths]
    spans = sorted(drawn)
    assert drawn != spans
    assert all(first[1] <= second[0] for first, second in zip(spans[:-1], spans[1:], strict=True))


def test_texts_of_several_pools_have_similar_lengths() -> None:
    texts, _ = make_batch(2000, longest=500)
    spans = [int(np.ptp(texts.lengths[rows])) for rows in draw(texts, size=4)]
    assert np.mean(spans) < 25  # about 300 for random batches
    assert max(spans) > 0


def test_the_seed_fixes_the_batches() -> None:
    texts, _ = make_batch(900)
    first = draw(texts, 5, size=8)
    assert draw(texts, 5, size=8) == first
    assert draw(texts, 6, size=8) != first


def test_epochs_have_different_batches() -> None:
    texts, _ = make_batch(60)
    rng = np.random.default_rng(5)
    first, second = ([sorted(batch.classes.tolist()) for batch in bucket_batches(texts, 8, rng)] for _ in range(2))
    assert sorted(first) != sorted(second)  # not just another order of the same batches


@pytest.mark.parametrize("rows", [0, 1, 3, 199, 1000])
@pytest.mark.parametrize("batch_tokens", [1, 7, 64, 300, 100_000])
def test_batches_by_ids_hold_every_text_once_within_the_limit(rows: int, batch_tokens: int) -> None:
    texts, sequences = make_batch(rows, longest=90, shortest=0)
    for seed in range(3):
        drawn = []
        batches = list(bucket_batches(texts, None, np.random.default_rng(seed), batch_tokens=batch_tokens))
        for batch in batches:
            assert len(batch.ids) <= batch_tokens or len(batch) == 1
            assert unpack(batch) == [sequences[row] for row in batch.classes]
            drawn += batch.classes.tolist()
        assert sorted(drawn) == list(range(rows))
        assert len(batches) == count_batches(texts, None, batch_tokens=batch_tokens)


def test_batches_by_ids_are_nearly_full() -> None:
    texts, _ = make_batch(5000, longest=120)
    needed = int(texts.lengths.sum()) / 2000
    assert needed <= count_batches(texts, None, batch_tokens=2000) < 1.08 * needed


def test_batches_by_ids_have_similar_lengths_and_differ_between_epochs() -> None:
    texts, _ = make_batch(3000, longest=200)
    first, second = (draw(texts, [1, epoch], tokens=1000) for epoch in (1, 2))
    lengths = [texts.lengths[rows] for rows in first]
    assert np.mean([int(np.ptp(part)) / int(part.max()) for part in lengths if len(part) > 1]) < 0.1
    longest = [int(part.max()) for part in lengths]
    assert longest not in (sorted(longest), sorted(longest, reverse=True))
    assert len(set(map(frozenset, first)) & set(map(frozenset, second))) < len(first) / 10


@pytest.mark.parametrize("length", [1, 2, 15, 16, 31, 32, 33, 63, 64, 65, 511, 512, 999_999, 1_000_000])
def test_a_text_costs_at_most_6_percent_more_than_its_length(length: int) -> None:
    cost = int(sampler._cost_of(sampler._bucket_of(np.array([length], np.int32)).astype(np.int64))[0])
    assert length <= cost <= max(length, 1.0626 * length)


def test_buckets_rise_with_the_length() -> None:
    buckets = sampler._bucket_of(np.arange(100_000, dtype=np.int32)).astype(np.int64)
    assert set(np.diff(buckets).tolist()) <= {0, 1}


@pytest.mark.parametrize("limits", [{"batch_size": 8}, {"batch_size": None, "batch_tokens": 50}])
@pytest.mark.parametrize("skip", [0, 1, 17, 10_000])
def test_skipped_batches_are_not_read(limits: dict[str, Any], skip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, _ = make_batch(400)
    batches = [batch.classes.tolist() for batch in bucket_batches(texts, rng=np.random.default_rng(2), **limits)]
    selected = []
    monkeypatch.setattr(PackedBatch, "select", lambda self, rows: selected.append(rows.tolist()))
    list(bucket_batches(texts, rng=np.random.default_rng(2), skip=skip, **limits))
    assert selected == batches[skip:]


@pytest.mark.parametrize("rows", [0, 1, 2, 150])
@pytest.mark.parametrize("max_tokens", [1, 5, 9, 10, 64, 100_000])
def test_sorted_batches_hold_every_text_once_within_the_limit(rows: int, max_tokens: int) -> None:
    texts, sequences = make_batch(rows)
    drawn: list[int] = []
    lengths: list[int] = []
    sizes: list[int] = []
    for numbers, batch in sorted_batches(texts, max_tokens):
        assert batch.classes.tolist() == numbers.tolist()
        assert unpack(batch) == [sequences[row] for row in numbers]
        assert len(batch.ids) <= max_tokens or len(batch) == 1
        drawn += numbers.tolist()
        lengths += batch.lengths.tolist()
        sizes.append(len(batch))
    assert sorted(drawn) == list(range(rows))
    assert lengths == sorted(lengths)
    for size, start in zip(sizes, np.cumsum(sizes)[:-1], strict=False):  # the next text would not have fitted
        assert sum(lengths[start - size : start + 1]) > max_tokens


@pytest.mark.parametrize(
    ("lengths", "max_tokens", "rows"),
    [
        ([50, 1, 11, 10, 3], 10, [[1, 4], [3], [2], [0]]),  # longer texts are batches by themselves
        ([2] * 7, 6, [[0, 1, 2], [3, 4, 5], [6]]),  # texts of one length stay in order
        ([0, 1, 0, 2, 0], 2, [[0, 2], [4, 1], [3]]),  # a batch has at most as many texts
    ],
)
def test_sorted_batches(lengths: list[int], max_tokens: int, rows: list[list[int]]) -> None:
    texts = pack([[7] * length for length in lengths])
    assert [numbers.tolist() for numbers, _ in sorted_batches(texts, max_tokens)] == rows
