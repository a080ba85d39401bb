"""Sets of labels: joined and split, and as a matrix."""

from __future__ import annotations

import numpy as np
import pytest

from textrnn.data.labels import MultiLabelSet, join_labels, split_labels


@pytest.mark.parametrize("labels", [[], ["a"], ["b", "a c"], ["배송", "환불", "|"]])
def test_what_was_joined_is_split_again(labels: list[str]) -> None:
    assert split_labels(join_labels(labels)) == labels


def test_one_label_stands_for_itself() -> None:
    assert join_labels(["two words|"]) == "two words|"


def test_sets_become_rows_of_a_matrix() -> None:
    sets = MultiLabelSet.of([(), (0, 2), (1,)], 4)
    wanted = [[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0]]
    found = sets.to_multi_hot(np.array([1, 0, 2, 1]))
    assert found.dtype == np.bool_
    assert found.astype(int).tolist() == wanted
    assert sets.to_multi_hot(np.array([], np.int64)).shape == (0, 4)


def test_labels_are_counted_over_the_texts_of_their_sets() -> None:
    sets = MultiLabelSet.of([(), (0, 2), (1,), (0, 1)], 4)
    assert sets.count_labels(np.array([7, 5, 3, 2])).tolist() == [7, 5, 5, 0]
