"""Layer norm and pooling for prediction, by the library and by numpy, equal those of torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from textrnn.inference import pooling
from textrnn.inference.pooling import Array
from textrnn.models.pooling import SequencePool
from textrnn.native import library
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.time_major import Index

RAGGED = np.array([0, 1, 4, 90, 92, 93, 130], np.int64)
SINGLE = np.array([0, 7], np.int64)
HOW = ("max", "mean", "max+mean", "last", "attention")
has_library = library.load_native().library is not None
needs_library = pytest.mark.skipif(not has_library, reason="the library was not compiled")


@pytest.fixture(params=[pytest.param("library", marks=needs_library), "numpy"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "numpy":
        monkeypatch.setattr(library, "load_native", lambda: library.Native(None, "it was not compiled"))


def draw(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(("N", "D"), [(1, 1), (1, 64), (7, 33), (130, 256), (0, 5)])
def test_layer_norm_equals_torch(N: int, D: int) -> None:
    x, weight, bias = 3 * draw(N, D) + 1, draw(D, seed=1), draw(D, seed=2)
    if N > 2:
        x[2] = 5  # no variance at all
    expected = functional.layer_norm(
        *(torch.from_numpy(x).double(), (D,)), *(torch.from_numpy(array).double() for array in (weight, bias)), eps=1e-5
    )
    for threads in (1, 3):
        got = pooling.layer_norm(x, weight, bias, threads=threads)
        assert (got.dtype, got.shape) == (np.float32, (N, D))
        np.testing.assert_allclose(got, expected.numpy(), rtol=0, atol=2e-5)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("offsets", [RAGGED, SINGLE], ids=["ragged", "single"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("how", HOW)
def test_pooling_equals_the_torch_layer(how: str, bidirectional: bool, offsets: Index) -> None:
    width = 34
    h, w = draw(int(offsets[-1]), width), draw(width, seed=1)
    layer = SequencePool(how, width, bidirectional=bidirectional).double()
    if how == "attention":
        layer.w.data = torch.from_numpy(w).double()
    with torch.no_grad():
        expected = layer(torch.from_numpy(h).double(), BatchLayout(torch.from_numpy(offsets))).numpy()
    for threads in (1, 3):
        got = pooling.pool(h, offsets, how, w=w, bidirectional=bidirectional, threads=threads)
        assert (got.dtype, got.shape) == (np.float32, (len(offsets) - 1, layer.output_size))
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)


@needs_library
@pytest.mark.parametrize("offsets", [[0, 0, 7], [0, 6], [1, 7], [0, 8], [0, 5, 3, 7]], ids=str)
def test_wrong_offsets_are_refused(offsets: list[int]) -> None:
    for how in ("max", "mean", "max+mean", "attention"):
        w = draw(3) if how == "attention" else None
        with pytest.raises(ValueError, match="offsets should rise"):
            pooling.pool(draw(7, 3), np.array(offsets, np.int64), how, w=w, bidirectional=False, threads=1)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]])
def test_attention_is_stable_for_large_scores_in_any_order(order: list[int]) -> None:
    h = np.array([[-2, 7], [0, 5], [0.5, 3], [4, 1]], np.float32)[order]
    w = np.array([300, 0], np.float32)  # scores of -289, 0, 139 and 300
    pooled = pooling.pool(h, np.array([0, 4]), "attention", w=w, bidirectional=False, threads=1)
    np.testing.assert_allclose(pooled, [[4, 1]], rtol=1e-6)
    w = -w
    pooled = pooling.pool(h, np.array([0, 4]), "attention", w=w, bidirectional=False, threads=1)
    np.testing.assert_allclose(pooled, [[-2, 7]], rtol=1e-6)


def test_sigmoid_does_not_overflow() -> None:
    x = np.array([-1e30, -100, -1, 0, 1, 100, 1e30], np.float32)
    with np.errstate(all="raise"):
        got = pooling.sigmoid(x)
    np.testing.assert_allclose(got, torch.sigmoid(torch.from_numpy(x)).numpy(), rtol=0, atol=1e-7)
