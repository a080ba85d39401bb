"""Functions of the C++ library on numpy arrays, which other tests call on tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from textrnn.native import functions, library

pytestmark = pytest.mark.skipif(not library.is_available(), reason="the library was not compiled")

OFFSETS = np.array([0, 2, 5])


def run(convert: Any) -> list[npt.NDArray[np.float32]]:
    """Return the results of each function, called on what ``convert`` makes of numpy arrays."""
    rng = np.random.default_rng(1)
    x, w = (rng.standard_normal(shape, np.float32) for shape in ((5, 7), 7))
    results = {name: np.full((5, 7), np.nan, np.float32) for name in ("entries", "columns", "norm", "sums")}
    results |= {name: np.full((2, 7), np.nan, np.float32) for name in ("largest", "mean", "attended")}
    out = {name: convert(array) for name, array in results.items()}
    x, w, offsets = convert(x), convert(w), convert(OFFSETS)
    functions.dropout(x=x, y=out["entries"], keep=0.5, key=3, threads=2)
    functions.dropout(x=x, y=out["columns"], keep=0.5, key=3, offsets=offsets, threads=2)
    functions.layer_norm(x=x, n=out["norm"], gain=w, bias=w, epsilon=1e-5, threads=2)
    place = convert(np.zeros((2, 7), np.int32))
    functions.pool_rows(x=x, offsets=offsets, largest=out["largest"], place=place, mean=out["mean"], threads=2)
    functions.attend(x=x, w=w, offsets=offsets, pooled=out["attended"], threads=2)
    functions.add_rows(x=x, places=convert(np.array([0, 4, 0, 1, 4])), sums=out["sums"], threads=2)
    return list(results.values())


def test_numpy_arrays_and_tensors_give_the_same_bits() -> None:
    for mine, theirs in zip(run(np.asarray), run(torch.from_numpy), strict=True):
        assert not np.isnan(mine).any()
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("offsets", [[0, 3, 2, 5], [1, 5], [0, 6], [0, 4]], ids=str)
def test_offsets_that_do_not_bound_the_rows_are_refused(offsets: list[int]) -> None:
    x, at = np.ones((5, 7), np.float32), np.array(offsets)
    with pytest.raises(ValueError, match="offsets should rise"):
        functions.dropout(x=x, y=x.copy(), keep=0.5, key=3, offsets=at, threads=1)
    with pytest.raises(ValueError, match="offsets should rise"):
        functions.layer_norm(
            x=x, n=x.copy(), gain=x[0], bias=x[0], epsilon=1e-5, y=x.copy(), offsets=at, keep=0.5, threads=1
        )
