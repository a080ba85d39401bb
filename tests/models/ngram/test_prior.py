"""An earlier n-gram model as the prior of a new one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from textrnn.data.batch import PackedBatch, pack
from textrnn.models.ngram.features import Spelling
from textrnn.models.ngram.fitting import fit_ngrams
from textrnn.models.ngram.prior import Prior
from textrnn.models.ngram.table import NgramTable

CODES = np.arange(0x61, 0x61 + 26, dtype=np.uint32)
SPELLING = Spelling(np.append(CODES, 0x2581).astype(np.uint32), np.arange(28))
SPACE = 26


def spell(*words: str) -> list[int]:
    return [piece for word in words for piece in (SPACE, *(ord(letter) - 0x61 for letter in word))]


TEA, COFFEE, JUICE, WATER = (spell("cup", word) for word in ("tea", "coffee", "juice", "water"))


def fit(texts: Sequence[Sequence[int]], targets: Sequence[int], classes: int, prior: Prior | None = None) -> NgramTable:
    labels = np.array(targets)
    table = fit_ngrams(pack(texts), SPELLING, classes=classes, targets=labels, prior=prior, seed=1)
    assert table is not None
    return table


def predict(table: NgramTable, *texts: Sequence[int]) -> npt.NDArray[np.float32]:
    batch: PackedBatch = pack(texts)
    return table.forward(batch.ids, batch.offsets, SPELLING)


@pytest.fixture(scope="module")
def old() -> NgramTable:
    """A table that knows tea, coffee and juice."""
    return fit([TEA, COFFEE, JUICE] * 10, [0, 1, 2] * 10, 3)


def test_classes_without_a_new_text_are_kept(old: NgramTable) -> None:
    prior = Prior.of(old, [0, 1, 2], 4)
    new = fit([TEA, WATER] * 10, [0, 3] * 10, 4, prior)
    assert predict(new, TEA, COFFEE, JUICE, WATER).argmax(axis=1).tolist() == [0, 1, 2, 3]
    forgotten = fit([TEA, WATER] * 10, [0, 3] * 10, 4)
    assert predict(forgotten, COFFEE, JUICE).argmax(axis=1).tolist() != [1, 2]


def test_new_text_that_agrees_changes_no_prediction(old: NgramTable) -> None:
    new = fit([TEA, COFFEE], [0, 1], 3, Prior.of(old, [0, 1, 2], 3))
    assert predict(new, TEA, COFFEE, JUICE).argmax(axis=1).tolist() == [0, 1, 2]


def test_two_classes_have_one_regression() -> None:
    old = fit([TEA, COFFEE] * 10, [0, 1] * 10, 2)
    tea = spell("mug", "tea")
    new = fit([tea, spell("mug", "juice")] * 3, [0, 1] * 3, 2, Prior.of(old, [0, 1], 2))
    assert predict(new, TEA, COFFEE, tea, spell("mug", "juice")).argmax(axis=1).tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(new.weight.sum(axis=1), 0, atol=1e-5)


def test_labels_of_multi_label_data_are_kept(old: NgramTable) -> None:
    labels = np.array([[True, False, False], [False, True, False]] * 8)
    batch = pack([TEA, COFFEE] * 8)
    new = fit_ngrams(batch, SPELLING, classes=3, targets=labels, prior=Prior.of(old, [0, 1, 2], 3), seed=1)
    assert new is not None
    assert (predict(new, JUICE)[0] > predict(new, TEA)[0])[[0, 2]].tolist() == [False, True]


def test_with_nothing_to_learn_the_prior_is_returned(old: NgramTable) -> None:
    new = fit([WATER, WATER], [3, 3], 4, Prior.of(old, [0, 1, 2], 4))
    assert predict(new, TEA, COFFEE, JUICE).argmax(axis=1).tolist() == [0, 1, 2]


def test_old_and_new_keys_are_joined_up_to_a_limit(old: NgramTable) -> None:
    prior = Prior.of(old, [0, 1, 2], 3)
    keys, idf = np.array([1, 2, 3], np.uint32), np.array([3.0, 1.0, 2.0], np.float32)
    F = len(old.keys)
    joined = prior.extend(keys, idf, limit=F + 2)
    assert (len(joined.keys), joined.keys[:2].tolist()) == (F + 2, [2, 3])
    assert (np.diff(joined.keys.astype(np.int64)) > 0).all()
    cut = prior.extend(keys, idf, limit=5)
    assert np.isin(cut.keys, old.keys).all()
    assert np.abs(cut.weight).max(axis=1).min() >= np.sort(np.abs(old.weight).max(axis=1))[-5]
