"""In which batches the texts of an epoch come: texts of like length together, in an order that is drawn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import PackedBatch, Texts

Rows = npt.NDArray[np.int64]
Lengths = npt.NDArray[np.int32]
Order = npt.NDArray[np.int32] | npt.NDArray[np.int64]

_BATCHES_IN_POOL = 50
_PIECE = 1 << 20  # rows that are looked at together, which bounds what is needed beside the arrays themselves


def draw_batches(
    lengths: Lengths,
    batch_size: int | None,
    rng: np.random.Generator,
    *,
    batch_tokens: int | None = None,
    skip: int = 0,
) -> Iterator[Rows]:
    """Yield the row numbers of each batch of an epoch, every row once, from the batch ``skip`` on.

    With ``batch_size`` every batch has so many rows (one may have fewer) of like length, from pools of 50 batches.
    With ``batch_tokens`` a batch has that many ids at most, a longer text being a batch by itself, and its texts come
    from those of about the same length. The order is drawn from ``rng``; the number of batches does not depend on it.
    """
    order = _number_rows(len(lengths))
    rng.shuffle(order)
    if batch_tokens is None:
        assert batch_size is not None  # one of the two is given
        _sort_pools(order, lengths, batch_size * _BATCHES_IN_POOL)
        starts = np.arange(0, len(order) + batch_size, batch_size)
        starts = np.minimum(starts[: _divide_up(len(order), batch_size) + 1], len(order))
    else:
        order = _sort_by_bucket(order, lengths)
        starts = _fill(_count_buckets(lengths), batch_tokens)
    for index in rng.permutation(len(starts) - 1)[skip:]:
        yield order[starts[index] : starts[index + 1]].astype(np.int64)


def count_length_batches(lengths: Lengths, batch_size: int | None, *, batch_tokens: int | None = None) -> int:
    """Return the number of batches that :func:`draw_batches` yields, which is the same in every epoch."""
    if batch_tokens is None:
        assert batch_size is not None  # one of the two is given
        return _divide_up(len(lengths), batch_size)
    return len(_fill(_count_buckets(lengths), batch_tokens)) - 1


def _number_rows(count: int) -> Order:
    # half the memory where that is enough
    return np.arange(count, dtype=np.int32) if count < 2**31 else np.arange(count, dtype=np.int64)


def _divide_up(count: int, size: int) -> int:
    return -(-count // size)


def _sort_pools(order: Order, lengths: Lengths, pool: int) -> None:
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows[:] = rows[np.argsort(lengths[rows], kind="stable")]


# Batches by ids. Lengths fall into buckets: each to 32 by itself, above that sixteen to every doubling. A text counts
# as the longest of its bucket (at most 6 % more than it is), so that texts of one bucket can stand for one another:
# the batches of an epoch are laid over the texts in the order of their buckets, the same for every epoch, and what an
# epoch draws is which text of the bucket comes where. The number of batches follows from the buckets' counts alone.


def _bucket_of(lengths: Order) -> npt.NDArray[np.uint16]:
    shift = np.maximum(np.frexp(lengths)[1] - 5, 0)
    buckets: npt.NDArray[np.uint16] = (16 * shift + ((lengths + (1 << shift) - 1) >> shift)).astype(np.uint16)
    return buckets


def _cost_of(buckets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    shift = np.maximum(buckets // 16 - 1, 0)
    costs: npt.NDArray[np.int64] = np.maximum(buckets - 16 * shift, 1) << shift
    return costs


def _count_buckets(lengths: Lengths) -> npt.NDArray[np.int64]:
    counts = np.zeros(512, np.int64)  # a bucket for every length up to 2**31
    for start in range(0, len(lengths), _PIECE):
        counts += np.bincount(_bucket_of(lengths[start : start + _PIECE]), minlength=len(counts))
    return counts


def _sort_by_bucket(order: Order, lengths: Lengths) -> Order:
    keys = np.empty(len(order), np.uint16)
    for start in range(0, len(order), _PIECE):
        keys[start : start + _PIECE] = _bucket_of(lengths[order[start : start + _PIECE]])
    return order[np.argsort(keys, kind="stable")]


def _fill(counts: npt.NDArray[np.int64], budget: int) -> npt.NDArray[np.int64]:
    """Return where each batch starts among the texts in the order of their buckets, and the number of texts."""
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


def bucket_batches(
    corpus: Texts, batch_size: int | None, rng: np.random.Generator, *, batch_tokens: int | None = None, skip: int = 0
) -> Iterator[PackedBatch]:
    """Yield all of ``corpus`` once, texts of like length together, in an order that is drawn from ``rng``.

    Batches have ``batch_size`` texts (one may have fewer), or ``batch_tokens`` ids at most, a longer text being a batch
    by itself. The first ``skip`` batches are passed over, and their texts are not read.
    """
    for rows in bucket_rows(corpus, batch_size, rng, batch_tokens=batch_tokens, skip=skip):
        yield corpus.select(rows)


def bucket_rows(
    corpus: Texts, batch_size: int | None, rng: np.random.Generator, *, batch_tokens: int | None = None, skip: int = 0
) -> Iterator[Rows]:
    """Yield the rows (B,) int64 of each batch that :func:`bucket_batches` yields, for ``corpus.select``."""
    return draw_batches(corpus.lengths, batch_size, rng, batch_tokens=batch_tokens, skip=skip)


def count_batches(corpus: Texts, batch_size: int | None, *, batch_tokens: int | None = None) -> int:
    """Return how many batches :func:`bucket_batches` yields: the same number whatever ``rng`` draws."""
    return count_length_batches(corpus.lengths, batch_size, batch_tokens=batch_tokens)


def sorted_batches(corpus: Texts, max_tokens: int) -> Iterator[tuple[Rows, PackedBatch]]:
    """Yield ``(rows, batch)`` over all of ``corpus``, shortest first; ``max_tokens`` ids at most in a batch."""
    lengths = corpus.lengths
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        filled = np.cumsum(lengths[order[start : start + max_tokens]], dtype=np.int64)
        stop = start + max(1, int(np.searchsorted(filled, max_tokens, side="right")))
        yield order[start:stop], corpus.select(order[start:stop])
        start = stop
