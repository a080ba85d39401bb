"""The kernels of a training step equal their definitions, in Triton's interpreter: no GPU is needed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from samples import make_config
from textrnn.models.classifier import Classifier
from textrnn.native import functions, library
from textrnn.ops import fused, pooling
from textrnn.ops.embedding import group_places
from textrnn.training.loss import TextLoss
from textrnn.training.train_step import LossModule

pytest.importorskip("triton")
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("TRITON_INTERPRET", "1")  # Triton reads it when the kernels are defined
    pytest.importorskip("textrnn.ops.fused_kernels")

pytestmark = [
    pytest.mark.usefixtures("nan_memory"),
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),  # of the hash, as intended
]
OFFSETS = torch.tensor([0, 3, 4, 13])
SEQUENCES = torch.repeat_interleave(torch.arange(3, dtype=torch.int32), OFFSETS.diff())
# relative to the largest entry: some ten operations in float32; what is stored in 16 bits is cut off there
TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 2.0**-7, torch.float16: 2.0**-10}


def gradients(outputs: list[Tensor], leaves: list[Tensor]) -> list[Tensor]:
    weights = [torch.cos(torch.arange(t.numel()) * (0.3 + i)).view(t.shape).to(t) for i, t in enumerate(outputs)]
    return list(torch.autograd.grad(outputs, leaves, weights))


def compare(got: list[Tensor], expected: list[Tensor], dtype: torch.dtype = torch.float32) -> None:
    for mine, exact in zip(got, expected, strict=True):
        assert mine.shape == exact.shape
        bound = TOLERANCE[dtype] * float(exact.detach().abs().max().clamp(min=1))
        torch.testing.assert_close(mine.double(), exact.double(), rtol=0, atol=3 * bound)


def draw(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype).requires_grad_()


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("D", [1, 7, 33])
@pytest.mark.parametrize("how", ["entries", "columns", "none"])
def test_dropout_and_layer_norm(dtype: torch.dtype, D: int, how: str) -> None:
    x, gain, bias = draw(13, D, dtype=dtype), draw(D + 1)[:D].detach().requires_grad_(), draw(D)
    p = 0.0 if how == "none" else 0.4
    options = {"key": 2**40 + 3, "sequences": SEQUENCES if how == "columns" else None, "epsilon": 1e-5}
    y, n = fused.dropout_layer_norm(x, p, gain=gain, bias=bias, dtype=dtype, **options)
    assert y.dtype == n.dtype == dtype
    kept = (y != 0).double() / (1 - p) if p else torch.ones(13, D)
    again = [t.detach().double().requires_grad_() for t in (x, gain, bias)]
    dropped = again[0] * kept
    rounded = dropped + (dropped.to(dtype).double() - dropped).detach()
    exact = [dropped, functional.layer_norm(rounded, (D,), *again[1:])]
    compare([y, n], [exact[0], exact[1]], dtype)
    compare(gradients([y, n], [x, gain, bias]), gradients(exact, again), dtype)


@pytest.mark.skipif(not library.is_available(), reason="the library was not compiled")
@pytest.mark.parametrize("key", [0, 5, 2**40 + 3, 2**63 - 2])
def test_dropout_draws_as_the_library_does(key: int) -> None:
    x, ones = torch.ones(60, 9), torch.ones(9)
    offsets = torch.arange(0, 61, 3)
    sequences = torch.arange(60, dtype=torch.int32) // 3
    for by in (None, sequences):
        expected = torch.empty_like(x)
        functions.dropout(x=x, y=expected, keep=0.7, key=key, offsets=None if by is None else offsets, threads=1)
        options = {"gain": ones, "bias": ones, "epsilon": 1e-5, "dtype": torch.float32, "sequences": by}
        y, _ = fused.dropout_layer_norm(x, 0.3, key=key, **options)
        assert torch.equal(y == 0, expected == 0)
        torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("D", [1, 7, 33])
def test_attention(dtype: torch.dtype, D: int) -> None:
    h, w = draw(13, D, dtype=dtype), draw(D)
    again = [h.detach().double().requires_grad_(), w.detach().double().requires_grad_()]
    got, expected = fused.attend(h, w, OFFSETS), pooling.attend(*again, OFFSETS)
    assert got.dtype == torch.float32
    compare([got], [expected])
    compare(gradients([got], [h, w]), gradients([expected], again), dtype)


def test_attention_to_scores_far_from_each_other() -> None:
    h, w = torch.tensor([[9.0], [-9.0], [0.0], [9.0]]), torch.tensor([200.0])
    expected = torch.tensor([[9.0], [4.5]])
    torch.testing.assert_close(fused.attend(h, w, torch.tensor([0, 2, 2 + 2])), torch.tensor([[9.0], [9.0]]))
    torch.testing.assert_close(fused.attend(h[[0, 2, 0, 2]], w * 0, torch.tensor([0, 1, 3]))[:2], expected)


def test_rows_and_their_gradient() -> None:
    places = np.random.default_rng(1).integers(0, 9, 50)
    order, starts = group_places(places, 10)  # no token has the last row
    assert [places[order[a:b]].tolist() for a, b in zip(starts, starts[1:], strict=False)] == [
        [row] * int((places == row).sum()) for row in range(10)
    ]
    table, index = draw(10, 7), torch.from_numpy(places)
    got = fused.take_rows(table, index, (torch.from_numpy(order), torch.from_numpy(starts)))
    again = table.detach().double().requires_grad_()
    expected = functional.embedding(index, again)
    assert torch.equal(got, expected.float())
    compare(gradients([got], [table]), gradients([expected], [again]))


class Fixed(Classifier):
    """A classifier whose logits are its embeddings."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def forward_embeddings(self, x: Tensor, layout: object) -> Tensor:
        """Return ``x``."""
        del layout
        return x


@pytest.mark.parametrize("r_drop", [0.0, 3.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("C", [2, 5, 40])
def test_loss(r_drop: float, smoothing: float, C: int) -> None:
    config = make_config(train__label_smoothing=smoothing).train
    definition = LossModule(
        Fixed(), TextLoss(config, labels=["a"] * C, counts=[1] * C), embedding_dropout=0.0, r_drop=r_drop
    )
    targets = torch.tensor([1, 0, -1, C - 1])
    rows = 8 if r_drop else 4
    logits = (draw(rows, C).detach() * 3).requires_grad_()
    again = logits.detach().double().requires_grad_()
    got = fused.softmax_loss(logits, targets, smoothing=smoothing, r_drop=r_drop or None)
    expected = definition(again, torch.arange(rows), layout=None, targets=targets)
    compare([got], [expected])
    compare(gradients([got], [logits]), gradients([expected], [again]))


def test_no_rows() -> None:
    none, w = torch.empty(0, 4, requires_grad=True), draw(4)
    at = torch.zeros(1, dtype=torch.int64)
    calls: list[Callable[[], list[Tensor]]] = [
        lambda: [fused.attend(none, w, at)],
        lambda: list(
            fused.dropout_layer_norm(
                none, 0.5, gain=w, bias=w, epsilon=1e-5, key=1, sequences=None, dtype=torch.float32
            )
        ),
    ]
    for call in calls:
        outputs = call()
        assert all(output.shape == (0, 4) for output in outputs)
        assert torch.equal(gradients(outputs, [w])[0], torch.zeros(4))
