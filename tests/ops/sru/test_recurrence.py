"""The SRU recurrence against the formulas written out, and against numerical gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from textrnn.errors import BackendError
from textrnn.ops.sru.recurrence import sru_recurrence

TOLERANCE = {
    torch.float64: 1e-12,  # rounding of some hundred operations
    torch.float32: 1e-5,  # the same, over 257 steps
    torch.float16: 2e-3,  # inputs and outputs are rounded to 11 bits; the state is float32
    torch.bfloat16: 2e-2,  # 8 bits
}


def make_inputs(lengths: list[int], *, K: int, G: int, D: int, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(sum(lengths) + 10 * D + G)
    N, B = sum(lengths), len(lengths)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    return {
        "u": draw(N, K, G, D),
        "x": draw(N, K, D) if G == 3 else None,
        "offsets": torch.tensor([0, *lengths]).cumsum(0),
        "v": (draw(K, 2, D) / 2).detach().requires_grad_(),  # below 1: rounding does not grow from step to step
        "b": draw(K, 2, D),
        "alpha": 1.7,
        "c0": draw(B, K, D),
        "mask": (torch.rand(B, K, D, generator=generator) > 0.3).to(dtype) / 0.7,
    }


def write_out(
    u: Tensor, x: Tensor | None, offsets: Tensor, *, v: Tensor, b: Tensor, alpha: float, c0: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """The formulas of the paper, one number of one step at a time."""
    N, K, _, D = u.shape
    h = torch.zeros(N, K, D, dtype=u.dtype)
    final = torch.zeros_like(c0)
    for i in range(len(offsets) - 1):
        for k in range(K):
            c = c0[i, k]
            steps = range(int(offsets[i]), int(offsets[i + 1]))
            for t in steps if k == 0 else reversed(steps):
                f = torch.sigmoid(u[t, k, 1] + v[k, 0] * c + b[k, 0])
                r = torch.sigmoid(u[t, k, 2] + v[k, 1] * c + b[k, 1])
                c = f * c + (1 - f) * u[t, k, 0]
                highway = u[t, k, 3] if x is None else alpha * x[t, k]
                h[t, k] = r * mask[i, k] * c + (1 - r) * highway
            final[i, k] = c
    return h, final


def call(inputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
    rest = {name: inputs[name] for name in ("v", "b", "alpha", "c0", "mask")}
    return sru_recurrence(inputs["u"], inputs["x"], inputs["offsets"], **rest)


@pytest.mark.parametrize("lengths", [[1], [3, 0, 5, 5, 1], [0, 0], [63, 2], [257]], ids=str)
@pytest.mark.parametrize("K", [1, 2])
@pytest.mark.parametrize("G", [3, 4])
def test_equals_the_formulas(lengths: list[int], K: int, G: int) -> None:
    inputs = make_inputs(lengths, K=K, G=G, D=3)
    h, final = call(inputs)
    wanted_h, wanted_final = write_out(
        inputs["u"], inputs["x"], inputs["offsets"], **{n: inputs[n] for n in ("v", "b", "alpha", "c0", "mask")}
    )
    torch.testing.assert_close(h, wanted_h, rtol=0, atol=TOLERANCE[torch.float64])
    torch.testing.assert_close(final, wanted_final, rtol=0, atol=TOLERANCE[torch.float64])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("D", [1, 100, 128])
def test_lower_precision_keeps_the_state_in_float32(dtype: torch.dtype, D: int) -> None:
    inputs = make_inputs([257, 1, 63], K=2, G=3, D=D, dtype=dtype)
    h, final = call(inputs)
    exact = {
        name: value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
        for name, value in inputs.items()
    }
    wanted_h, wanted_final = call(exact)
    assert h.dtype == dtype
    assert final.dtype == torch.float32
    # h is rounded once, relative to its size; the state is not rounded at all
    torch.testing.assert_close(h.double(), wanted_h, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    torch.testing.assert_close(final.double(), wanted_final, rtol=0, atol=TOLERANCE[torch.float32])


@pytest.mark.parametrize("K", [1, 2])
@pytest.mark.parametrize("G", [3, 4])
def test_gradients_equal_numerical_ones(K: int, G: int) -> None:
    inputs = make_inputs([3, 0, 4, 1], K=K, G=G, D=2)
    names = [name for name in ("u", "x", "v", "b", "c0") if inputs[name] is not None]

    def run(*values: Tensor) -> tuple[Tensor, Tensor]:
        return call({**inputs, **dict(zip(names, values, strict=True))})

    assert torch.autograd.gradcheck(run, [inputs[name] for name in names])


def test_a_sequence_does_not_depend_on_the_batch() -> None:
    lengths = [5, 0, 9, 2]
    inputs = make_inputs(lengths, K=2, G=4, D=16, dtype=torch.float32)
    h, final = call(inputs)
    for i, (start, length) in enumerate(zip(inputs["offsets"], lengths, strict=False)):
        rows = slice(int(start), int(start) + length)
        alone = {
            **inputs,
            "u": inputs["u"][rows],
            "offsets": torch.tensor([0, length]),
            "c0": inputs["c0"][i : i + 1],
            "mask": inputs["mask"][i : i + 1],
        }
        h_alone, final_alone = call(alone)
        assert torch.equal(h[rows], h_alone)
        assert torch.equal(final[i], final_alone[0])


def test_non_contiguous_inputs_give_the_same() -> None:
    inputs = make_inputs([4, 2], K=2, G=3, D=5)
    wanted = call(inputs)
    inputs["u"] = inputs["u"].transpose(0, 3).contiguous().transpose(0, 3)
    inputs["v"] = inputs["v"].transpose(0, 2).contiguous().transpose(0, 2)
    for got, value in zip(call(inputs), wanted, strict=True):
        assert torch.equal(got, value)


def test_states_start_at_zero_without_c0() -> None:
    inputs = make_inputs([4, 0], K=2, G=3, D=5)
    zeros = {**inputs, "c0": torch.zeros(2, 2, 5, dtype=torch.float64)}
    for got, value in zip(call({**inputs, "c0": None}), call(zeros), strict=True):
        assert torch.equal(got, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u": torch.zeros(3, 1, 5, 2)}, "u should be"),
        ({"u": torch.zeros(3, 1, 3, 2, dtype=torch.int64)}, "floating-point"),
        ({"x": None}, "x is needed"),
        ({"x": torch.zeros(3, 1, 4)}, "x should be"),
        ({"offsets": torch.tensor([0, 2])}, "offsets should rise"),
        ({"offsets": torch.tensor([0, 3, 2, 3]), "c0": None, "mask": None}, "offsets should rise"),
        ({"offsets": torch.tensor([0, 3], dtype=torch.int32)}, "int64"),
        ({"v": torch.zeros(2, 2)}, "v should be"),
        ({"b": torch.zeros(1, 2, 3)}, "b should be"),
        ({"c0": torch.zeros(2, 1, 2)}, "c0 should be"),
        ({"mask": torch.zeros(1, 1, 3)}, "mask should be"),
    ],
)
def test_wrong_shapes_are_refused(change: dict[str, Any], message: str) -> None:
    inputs = {
        "u": torch.zeros(3, 1, 3, 2),
        "x": torch.zeros(3, 1, 2),
        "offsets": torch.tensor([0, 3]),
        "v": torch.zeros(1, 2, 2),
        "b": torch.zeros(1, 2, 2),
        "alpha": 1.0,
        "c0": torch.zeros(1, 1, 2),
        "mask": torch.ones(1, 1, 2),
    }
    call(inputs)
    with pytest.raises(ValueError, match=message):
        call(inputs | change)


def test_an_unknown_backend_is_refused() -> None:
    inputs = make_inputs([2], K=1, G=4, D=2)
    with pytest.raises(BackendError, match=r"no SRU backend 'mkl'.*reference"):
        sru_recurrence(inputs["u"], None, inputs["offsets"], v=inputs["v"], b=inputs["b"], backend="mkl")
