"""The two solvers: they agree, on shares and weights too, and the same arguments give the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse import csr_matrix, random_array
from sklearn.linear_model import SGDClassifier

from textrnn.models.ngram import logistic
from textrnn.models.ngram.logistic import regress

n, F = 1500, 60
RNG = np.random.default_rng(0)
X = csr_matrix(random_array((n, F), density=0.15, rng=RNG, dtype=np.float64)).astype(np.float32)
TRUTH = X @ RNG.normal(0, 3, F)
SHARE = (1 / (1 + np.exp(-TRUTH))).astype(np.float32)
OWN = RNG.random(n) < SHARE
RARE = np.argsort(np.argsort(-TRUTH)) < 40


def solve(share: npt.NDArray[Any], **options: Any) -> npt.NDArray[np.float64]:
    """Return the logits (n,) of a regression."""
    weights, intercept = regress(X, share, **{"sample": None, "penalty": 1.0, "seed": 1, **options})
    logits: npt.NDArray[np.float64] = X @ weights + intercept
    return logits


@pytest.mark.parametrize(
    ("share", "sample"),
    [
        (OWN, None),
        (OWN, RNG.random(n) * 5),
        (SHARE, None),
        (SHARE, RNG.random(n)),
        (np.clip(np.rint(TRUTH), 0, 1).astype(np.float32), None),
    ],
    ids=["classes", "weights", "shares", "shares and weights", "certain shares"],
)
def test_gradient_descent_comes_close_to_the_solution(
    share: npt.NDArray[Any], sample: npt.NDArray[np.float64] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logistic, "_TOLERANCE", 1e-5)
    exact, found = (solve(share, sample=sample, is_exact=is_exact) for is_exact in (True, False))
    assert np.sqrt(np.square(found - exact).mean()) < 0.06 * exact.std()
    assert abs((found - exact).mean()) < 0.05 * exact.std()


@pytest.mark.parametrize("weight", [40.0, 1000.0])
def test_a_large_weight_of_a_rare_class_does_not_disturb_the_steps(weight: float) -> None:
    sample = np.where(RARE, weight, 1.0)
    exact, found = (solve(RARE, sample=sample, is_exact=is_exact) for is_exact in (True, False))
    assert np.corrcoef(exact, found)[0, 1] > 0.97
    assert found.std() < 1.2 * exact.std()


@pytest.mark.parametrize(("weight", "count"), [(0.1, 1100), (0.3, 1500), (0.7, 1000)])
def test_texts_of_equal_weight_are_visited_once_in_a_pass(
    weight: float, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, visits = np.full(count, weight), []
    assert (sample * (count / sample.sum())).max() > 1  # the mean is rounded

    class Spy(SGDClassifier):
        def partial_fit(self, x: csr_matrix, *arguments: Any, **options: Any) -> Any:
            visits.append(x.shape[0])
            return super().partial_fit(x, *arguments, **options)

    monkeypatch.setattr(logistic, "SGDClassifier", Spy)
    regress(X[:count], OWN[:count], sample=sample, penalty=1.0, seed=1, is_exact=False)
    assert sum(visits) == 20 * count


@pytest.mark.parametrize("is_exact", [True, False])
@pytest.mark.parametrize("share", [OWN, SHARE])
def test_the_matrix_changes_only_where_it_may(share: npt.NDArray[Any], is_exact: bool) -> None:
    values = X.data.copy()
    kept = solve(share, is_exact=is_exact)
    np.testing.assert_array_equal(X.data, values)
    options: dict[str, Any] = {"sample": None, "penalty": 1.0, "seed": 1, "is_exact": is_exact}
    weights, intercept = regress(X.copy(), share, overwrite=True, **options)
    np.testing.assert_array_equal(X @ weights + intercept, kept)


def test_the_seed_fixes_the_order_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = solve(OWN, is_exact=False)
    monkeypatch.setattr(logistic, "_CHUNK_ENTRIES", 200)
    np.testing.assert_allclose(solve(OWN, is_exact=False), expected, atol=1e-3)  # each chunk rounds once
    assert not np.array_equal(solve(OWN, is_exact=False, seed=2), expected)


@pytest.mark.parametrize("is_exact", [True, False])
def test_texts_without_weight_have_no_part(is_exact: bool) -> None:
    wrong = np.arange(n) % 2 == 0
    found = solve(OWN ^ wrong, sample=np.where(wrong, 0.0, 1.0), is_exact=is_exact)
    assert np.corrcoef(found, solve(OWN, is_exact=True))[0, 1] > 0.9
    assert np.isfinite(solve(OWN, sample=np.zeros(n), is_exact=is_exact)).all()
