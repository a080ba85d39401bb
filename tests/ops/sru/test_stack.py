"""All SRU layers as one step of autograd, against one layer after the other."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from textrnn.models.sru import SRU, run_stacked
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.sru import stack
from textrnn.ops.sru.stack import Stack, StackedLayer, can_stack

LENGTHS = (3, 70, 1, 40, 64, 9, 130)
LAYOUT = BatchLayout(torch.tensor([0, *torch.tensor(LENGTHS).cumsum(0).tolist()]))
FLOAT32 = 3e-6  # of the largest entry: sums of another order
BFLOAT16 = 0.06  # each factor of two or three products in a row is rounded to 8 bits
BY_DTYPE = {torch.float32: FLOAT32, torch.bfloat16: BFLOAT16}

DTYPES = [
    pytest.param(dtype, marks=pytest.mark.skipif(not stack.can_train(dtype), reason=f"no product of {dtype} here"))
    for dtype in BY_DTYPE
]
needs_products = pytest.mark.skipif(
    not stack.can_train(torch.float32), reason="the library multiplies with AVX-512 only"
)

SHAPES: list[dict[str, Any]] = [
    {},
    {"layer_norm": False},
    {"width": 20},  # a block of the product for the highway
    {"layers": 1, "bidirectional": False},
    {"layers": 3, "hidden": 33, "width": 66},
    {"width": 20, "layer_norm": False, "bidirectional": False},
]


def make(
    *, layers: int = 2, width: int = 24, hidden: int = 12, bidirectional: bool = True, layer_norm: bool = True
) -> tuple[nn.ModuleList, Tensor]:
    torch.manual_seed(1)
    output = hidden * (2 if bidirectional else 1)
    sizes = [width, *[output] * (layers - 1)]
    options = {"bidirectional": bidirectional, "layer_norm": layer_norm, "highway_bias": -1.0}
    modules = nn.ModuleList(SRU(size, hidden, **options) for size in sizes)
    for name, parameter in modules.named_parameters():
        if "norm" in name:
            nn.init.normal_(parameter, 1.0, 0.2)
    return modules, torch.randn(sum(LENGTHS), width, requires_grad=True)


def apply(
    modules: nn.ModuleList, x: Tensor, p: float, *, variational: bool, dtype: torch.dtype, is_stacked: bool
) -> dict[str, Tensor]:
    """Return the output and all gradients; the same dropout each time."""
    torch.manual_seed(2)
    with torch.autocast("cpu", dtype) if dtype != torch.float32 else nullcontext():
        if is_stacked:
            found = run_stacked(modules, x, LAYOUT, p=p, variational=variational)
            assert found is not None
            h = found
        else:
            h = x
            for module in modules:
                h = module(h, LAYOUT, p, variational=variational)
    upstream = torch.randn(h.shape)
    gradients = torch.autograd.grad(h, [x, *modules.parameters()], upstream.to(h.dtype))
    names = ["x", *(name for name, _ in modules.named_parameters())]
    return {"h": h.detach().float(), **{name: g.float() for name, g in zip(names, gradients, strict=True)}}


@pytest.mark.usefixtures("level", "nan_memory")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("p", "variational"), [(0.0, False), (0.3, False), (0.3, True)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_one_layer_after_the_other(
    shape: dict[str, Any], p: float, variational: bool, dtype: torch.dtype
) -> None:
    modules, x = make(**shape)
    found = apply(modules, x, p, variational=variational, dtype=dtype, is_stacked=True)
    expected = apply(modules, x, p, variational=variational, dtype=torch.float32, is_stacked=False)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        error = (found[name] - value).abs().max() / value.abs().max()
        assert error <= BY_DTYPE[dtype], name


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_threads_change_no_bit(dtype: torch.dtype) -> None:
    modules, x = make()
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 3, 7):
        torch.set_num_threads(threads)
        results.append(apply(modules, x, 0.3, variational=True, dtype=dtype, is_stacked=True))
    torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(value, other[name]) for name, value in results[0].items())


@needs_products
def test_a_graph_that_is_kept_gives_its_gradients_again() -> None:
    modules, x = make()
    h = run_stacked(modules, x, LAYOUT, p=0.3, variational=True)
    assert h is not None
    first = torch.autograd.grad(h.sum(), [x, *modules.parameters()], retain_graph=True)
    again = torch.autograd.grad(h.sum(), [x, *modules.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@needs_products
def test_a_weight_that_changes_before_the_backward_pass_is_an_error() -> None:
    modules, x = make()
    h = run_stacked(modules, x, LAYOUT, p=0.0, variational=False)
    assert h is not None
    with torch.no_grad():
        modules[0].weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.sum().backward()


@needs_products
def test_what_it_cannot_compute_is_left_to_the_layers() -> None:
    modules, x = make()
    run = lambda x: run_stacked(modules, x, LAYOUT, p=0.0, variational=False)  # noqa: E731
    with torch.no_grad():
        assert run(x) is None
    with torch.autocast("cpu", torch.float16):
        assert run(x) is None
    assert run(x.double()) is None
    modules.append(nn.Identity())
    assert run(x) is None


@needs_products
def test_wrong_offsets_are_refused() -> None:
    modules, x = make()
    wrong = BatchLayout(torch.tensor([0, 5, len(x) + 1]))
    with pytest.raises(ValueError, match="offsets"):
        run_stacked(modules, x, wrong, p=0.0, variational=False)


@needs_products
def test_nothing_is_computed_on_a_layer_that_is_not_float32() -> None:
    modules, x = make(layers=1)
    first = modules[0]
    layer = StackedLayer(first.weight.double(), first.v, first.b, None, None)
    assert not can_stack(x, [layer])
    assert Stack(0.0, False, first.alpha, 0.0).p == 0
