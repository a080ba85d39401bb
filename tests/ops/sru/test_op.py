"""The operator of the recurrence as torch sees it: autograd, tracing and autocast."""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from sru_inputs import make_inputs
from textrnn.native import library
from textrnn.ops.sru.inputs import SruInputs
from textrnn.ops.sru.recurrence import sru_recurrence

pytestmark = pytest.mark.skipif(
    not library.is_available() and "TEXTRNN_WITHOUT_NATIVE" in os.environ, reason="installed without a compiler"
)


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
