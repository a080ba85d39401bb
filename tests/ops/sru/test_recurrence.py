"""The SRU recurrence against the formulas written out, and against numerical gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sru_inputs import make_inputs
from textrnn.errors import BackendError
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.sru.inputs import SruInputs
from textrnn.ops.sru.recurrence import sru_recurrence

TOLERANCE = {
    torch.float64: 1e-12,  # rounding of some hundred operations
    torch.float32: 1e-5,  # the same, over 257 steps
    torch.float16: 2e-3,  # inputs and outputs are rounded to 11 bits; the state is float32
    torch.bfloat16: 2e-2,  # 8 bits
}


def layout_of(*offsets: int) -> BatchLayout:
    return BatchLayout(torch.tensor(offsets))


def write_out(inputs: SruInputs) -> tuple[Tensor, Tensor]:
    """The formulas of the paper, one row of one step at a time."""
    u, x, v, b, c0, offsets = inputs.u, inputs.x, inputs.v, inputs.b, inputs.c0, inputs.layout.offsets
    assert c0 is not None
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
                highway = u[t, k, 3] if x is None else inputs.alpha * x[t, k]
                h[t, k] = r * c + (1 - r) * highway
            final[i, k] = c
    return h, final


def call(inputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
    return sru_recurrence(**inputs)


@pytest.mark.parametrize("lengths", [[1], [3, 0, 5, 5, 1], [0, 0], [63, 2], [257]], ids=str)
@pytest.mark.parametrize("K", [1, 2])
@pytest.mark.parametrize("G", [3, 4])
def test_equals_the_formulas(lengths: list[int], K: int, G: int) -> None:
    inputs = make_inputs(lengths, K=K, G=G, D=3, dtype=torch.float64)
    h, final = call(inputs)
    expected_h, expected_final = write_out(SruInputs(**inputs))
    torch.testing.assert_close(h, expected_h, rtol=0, atol=TOLERANCE[torch.float64])
    torch.testing.assert_close(final, expected_final, rtol=0, atol=TOLERANCE[torch.float64])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("D", [1, 100, 128])
def test_lower_precision_keeps_the_state_in_float32(dtype: torch.dtype, D: int) -> None:
    inputs = make_inputs([257, 1, 63], K=2, G=3, D=D, dtype=dtype)
    h, final = call(inputs)
    exact = {
        name: value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
        for name, value in inputs.items()
    }
    expected_h, expected_final = call(exact)
    assert h.dtype == dtype
    assert final.dtype == torch.float32
    # h is rounded once, relative to its size; the state is not rounded at all
    torch.testing.assert_close(h.double(), expected_h, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    torch.testing.assert_close(final.double(), expected_final, rtol=0, atol=TOLERANCE[torch.float32])


@pytest.mark.parametrize("K", [1, 2])
@pytest.mark.parametrize("G", [3, 4])
def test_gradients_equal_numerical_ones(K: int, G: int) -> None:
    inputs = make_inputs([3, 0, 4, 1], K=K, G=G, D=2, dtype=torch.float64)
    names = [name for name in ("u", "x", "v", "b") if inputs[name] is not None]

    def run(*values: Tensor) -> Tensor:
        return call({**inputs, **dict(zip(names, values, strict=True))})[0]

    assert torch.autograd.gradcheck(run, [inputs[name] for name in names])


def test_windows_that_pass_the_state_on_equal_the_whole_text() -> None:
    inputs = make_inputs([7], K=1, G=4, D=5, dtype=torch.float64)
    whole, last = call(inputs)
    parts, state = [], inputs["c0"]
    for rows in (slice(0, 3), slice(3, 7)):
        window = {"u": inputs["u"][rows], "layout": layout_of(0, rows.stop - rows.start), "c0": state}
        h, state = call(inputs | window)
        assert not state.requires_grad
        parts.append(h)
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=TOLERANCE[torch.float64])
    torch.testing.assert_close(state, last, rtol=0, atol=TOLERANCE[torch.float64])


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(BackendError, match=r"'mkl'.*reference"):
        call(make_inputs([2], K=1, G=4, D=2, dtype=torch.float64) | {"backend": "mkl"})
