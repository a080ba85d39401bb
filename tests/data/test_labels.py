"""Label sets: joined and split, and as a multi-hot matrix."""

from __future__ import annotations

import numpy as np
import pytest

from textrnn.data.labels import MultiLabelSet, join_labels, split_labels


@pytest.mark.parametrize("labels", [[], ["a"], ["b", "a c"], ["배송", "환불", "|"]])
def test_joined_labels_are_split_again(labels: list[str]) -> None:
    assert split_labels(join_labels(labels)) == labels
    assert join_labels(labels[:1]) == "".join(labels[:1])


def test_sets_become_a_multi_hot_matrix() -> None:
    sets = MultiLabelSet.of([(), (0, 2), (1,)], 4)
    expected = [[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0]]
    matrix = sets.to_multi_hot(np.array([1, 0, 2, 1]))
    assert matrix.dtype == np.bool_
    assert matrix.astype(int).tolist() == expected
    assert sets.to_multi_hot(np.array([], np.int64)).shape == (0, 4)


def test_labels_are_counted_by_the_texts_of_their_sets() -> None:
    sets = MultiLabelSet.of([(), (0, 2), (1,), (0, 1)], 4)
    assert sets.count_labels(np.array([7, 5, 3, 2])).tolist() == [7, 5, 5, 0]
