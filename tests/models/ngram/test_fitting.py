"""Fitting: agreement with scikit-learn on a matrix made by hand, multi-label, weights, limits and reproducibility."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from pieces import make_spelling
from textrnn.data.batch import PackedBatch, SoftLabels, pack
from textrnn.data.encoded import Corpus
from textrnn.models.ngram import counts, fitting, logistic, sample
from textrnn.models.ngram.features import WORDS, Spelling, hash_ngrams
from textrnn.models.ngram.fitting import fit_ngrams
from textrnn.models.ngram.table import NgramTable
from textrnn.native import library

CUES = (3, 11, 18)  # pieces that mostly reveal the class


def draw_labelled(n: int, C: int, *, seed: int = 0, doubt: float = 0.2) -> PackedBatch:
    """Return texts of random pieces and one cue for the class, which is random in a share ``doubt`` of the texts."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, C, n)
    texts = []
    for true in classes:
        said = true if rng.random() >= doubt else rng.integers(0, C)
        texts.append(rng.permutation([*rng.choice([2, 5, 6, 7, 8, 9, 12, 14, 16], 8), CUES[said]]).tolist())
    return pack(texts, classes.tolist())


def fit(batch: PackedBatch, C: int, **options: object) -> NgramTable:
    arguments = {"targets": batch.classes, "seed": 1, **options}
    table = fit_ngrams(batch, make_spelling(), classes=C, **arguments)
    assert table is not None
    return table


def forward(table: NgramTable, batch: PackedBatch) -> npt.NDArray[np.float32]:
    return table.forward(batch.ids, batch.offsets, make_spelling())


def bytes_of(table: NgramTable) -> bytes:
    return b"".join(part.tobytes() for part in (table.keys, table.idf, table.weight, table.bias))


def count_all(batch: PackedBatch, spelling: Spelling) -> tuple[csr_matrix, npt.NDArray[np.uint32]]:
    """Return the counts (n, K) of all n-grams, and their keys."""
    keys, bounds = hash_ngrams(batch.ids, batch.offsets, spelling, library=False)
    names = np.unique(keys)
    counts = [Counter(np.searchsorted(names, keys[a:b]).tolist()) for a, b in zip(bounds, bounds[1:], strict=False)]
    entries = [(row, column, n) for row, found in enumerate(counts) for column, n in found.items()]
    rows, columns, values = map(np.array, zip(*entries, strict=True))
    return csr_matrix((values.astype(np.float64), (rows, columns)), shape=(len(batch), len(names))), names


def build_matrix(batch: PackedBatch) -> tuple[csr_matrix, npt.NDArray[np.uint32], npt.NDArray[np.float64]]:
    """Return features (n, F), keys (F,) and idf (F,) by scikit-learn's weighting."""
    counts, keys = count_all(batch, make_spelling())
    df = np.asarray((counts > 0).sum(axis=0)).ravel()
    kept = (keys >= WORDS) | (df >= 2)
    counts, keys = counts[:, kept], keys[kept]
    parts, idf = [], np.zeros(len(keys))
    for kind, factor in enumerate((1.0, 0.5, 1.0)):
        of_kind = keys >> 30 == kind
        transformer = TfidfTransformer(norm=None).fit(counts[:, of_kind])
        idf[of_kind] = transformer.idf_
        once = counts[:, of_kind]
        squares = once @ np.square(transformer.idf_)
        weighed = transformer.transform(once)
        scale = factor / np.sqrt(np.where(squares > 0, squares, 1))
        parts.append(weighed.multiply(scale[:, None]))
    return hstack(parts).tocsr().astype(np.float32), keys, idf


def scale_of(
    x: csr_matrix, own: npt.NDArray[np.bool_], counts: npt.NDArray[np.float64] | None = None
) -> npt.NDArray[np.float64]:
    """Return the root of the log-count ratio of each column."""
    there = (x.toarray() > 0) * (np.ones(len(own)) if counts is None else counts)[:, None]
    p, q = there[own].sum(axis=0) + 1.0, there[~own].sum(axis=0) + 1.0
    ratio = np.abs(np.log((p / p.sum()) / (q / q.sum())))
    return np.asarray(np.sqrt(ratio / ratio.mean()))


def regress(
    x: csr_matrix, own: npt.NDArray[np.bool_], counts: npt.NDArray[np.float64] | None = None
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the weights and the intercept of one class by another solver, with the intercept as a column."""
    scale = scale_of(x, own, counts)
    columns = hstack([x.multiply(scale), np.ones((len(own), 1))], "csr")
    model = LogisticRegression(C=10, fit_intercept=False, tol=1e-8, max_iter=5000)
    found = model.fit(columns, own, sample_weight=counts).coef_[0]
    return found[:-1] * scale, found[-1]


def regress_all(
    x: csr_matrix, classes: npt.NDArray[np.int64], counts: npt.NDArray[np.float64] | None = None
) -> npt.NDArray[np.float64]:
    """Return the logits: one difference for two classes, otherwise one-vs-rest with weights centered on zero."""
    if classes.max() == 1:
        weight, bias = regress(x, classes == 1, counts)
        return np.asarray(x @ weight + bias)
    found = [regress(x, classes == c, counts) for c in np.unique(classes)]
    weights = np.array([weight for weight, _ in found])
    return np.asarray(x @ (weights - weights.mean(axis=0)).T + [bias for _, bias in found])


@pytest.mark.parametrize("C", [2, 3])
def test_equals_scikit_learn(C: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "_TOLERANCE", 1e-5)
    batch = draw_labelled(300, C)
    x, keys, idf = build_matrix(batch)
    table = fit(batch, C)
    np.testing.assert_array_equal(table.keys, keys)
    np.testing.assert_allclose(table.idf, idf, rtol=1e-6)
    found = forward(table, batch)
    np.testing.assert_allclose(found[:, 1] - found[:, 0] if C == 2 else found, regress_all(x, batch.classes), atol=2e-3)
    if C == 2:
        np.testing.assert_array_equal(table.weight[:, 0], -table.weight[:, 1])
        assert table.bias[0] == -table.bias[1]


def test_the_default_tolerance_is_close_to_the_solution() -> None:
    batch = draw_labelled(300, 3)
    found, expected = forward(fit(batch, 3), batch), regress_all(build_matrix(batch)[0], batch.classes)
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("C", [2, 3])
def test_cues_are_learned(C: int) -> None:
    table = fit(draw_labelled(600, C), C)
    other = draw_labelled(600, C, seed=9)
    right = (forward(table, other).argmax(axis=1) == other.classes).mean()
    majority = np.bincount(other.classes).max() / len(other)
    most = 0.8 + 0.2 / C  # the other cues are wrong
    assert right > majority + 0.8 * (most - majority)


def test_the_same_arguments_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = draw_labelled(200, 3)
    expected = bytes_of(fit(batch, 3))
    assert bytes_of(fit(batch, 3)) == expected
    corpus = Corpus(batch.ids.astype(np.uint16), batch.offsets, batch.classes.astype(np.int32), np.arange(3))
    again = fit_ngrams(corpus, make_spelling(), classes=3, targets=corpus.classes, seed=1)
    assert again is not None
    assert bytes_of(again) == expected
    for name, value in (("_CHUNK", 50), ("_CHUNK_ENTRIES", 100)):
        monkeypatch.setattr(counts, name, value)
        assert bytes_of(fit(batch, 3)) == expected
    assert bytes_of(fit(batch, 3, seed=2)) != expected
    for seed in (-1, 2**40):
        fit(batch, 3, seed=seed)


def test_the_same_bytes_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = draw_labelled(200, 2)
    expected = bytes_of(fit(batch, 2))
    monkeypatch.setattr(library, "load_native", lambda: library.Native(None, "it was not compiled"))
    assert bytes_of(fit(batch, 2)) == expected


def test_reaching_the_limit_of_passes_gives_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "_MAX_PASSES", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(draw_labelled(200, 2), 2)


def test_texts_without_a_known_class_are_ignored() -> None:
    batch = draw_labelled(200, 2)
    targets = np.where(np.arange(200) % 3 == 0, -1, batch.classes)
    kept = batch.select(np.flatnonzero(targets >= 0))
    assert bytes_of(fit(batch, 2, targets=targets)) == bytes_of(fit(kept, 2))


@pytest.mark.parametrize("C", [3, 4, 9])
def test_a_class_without_texts_is_unlikely(C: int) -> None:
    batch = draw_labelled(200, 2)
    batch = PackedBatch(batch.ids, batch.offsets, batch.classes * 2)  # none of class 1, nor above 2
    table = fit(batch, C)
    missing = [1, *range(3, C)]
    assert not table.weight[:, missing].any()
    assert table.weight[:, [0, 2]].all(axis=1).mean() > 0.9
    shares = np.exp(table.bias.astype(np.float64))
    np.testing.assert_allclose(shares[missing] / shares.sum(), 1 / (200 + 1 + C - 2), rtol=1e-4)
    assert set(forward(table, batch).argmax(axis=1)) == {0, 2}


def test_a_class_without_texts_is_unlikely_among_three_others() -> None:
    batch = draw_labelled(200, 3)
    table = fit(PackedBatch(batch.ids, batch.offsets, batch.classes + 1), 4)
    assert not table.weight[:, 0].any()
    shares = np.exp(table.bias.astype(np.float64))
    np.testing.assert_allclose(shares[0] / shares.sum(), 1 / (200 + 1 + 1), rtol=1e-4)
    np.testing.assert_allclose(table.weight.sum(axis=1), 0, atol=1e-5)


def test_a_class_of_one_text_is_learned() -> None:
    batch = pack([[2, 5, 3], [2, 6, 3], [2, 7, 11], [2, 8, 11], [9, 12, 18]], [0, 0, 1, 1, 2])
    assert forward(fit(batch, 3), batch).argmax(axis=1).tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("texts", "targets"),
    [
        ([], np.zeros(0, np.int64)),
        ([[3], [4]], np.array([1, 1])),
        ([[3], [4]], np.array([1, -1])),
        ([[0], [2]], np.array([1, 0])),
        ([], np.zeros((0, 2), np.bool_)),
        ([[3], [4]], np.array([[True, False], [True, False]])),
    ],
    ids=["no texts", "one class", "one known class", "no words", "no sets", "one set"],
)
def test_without_anything_to_learn_there_is_no_table(texts: list[list[int]], targets: npt.NDArray[np.generic]) -> None:
    assert fit_ngrams(pack(texts), make_spelling(), classes=2, targets=targets, seed=1) is None


def draw_sets(n: int) -> tuple[PackedBatch, npt.NDArray[np.bool_]]:
    """Return texts with any of two labels; no text has the third label, all have the fourth."""
    rng = np.random.default_rng(4)
    has = np.stack([rng.random(n) < 0.5, rng.random(n) < 0.2, np.zeros(n, np.bool_), np.ones(n, np.bool_)], axis=1)
    texts = [
        [*rng.choice([2, 5, 6, 7], 5), *[cue for cue, said in zip(CUES, row, strict=False) if said]] for row in has
    ]
    return pack(texts), has


def test_each_label_has_its_own_regression() -> None:
    batch, has = draw_sets(300)
    table = fit(batch, 4, targets=has)
    logits = forward(table, batch)
    for label in (0, 1):
        alone = forward(fit(batch, 2, targets=has[:, label].astype(np.int64)), batch)
        np.testing.assert_allclose(logits[:, label], alone[:, 1] - alone[:, 0], rtol=1e-4, atol=1e-4)
        assert ((logits[:, label] > 0) == has[:, label]).mean() > 0.95
    np.testing.assert_allclose(logits[:, 2], math.log(1 / 301), rtol=1e-6)
    np.testing.assert_allclose(logits[:, 3], math.log(301), rtol=1e-6)


def test_weights_equal_repeated_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "_TOLERANCE", 1e-5)
    batch = draw_labelled(150, 3)
    weighed = fit(batch, 3, weights=np.array([1.0, 1.0, 4.0]))
    even = fit(batch, 3)
    assert bytes_of(fit(batch, 3, weights=np.ones(3))) == bytes_of(even)
    other = draw_labelled(500, 3, seed=8)
    shares = [
        np.exp(s - np.logaddexp.reduce(s, axis=1, keepdims=True))[:, 2].mean()
        for s in (forward(weighed, other), forward(even, other))
    ]
    assert shares[0] > shares[1] + 0.02
    x, _, _ = build_matrix(batch)
    counts = np.array([1.0, 1.0, 4.0])[batch.classes]
    np.testing.assert_allclose(forward(weighed, batch), regress_all(x, batch.classes, counts), atol=2e-3)


def test_a_class_of_weight_0_is_unlikely() -> None:
    for C in (2, 3):
        batch = draw_labelled(200, C)
        table = fit(batch, C, weights=np.array([1.0] * (C - 1) + [0.0]))
        assert set(forward(table, batch).argmax(axis=1)) == set(range(C - 1))


def test_multi_label_weights_apply_to_texts_with_and_without_the_label() -> None:
    batch, has = draw_sets(200)
    has[:, 0] ^= np.random.default_rng(0).random(200) < 0.2  # in doubt
    ones = np.ones(4)
    even = forward(fit(batch, 4, targets=has), batch)
    having = forward(fit(batch, 4, targets=has, weights=(np.array([5.0, 1, 1, 1]), ones)), batch)
    lacking = forward(fit(batch, 4, targets=has, weights=(ones, np.array([5.0, 1, 1, 1]))), batch)
    assert having[:, 0].mean() > even[:, 0].mean() + 0.2 > lacking[:, 0].mean() + 0.4
    np.testing.assert_array_equal(having[:, 1:], even[:, 1:])


@pytest.mark.parametrize(("C", "bound", "most"), [(2, "MAX_WEIGHTS", 50), (3, "MAX_WEIGHTS", 33), (3, "MAX_KEYS", 100)])
def test_the_most_frequent_ngrams_are_kept(monkeypatch: pytest.MonkeyPatch, C: int, bound: str, most: int) -> None:
    batch = draw_labelled(200, C)
    whole = fit(batch, C)
    monkeypatch.setattr(fitting, bound, 100)
    cut = fit(batch, C)
    counts, keys = count_all(batch, make_spelling())
    df = np.asarray((counts > 0).sum(axis=0)).ravel()
    order = sorted((-texts, key) for key, texts in zip(keys.tolist(), df.tolist(), strict=True))
    assert cut.keys.tolist() == sorted(key for _, key in order[:most])
    assert len(whole.keys) > len(cut.keys)
    np.testing.assert_array_equal(cut.idf, whole.idf[np.searchsorted(whole.keys, cut.keys)])
    x, _, _ = build_matrix(batch)
    assert x.shape[1] == len(whole.keys)


def test_the_work_counts_all_regressions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "EXACT_TOKENS", 0)
    monkeypatch.setattr(sample, "MAX_WORK", 900 * 12)
    batch, (_, has) = draw_labelled(200, 2), draw_sets(200)
    one, three, two = (
        count_sampled(batch, C, targets=targets)
        for C, targets in ((2, batch.classes), (3, batch.classes), (2, has[:, :2]))
    )
    assert one == pytest.approx(3 * three, rel=0.1)
    assert one == pytest.approx(2 * two, rel=0.1)


def count_sampled(batch: PackedBatch, C: int, *, targets: npt.NDArray[Any]) -> int:
    """Return the number of texts that are fitted, as a note says."""
    notes: list[str] = []
    fit(batch, C, targets=targets, report=notes.append)
    (note,) = notes
    return int(note.partition(" of 200 ")[0].split()[-1])


def test_a_sample_of_few_classes_has_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = draw_labelled(120, 3)
    notes: list[str] = []
    few = partial(fit_ngrams, batch, make_spelling(), classes=7, targets=batch.classes, seed=1, report=notes.append)
    assert few() is not None  # the data have three of seven classes, and nothing is sampled
    assert notes == []
    monkeypatch.setattr(sample, "EXACT_TOKENS", 540)
    monkeypatch.setattr(sample, "MAX_TOKENS", 540)
    assert few() is None
    assert ["7 labels" in note and "60 of 120 texts" in note for note in notes] == [True]


@pytest.mark.parametrize("C", [2, 3])
def test_a_large_set_has_nearly_the_exact_model(monkeypatch: pytest.MonkeyPatch, C: int) -> None:
    batch, notes = draw_labelled(600, C), []  # type: PackedBatch, list[str]
    rows, other = np.arange(0, 600, 2), (batch.classes[::2] + 1) % C
    shares = np.tile(np.array([0.75, 0.25], np.float32), 300)
    soft = SoftLabels(np.repeat(rows, 2), np.stack([batch.classes[rows], other], 1).ravel(), shares)
    options: list[dict[str, Any]] = [{}, {"find_soft": soft.select}, {"weights": np.array([1.0, 3, 1])[:C]}]
    exact = [forward(fit(batch, C, **each), batch) for each in options]
    monkeypatch.setattr(sample, "EXACT_TOKENS", 0)
    for expected, each in zip(exact, options, strict=True):
        found = forward(fit(batch, C, report=notes.append, **each), batch)
        assert not np.array_equal(found, expected)
        errors = found - expected
        errors -= errors.mean(axis=1, keepdims=True)  # changes no probability
        assert np.square(errors).mean() < 0.01 * expected.var()
    assert notes == []  # nothing is left out


def test_a_large_multi_label_set_has_nearly_the_exact_model(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, has = draw_sets(400)
    has[:, 0] ^= np.random.default_rng(0).random(400) < 0.2  # in doubt
    expected = forward(fit(batch, 4, targets=has), batch)
    monkeypatch.setattr(sample, "EXACT_TOKENS", 0)
    found = forward(fit(batch, 4, targets=has), batch)
    np.testing.assert_array_equal(found[:, 3], expected[:, 3])  # the label has no text
    assert np.square(found - expected).mean() < 0.02 * expected.var()


def test_a_note_counts_the_ngrams_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, notes = draw_labelled(200, 2), []
    whole = fit(batch, 2, report=notes.append)
    assert notes == []
    monkeypatch.setattr(fitting, "MAX_KEYS", 100)
    fit(batch, 2, report=notes.append)
    assert [f"the 100 most frequent of {len(whole.keys):,}" in note for note in notes] == [True]


@pytest.mark.parametrize("weight", [1.0, 30.0, 1000.0])
def test_large_weights_do_not_disturb_the_fit(weight: float) -> None:
    """The logits of a rare class equal those of a solver whose steps do not depend on the weights."""
    batch = draw_labelled(400, 3)
    classes = np.where(np.arange(400) % 40 == 0, 1, 0) * (batch.classes == 2)
    rare = PackedBatch(batch.ids, batch.offsets, classes.astype(np.int64))
    logits = forward(fit(rare, 2, weights=np.array([1.0, weight])), rare)
    expected = regress_all(build_matrix(rare)[0], classes, np.where(classes == 1, weight, 1.0))
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], expected, atol=0.02)


def test_a_text_with_a_distribution_counts_as_several() -> None:
    batch = draw_labelled(200, 3)
    rows = np.arange(0, 200, 2)
    other = (batch.classes[rows] + 1) % 3
    triples = (np.repeat(rows, 2), np.stack([batch.classes[rows], other], 1).ravel(), np.tile([0.75, 0.25], 100))
    soft = SoftLabels(triples[0], triples[1], triples[2].astype(np.float32))
    got = fit(batch, 3, find_soft=soft.select)
    # the same by hand: a copy of each text of each class, with its weight; document frequencies stay those of the texts
    shares = np.eye(3)[batch.classes]
    shares[rows] = 0
    shares[triples[:2]] = triples[2]
    for c in range(3):
        share = shares[:, c]
        positive = forward(got, batch)[:, c]
        assert np.corrcoef(share, positive)[0, 1] > 0.8
    plain = forward(fit(batch, 3), batch)
    softened = forward(got, batch)
    sure = [np.exp(x).max(axis=1) / np.exp(x).sum(axis=1) for x in (plain[rows], softened[rows])]
    assert sure[1].mean() < sure[0].mean()
    certain = SoftLabels(np.arange(200), batch.classes, np.ones(200, np.float32))
    np.testing.assert_allclose(forward(fit(batch, 3, find_soft=certain.select), batch), plain, atol=1e-3)


def test_a_text_without_weight_has_no_part() -> None:
    batch = draw_labelled(300, 2)
    wrong = np.arange(150)
    classes = batch.classes.copy()
    classes[wrong] = 1 - classes[wrong]
    weights = np.ones(300, np.float32)
    weights[wrong] = 0
    got = forward(fit(batch, 2, targets=classes, text_weights=weights), batch)
    expected = forward(fit(batch, 2), batch)
    assert (got.argmax(1) == expected.argmax(1)).mean() > 0.95
    np.testing.assert_array_equal(
        forward(fit(batch, 2, text_weights=np.ones(300, np.float32)), batch).argmax(1), expected.argmax(1)
    )
