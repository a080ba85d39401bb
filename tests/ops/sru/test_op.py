"""The operator of the recurrence as torch sees it: autograd, tracing and autocast."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from textrnn.native import library
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.sru.inputs import SruInputs
from textrnn.ops.sru.recurrence import sru_recurrence

pytestmark = pytest.mark.skipif(
    not library.is_available() and "TEXTRNN_WITHOUT_NATIVE" in os.environ, reason="installed without a compiler"
)


def make_inputs(lengths: list[int], *, G: int = 3, D: int = 16) -> dict[str, Any]:
    torch.manual_seed(7 + G + D)
    N, B = sum(lengths), len(lengths)
    inputs: dict[str, Any] = {"u": torch.randn(N, 2, G, D), "v": torch.randn(2, 2, D) / 2, "b": torch.randn(2, 2, D)}
    inputs = {name: value.requires_grad_() for name, value in inputs.items()}
    x = torch.randn(N, 2, D, requires_grad=True) if G == 3 else None
    layout = BatchLayout(torch.tensor([0, *lengths]).cumsum(0))
    return inputs | {"x": x, "layout": layout, "alpha": 1.7, "c0": torch.randn(B, 2, D)}


def test_second_and_forward_mode_derivatives_are_refused() -> None:
    inputs = make_inputs([3, 4])
    h, _ = sru_recurrence(**inputs)
    (du,) = torch.autograd.grad(h.square().sum(), inputs["u"], create_graph=True)
    with pytest.raises(NotImplementedError, match="no second derivatives"):
        du.square().sum().backward()
    with forward_ad.dual_level(), torch.no_grad():
        dual = forward_ad.make_dual(inputs["u"].detach(), torch.ones_like(inputs["u"]))
        with pytest.raises(NotImplementedError, match="backward mode"):
            sru_recurrence(**inputs | {"u": dual})


@pytest.mark.parametrize("G", [3, 4])
def test_opcheck(G: int) -> None:
    inputs = make_inputs([3, 0, 4], G=G, D=5)
    arguments = SruInputs(**inputs).pack()
    torch.library.opcheck(torch.ops.textrnn.sru_forward.default, (*arguments, True, "cpu"))
    detached = [value.detach() if isinstance(value, Tensor) else value for value in arguments]
    h, states, _ = torch.ops.textrnn.sru_forward(*detached, True, "cpu")
    torch.library.opcheck(torch.ops.textrnn.sru_backward.default, (*detached, states, torch.ones_like(h), "cpu"))


def test_compiles_as_one_graph() -> None:
    inputs = make_inputs([3, 0, 40], D=24)

    def run(u: Tensor, x: Tensor, v: Tensor) -> Tensor:
        h, final = sru_recurrence(2 * u, x, inputs["layout"], v=v, b=inputs["b"], c0=inputs["c0"])
        return h.sin().sum() + final.sum()

    leaves = [inputs[name] for name in ("u", "x", "v")]
    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    for got, wanted in zip(
        torch.autograd.grad(compiled(*leaves), leaves), torch.autograd.grad(run(*leaves), leaves), strict=True
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6)


def test_autocast_computes_in_bfloat16_with_a_float32_state() -> None:
    inputs = make_inputs([50, 3], G=3, D=16)
    weight = torch.randn(32, 2 * 3 * 16, requires_grad=True)
    rows = torch.randn(53, 32, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        h, final = sru_recurrence(
            (rows @ weight).view(53, 2, 3, 16), rows.view(53, 2, 16), inputs["layout"], v=inputs["v"], b=inputs["b"]
        )
    assert h.dtype == torch.bfloat16
    assert final.dtype == torch.float32
    gradients = torch.autograd.grad(h.float().sum(), [rows, weight, inputs["v"]])
    assert [gradient.dtype for gradient in gradients] == [torch.float32] * 3
