"""Partitions: shares of each class, groups that stay together, folds."""

from __future__ import annotations

import numpy as np
import pytest

from textrnn.data.partition import draw_parts, hold_out, hold_out_fold, join_groups


def tenths(rows: int) -> list[int]:
    """Return the rows of three parts, the last two a tenth each, but one row while they last."""
    valid = min(max(1, rows // 10), rows - 1)
    test = min(max(1, rows // 10), rows - 1 - valid)
    return [rows - valid - test, valid, test]


def test_small_labels_give_one_text_to_each_part_while_they_last() -> None:
    classes = np.array([0] * 3 + [1] * 2 + [2] + [3] * 6, np.int32)
    letters = np.array([*range(6), 7, 7, 7, 7, 7, 8])  # label 3: five are one text
    parts = draw_parts(classes, letters, targets=tenths, rng=np.random.default_rng(0))
    assert sorted(parts[:3]) == [0, 1, 2]
    assert sorted(parts[3:5]) == [0, 1]
    assert parts[5] == -1
    assert set(parts[6:11]) == {0}
    assert parts[11] == 2  # single rows fill up the last part first


def test_equal_texts_with_two_labels_share_a_part() -> None:
    classes = np.tile(np.array([0, 1], np.int32), 100)
    letters = np.repeat(np.arange(100), 2)
    parts = draw_parts(
        classes,
        letters,
        targets=lambda rows: [rows - rows // 4 * 2, rows // 4, rows // 4],
        rng=np.random.default_rng(3),
    )
    assert (parts[::2] == parts[1::2]).all()
    assert np.abs(np.bincount(parts) - [100, 50, 50]).max() <= 2


@pytest.mark.parametrize(
    ("share", "held_of"),
    [
        (0.1, {0: 5, 1: 2, 2: 1, 3: 1, 4: 0}),
        (0.5, {0: 25, 1: 10, 2: 4, 3: 1, 4: 0}),
        (0.001, {0: 1, 1: 1, 2: 1, 3: 1, 4: 0}),
        (0.999, {0: 49, 1: 19, 2: 6, 3: 1, 4: 0}),
    ],
)
def test_the_same_share_of_each_class_is_held_out(share: float, held_of: dict[int, int]) -> None:
    sizes = {0: 50, 1: 20, 2: 7, 3: 2, 4: 1}
    classes = [label for label, size in sizes.items() for _ in range(size)]
    classes = np.random.default_rng(8).permutation(classes).tolist()
    kept, held = hold_rows(classes, share, seed=1)
    assert sorted(kept + held) == list(range(80))
    assert (kept, held) == (sorted(kept), sorted(held))
    assert {label: [classes[row] for row in held].count(label) for label in sizes} == held_of


def hold_rows(
    classes: list[int], share: float, *, seed: int, groups: np.ndarray | None = None
) -> tuple[list[int], list[int]]:
    groups = np.arange(len(classes))[::-1] if groups is None else groups
    kept, held = hold_out(classes, groups, share, rng=np.random.default_rng(seed))
    assert kept.dtype == held.dtype == np.int64
    return kept.tolist(), held.tolist()


def test_rows_of_small_classes_are_held_out_at_random() -> None:
    assert hold_rows([3, 1, 2], 0.5, seed=0) == ([0, 1, 2], [])
    assert {tuple(hold_rows([7, 7], 0.5, seed=seed)[1]) for seed in range(20)} == {(0,), (1,)}
    assert hold_rows([], 0.5, seed=0) == ([], [])


def test_the_seed_fixes_the_held_out_rows() -> None:
    classes = [row % 3 for row in range(90)]
    first = hold_rows(classes, 0.2, seed=4)
    assert hold_rows(classes, 0.2, seed=4) == first
    assert hold_rows(classes, 0.2, seed=5) != first


@pytest.mark.parametrize(("sizes", "folds"), [((10, 10), 5), ((7, 2, 1, 13), 3), ((4, 4, 4), 4), ((2, 5), 2)])
def test_folds_hold_out_each_row_once_and_divide_each_class_evenly(sizes: tuple[int, ...], folds: int) -> None:
    classes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    parts = []
    for number in range(1, folds + 1):
        kept, held = hold_out_fold(classes, np.arange(len(classes)), (number, folds), rng=np.random.default_rng(7))
        assert sorted([*kept, *held]) == list(range(len(classes)))
        assert held.tolist() == sorted(held)
        parts.append(held)
    together = np.concatenate(parts)
    assert len(set(together.tolist())) == len(together) == sum(size for size in sizes if size > 1)
    assert np.ptp([len(part) for part in parts]) <= 1
    for number, size in enumerate(sizes):
        counts = [int((classes[part] == number).sum()) for part in parts]
        assert (sum(counts) == size and np.ptp(counts) <= 1) or size == 1
    other = hold_out_fold(classes, np.arange(len(classes)), (1, folds), rng=np.random.default_rng(8))[1]
    again = hold_out_fold(classes, np.arange(len(classes)), (1, folds), rng=np.random.default_rng(7))[1]
    assert again.tolist() == parts[0].tolist()
    assert sum(sizes) < 10 or other.tolist() != again.tolist()


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("size", [1, 2, 4, 10])
def test_rows_of_a_group_are_on_one_side(size: int, share: float) -> None:
    rng = np.random.default_rng(3)
    groups = rng.permutation(np.repeat(np.arange(300), size))
    classes = rng.integers(0, 2, len(groups)).tolist()  # a coin toss for each row
    kept, held = hold_rows(classes, share, seed=1, groups=groups)
    assert sorted([*kept, *held]) == list(range(len(groups)))
    assert not set(groups[kept]) & set(groups[held])
    assert abs(len(held) - share * len(groups)) <= 2 * size


@pytest.mark.parametrize("folds", [2, 5])
def test_folds_keep_groups_together(folds: int) -> None:
    groups = np.repeat(np.arange(60), 4)
    classes = np.repeat([0, 1, 2], 80)
    parts = [hold_out_fold(classes, groups, (k + 1, folds), rng=np.random.default_rng(0))[1] for k in range(folds)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(240))
    owners = [set(groups[part].tolist()) for part in parts]
    assert sum(map(len, owners)) == 60
    assert max(map(len, parts)) - min(map(len, parts)) <= 3 * 4


@pytest.mark.parametrize(("groups", "held"), [(5, 1), (2, 1), (1, 0)])
def test_each_class_gives_a_group_however_large(groups: int, held: int) -> None:
    of_row = np.repeat(np.arange(3 * groups), 8)
    kept, out = hold_out(np.repeat([0, 1, 2], 8 * groups), of_row, 0.01, rng=np.random.default_rng(0))
    assert len(out) == 3 * 8 * held
    assert len(kept) == 3 * 8 * (groups - held)


def test_groups_of_equal_texts_and_of_equal_values_are_joined() -> None:
    texts = np.array([1, 1, 2, 3, 4, -5, 6])
    values = np.array([7, 8, 8, 9, 10, 9, 11])
    assert join_groups(texts, None).tolist() == texts.tolist()
    joined = join_groups(texts, values)
    same = [[int(np.flatnonzero(joined == group)[0]) for group in joined]]
    assert same == [[0, 0, 0, 3, 4, 3, 6]]
