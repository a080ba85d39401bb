"""Batches of an epoch: texts of similar length together, in random order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Lengths, PackedBatch, Rows, Texts

Order = npt.NDArray[np.int32] | npt.NDArray[np.int64]

_BATCHES_IN_POOL = 50
_CHUNK_ROWS = 1 << 20  # rows per step: bounds the temporary memory


def bucket_batches(
    texts: Texts, batch_size: int | None, rng: np.random.Generator, *, batch_tokens: int | None = None, skip: int = 0
) -> Iterator[PackedBatch]:
    """Yield all of ``texts`` once, in batches of similar length and in an order drawn from ``rng``.

    A batch has ``batch_size`` texts (the last one may have fewer), sorted within pools of 50 batches. With
    ``batch_tokens`` it has at most that many ids; a longer text is a batch by itself. The first ``skip`` batches are
    skipped without reading their texts. The number of batches is that of :func:`count_batches`, whatever ``rng`` draws.
    """
    lengths = texts.lengths
    count = len(lengths)
    order: Order = np.arange(count, dtype=np.int32) if count < 2**31 else np.arange(count, dtype=np.int64)
    rng.shuffle(order)
    if batch_tokens is None:
        assert batch_size is not None  # the config sets one of the two
        _sort_pools(order, lengths, batch_size * _BATCHES_IN_POOL)
        starts = np.append(np.arange(0, count, batch_size), count)
    else:
        order = _sort_by_bucket(order, lengths)
        starts = _fill_batches(_count_buckets(lengths), batch_tokens)
    for index in rng.permutation(len(starts) - 1)[skip:]:
        yield texts.select(order[starts[index] : starts[index + 1]].astype(np.int64))


def count_batches(texts: Texts, batch_size: int | None, *, batch_tokens: int | None = None) -> int:
    """Return the number of batches that :func:`bucket_batches` yields, the same in every epoch."""
    if batch_tokens is None:
        assert batch_size is not None  # the config sets one of the two
        return -(-len(texts) // batch_size)
    return len(_fill_batches(_count_buckets(texts.lengths), batch_tokens)) - 1


def sorted_batches(texts: Texts, max_tokens: int, *, rows: Rows | None = None) -> Iterator[tuple[Rows, PackedBatch]]:
    """Yield ``(places, batch)`` over ``texts``, shortest first, with at most ``max_tokens`` ids in a batch.

    With ``rows``, only these texts are read, and ``places`` are indices into ``rows``.
    """
    lengths = texts.lengths if rows is None else texts.lengths[rows]
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        filled = np.cumsum(lengths[order[start : start + max_tokens]], dtype=np.int64)
        stop = start + max(1, int(np.searchsorted(filled, max_tokens, side="right")))
        places = order[start:stop]
        yield places, texts.select(places if rows is None else rows[places])
        start = stop


def _sort_pools(order: Order, lengths: Lengths, pool: int) -> None:
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows[:] = rows[np.argsort(lengths[rows], kind="stable")]


# Batches by ids. Lengths up to 32 have a bucket each; above, every doubling has sixteen buckets. A text costs as much
# as the longest of its bucket (at most 6 % more than its length), so texts of one bucket are interchangeable. The
# batches are laid over the texts in bucket order, the same in every epoch; an epoch draws which text of a bucket goes
# where. The number of batches therefore depends on the bucket counts alone.


def _bucket_of(lengths: Order) -> npt.NDArray[np.uint16]:
    shift = np.maximum(np.frexp(lengths)[1] - 5, 0)
    buckets: npt.NDArray[np.uint16] = (16 * shift + ((lengths + (1 << shift) - 1) >> shift)).astype(np.uint16)
    return buckets


def _cost_of(buckets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    shift = np.maximum(buckets // 16 - 1, 0)
    costs: npt.NDArray[np.int64] = np.maximum(buckets - 16 * shift, 1) << shift
    return costs


def _count_buckets(lengths: Lengths) -> npt.NDArray[np.int64]:
    counts = np.zeros(512, np.int64)  # enough for every length up to 2**31
    for start in range(0, len(lengths), _CHUNK_ROWS):
        counts += np.bincount(_bucket_of(lengths[start : start + _CHUNK_ROWS]), minlength=len(counts))
    return counts


def _sort_by_bucket(order: Order, lengths: Lengths) -> Order:
    keys = np.empty(len(order), np.uint16)
    for start in range(0, len(order), _CHUNK_ROWS):
        keys[start : start + _CHUNK_ROWS] = _bucket_of(lengths[order[start : start + _CHUNK_ROWS]])
    return order[np.argsort(keys, kind="stable")]


def _fill_batches(counts: npt.NDArray[np.int64], budget: int) -> npt.NDArray[np.int64]:
    """Return where each batch starts among the texts in bucket order, followed by the number of texts."""
    starts: list[npt.NDArray[np.int64]] = []
    position = room = 0  # room: what the last batch can still take
    used = np.flatnonzero(counts)
    for cost, count in zip(np.minimum(_cost_of(used), budget).tolist(), counts[used].tolist(), strict=True):
        joining = min(count, room // cost)
        position, rest, room = position + joining, count - joining, room - joining * cost
        if rest:
            size = budget // cost
            starts.append(np.arange(position, position + rest, size))
            position += rest
            room = budget - cost * ((rest - 1) % size + 1)
    return np.concatenate([*starts, np.array([position], np.int64)])
