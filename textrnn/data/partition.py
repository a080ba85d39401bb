"""Partition of rows: stratified by class, with the rows of a group in one part."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import Rows
from textrnn.data.minhash import find_first

Integers = npt.NDArray[np.int64]


def draw_parts(
    classes: npt.ArrayLike, groups: Integers, *, targets: Callable[[int], Sequence[int]], rng: np.random.Generator
) -> npt.NDArray[np.int16]:
    """Return the part (R,) int16 of each row; rows of a group share a part.

    ``classes`` (R,) and ``groups`` (R,) int64 number the classes and groups of the rows; ``targets`` returns the number
    of rows for each part, given the number of rows of a class. A group counts for the class of its first row. Within a
    class the largest groups come first, each to the part that lacks most rows; groups of one row then fill up the
    parts, the last part first, in random order. A part that is still empty gets one of the smallest groups, unless it
    is the first. The part of a class's only group is -1.
    """
    of_row = np.asarray(classes)
    first = find_first(groups)
    sizes = np.bincount(first, minlength=len(first))
    part_of = np.zeros(len(first), np.int16)
    heads = np.flatnonzero(sizes)
    by_class = heads[np.argsort(of_row[heads], kind="stable")]
    for members in np.split(by_class, np.flatnonzero(np.diff(of_row[by_class])) + 1):
        drawn = rng.permutation(members)
        missing = np.array(targets(int(sizes[members].sum())), np.int64)
        repeated = drawn[sizes[drawn] > 1]
        repeated = repeated[np.argsort(-sizes[repeated], kind="stable")]
        asked = np.flatnonzero(missing[1:] > 0) + 1
        for head in repeated:
            part = int(np.argmax(missing))
            part_of[head] = part
            missing[part] -= sizes[head]
        single = drawn[sizes[drawn] == 1]
        if len(members) == 1:
            part_of[members] = -1
            continue
        part_of[single] = np.repeat(np.arange(len(missing))[::-1], np.maximum(missing[::-1], 0))[: len(single)]
        spare = repeated[part_of[repeated] == 0][:0:-1]
        for part, head in zip(np.setdiff1d(asked, part_of[members]), spare, strict=False):
            part_of[head] = part  # each group is larger than what the part lacks
    return part_of[first]


def hold_out(classes: npt.ArrayLike, groups: Integers, share: float, *, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Return the indices of the kept and of the held-out rows, both sorted, drawing ``share`` of each class.

    A class keeps at least one group and, unless it has only one, gives at least one row if the groups allow it.
    """

    def targets(rows: int) -> list[int]:
        held = min(rows - 1, max(1, round(rows * share)))
        return [rows - held, held]

    part_of = draw_parts(classes, groups, targets=targets, rng=rng)
    return np.flatnonzero(part_of != 1), np.flatnonzero(part_of == 1)


def hold_out_fold(
    classes: npt.ArrayLike, groups: Integers, fold: tuple[int, int], *, rng: np.random.Generator
) -> tuple[Rows, Rows]:
    """Return the indices of the kept and of the held-out rows, both sorted: of ``fold`` (number from 1, folds).

    The rows of each class are dealt to the folds in turn, each class starting where the last one ended, so that folds
    of single rows differ by at most one row, per class and in total. With the same ``rng`` each row is held out by
    one fold, except the only group of a class, which is always kept.
    """
    number, folds = fold
    dealt = 0

    def targets(rows: int) -> list[int]:
        nonlocal dealt
        counts = [len(range((part - dealt) % folds, rows, folds)) for part in range(folds)]
        dealt += rows if rows > 1 else 0
        return counts

    part_of = draw_parts(classes, groups, targets=targets, rng=rng)
    return np.flatnonzero(part_of != number - 1), np.flatnonzero(part_of == number - 1)


def join_groups(texts: Integers, groups: npt.NDArray[np.int64] | None) -> Integers:
    """Return the group (R,) int64 of each row: rows with equal ``texts`` or equal ``groups`` are in one."""
    if groups is None:
        return texts
    from scipy.sparse import coo_array  # noqa: PLC0415 - slow to import, and rarely needed
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    of_text = np.unique(texts, return_inverse=True)[1]
    of_group = np.unique(groups, return_inverse=True)[1] + len(of_text)
    edges = coo_array((np.ones(len(texts), np.int8), (of_text, of_group)), shape=(2 * len(texts) + 1,) * 2)
    return connected_components(edges, directed=False)[1][of_text].astype(np.int64)
