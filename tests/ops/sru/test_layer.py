"""Product and recurrence as one step of autograd, against the two as plain torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

from textrnn.native import library
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.matmul import multiply
from textrnn.ops.sru import layer
from textrnn.ops.sru.layer import sru_layer

LAYOUT = BatchLayout(torch.tensor([0, 3, 3, 8]))
N, B, D = 8, 3, 6
BACKENDS = ["reference", *(["cpu"] if library.load_native().library is not None else [])]
LEAVES = ("x", "weight", "v", "b", "highway")


def make_inputs(*, K: int = 2, highway: str = "input", with_c0: bool = True) -> dict[str, Any]:
    """``highway``: the input itself, another tensor, or a block of the product."""
    torch.manual_seed(K)
    width = K * D if highway == "input" else 5
    G = 4 if highway == "block" else 3
    inputs: dict[str, Any] = {
        "x": torch.randn(N, width),
        "weight": torch.randn(width, K * G * D) / 3,
        "v": torch.randn(K, 2, D) / 2,
        "b": torch.randn(K, 2, D),
        "c0": torch.randn(B, K, D) if with_c0 else None,
        "highway": torch.randn(N, K * D) if highway == "other" else None,
    }
    inputs = {
        name: value if value is None or name == "c0" else value.requires_grad_() for name, value in inputs.items()
    }
    if highway == "input":
        inputs["highway"] = inputs["x"]
    return {**inputs, "layout": LAYOUT, "alpha": 1.7}


def compute(inputs: dict[str, Any], **options: Any) -> list[Tensor]:
    h, final = sru_layer(**inputs, **options)
    torch.manual_seed(9)
    upstream = torch.randn(h.shape).to(h.dtype)
    leaves = [inputs[name] for name in LEAVES if inputs[name] is not None and inputs[name].requires_grad]
    return [h, final, *torch.autograd.grad(h, leaves, upstream)]


def by_definition(inputs: dict[str, Any]) -> list[Tensor]:
    """In float64, with the product and the reference's time loop as autograd sees them."""
    doubles = {
        name: value.detach().double().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value
        for name, value in inputs.items()
    }
    if inputs["highway"] is inputs["x"]:
        doubles["highway"] = doubles["x"]
    return compute(doubles, backend="reference")


def same(got: list[Tensor], expected: list[Tensor], tolerance: float = 5e-6) -> None:
    for one, other in zip(got, expected, strict=True):
        largest = float(other.detach().abs().max())
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=tolerance * max(largest, 1e-3))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("highway", ["input", "other", "block"])
@pytest.mark.parametrize("K", [1, 2])
def test_equals_product_and_recurrence(backend: str, highway: str, K: int) -> None:
    inputs = make_inputs(K=K, highway=highway)
    same(compute(inputs, backend=backend), by_definition(inputs))


@pytest.mark.parametrize("backend", BACKENDS)
def test_initial_and_final_states_have_no_gradient(backend: str) -> None:
    inputs = make_inputs()
    _, final = sru_layer(**inputs, backend=backend)
    assert not final.requires_grad
    with pytest.raises(ValueError, match="c0"):
        sru_layer(**inputs | {"c0": torch.ones(B, 2, D, requires_grad=True)}, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_initial_states_default_to_zeros(backend: str) -> None:
    inputs = make_inputs(with_c0=False)
    zeros = inputs | {"c0": torch.zeros(B, 2, D)}
    same(compute(inputs, backend=backend), compute(zeros, backend=backend), tolerance=0)


@pytest.mark.parametrize("frozen", LEAVES)
@pytest.mark.parametrize("highway", ["input", "other", "block"])
def test_frozen_inputs_get_no_gradient_and_the_others_do(frozen: str, highway: str) -> None:
    inputs = make_inputs(highway=highway)
    if inputs[frozen] is not None:
        inputs[frozen].requires_grad_(False)
    same(compute(inputs), by_definition(inputs))


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_grad_changes_no_output(backend: str) -> None:
    inputs = make_inputs()
    expected = compute(inputs, backend=backend)
    with torch.no_grad():
        h, final = sru_layer(**inputs, backend=backend)
    assert torch.equal(h, expected[0])
    assert torch.equal(final, expected[1])
    assert not h.requires_grad


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("highway", ["input", "other", "block"])
def test_gradients_may_be_taken_again(backend: str, highway: str) -> None:
    inputs = make_inputs(highway=highway)
    h, _ = sru_layer(**inputs, backend=backend)
    leaves = [inputs[name] for name in ("x", "weight", "v", "b")]
    first, second, third = (torch.autograd.grad(h.sum(), leaves, retain_graph=retain) for retain in (True, True, False))
    for one, two, three in zip(first, second, third, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)


def test_a_second_backward_pass_recomputes_the_overwritten_product(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = make_inputs()
    h, _ = sru_layer(**inputs)
    (expected,) = torch.autograd.grad(h.sum(), inputs["weight"], retain_graph=True)
    monkeypatch.setattr(layer, "is_direct", lambda *_: False)  # as under compiled autograd
    for _ in range(2):
        (again,) = torch.autograd.grad(h.sum(), inputs["weight"], retain_graph=True)
        torch.testing.assert_close(again, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_outputs_may_be_changed_in_place(backend: str) -> None:
    inputs = make_inputs()
    h, _ = sru_layer(**inputs, backend=backend)
    (expected,) = torch.autograd.grad(2 * h.sum(), inputs["weight"], retain_graph=True)
    (gradient,) = torch.autograd.grad(h.mul_(2).sum(), inputs["weight"])
    torch.testing.assert_close(gradient, expected)


def test_only_the_requested_products_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def counting(*args: Tensor, **options: Any) -> Tensor:
        nonlocal count
        count += 1
        return multiply(*args, **options)

    monkeypatch.setattr(layer, "multiply", counting)
    inputs = make_inputs()
    if "cpu" not in BACKENDS:
        pytest.skip("the reference is differentiated by autograd")
    for expected, products in (("x", 2), ("weight", 2), ("v", 1)):
        count = 0
        for name in LEAVES:
            if inputs[name] is not None:
                inputs[name].requires_grad_(inputs[name] is inputs[expected])
        h, _ = sru_layer(**inputs)
        torch.autograd.grad(h.sum(), inputs[expected])
        assert count == products, expected


def test_forward_mode_is_refused() -> None:
    inputs = make_inputs(highway="block")
    with forward_ad.dual_level(), torch.no_grad():
        dual = forward_ad.make_dual(inputs["x"].detach(), torch.ones(N, 5))
        with pytest.raises(NotImplementedError, match="backward mode"):
            sru_layer(**inputs | {"x": dual})


@pytest.mark.skipif("cpu" not in BACKENDS, reason="the reference is plain torch")
def test_tracing_sees_the_operator() -> None:
    inputs = make_inputs(highway="block", with_c0=False)
    fixed = {name: value.detach() if isinstance(value, Tensor) else value for name, value in inputs.items()}

    def run(x: Tensor, weight: Tensor) -> Tensor:
        return sru_layer(**fixed | {"x": x, "weight": weight})[0]

    x, weight = inputs["x"].detach(), inputs["weight"].detach()
    traced = make_fx(run)(torch.zeros_like(x), torch.zeros_like(weight))
    torch.testing.assert_close(traced(x, weight), run(x, weight))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert run(mode.from_tensor(x), mode.from_tensor(weight)).shape == (N, 2 * D)
    negative = torch.complex(x, x).conj().imag  # -x, of which only torch knows
    torch.testing.assert_close(run(negative, weight), run(-x, weight))


def test_gradients_have_none_of_their_own() -> None:
    inputs = make_inputs()
    h, _ = sru_layer(**inputs)
    if "cpu" in BACKENDS:
        (gradient,) = torch.autograd.grad(h.square().sum(), inputs["x"], create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            gradient.sum().backward()


@pytest.mark.parametrize("highway", ["input", "other", "block"])
def test_autocast_computes_in_bfloat16_and_gives_float32_gradients(highway: str) -> None:
    inputs = make_inputs(highway=highway)
    with torch.autocast("cpu", torch.bfloat16):
        got = compute(inputs)
    assert (got[0].dtype, got[1].dtype) == (torch.bfloat16, torch.float32)
    assert all(gradient.dtype == torch.float32 for gradient in got[2:])
    same(got, by_definition(inputs), tolerance=4e-2)  # 8 bits, through a product and eight steps


def test_under_autocast_gradients_are_not_rounded_to_bfloat16() -> None:
    if not library.supports_dtype(torch.bfloat16):
        pytest.skip("the product is torch's here, which rounds")
    inputs = make_inputs(highway="block")
    with torch.autocast("cpu", torch.bfloat16):
        h, _ = sru_layer(**inputs)
    for gradient in torch.autograd.grad(h.float().sum(), [inputs["x"], inputs["weight"]]):
        assert not torch.equal(gradient, gradient.bfloat16().float())


def test_autocast_leaves_float64_alone() -> None:
    inputs = make_inputs(with_c0=False)
    x, weight = inputs["x"].double(), inputs["weight"].double()
    with torch.autocast("cpu", torch.bfloat16):
        h, final = sru_layer(x, weight, LAYOUT, v=inputs["v"], b=inputs["b"], highway=x)
    assert (h.dtype, final.dtype) == (torch.float64, torch.float64)


@pytest.mark.parametrize("native", [True, False])
def test_autocast_during_the_backward_pass_alone_changes_nothing(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not native:  # torch's products would look at autocast
        monkeypatch.setattr(library, "supports_dtype", lambda _: False)
    inputs = make_inputs(highway="block")
    leaves = [inputs["x"], inputs["weight"]]
    h, _ = sru_layer(**inputs)
    expected = torch.autograd.grad(h.sum(), leaves, retain_graph=True)
    with torch.autocast("cpu", torch.bfloat16):
        same(list(torch.autograd.grad(h.sum(), leaves)), list(expected), tolerance=1e-6)


@pytest.mark.parametrize("highway", ["input", "other", "block"])
def test_compiles_as_one_graph(highway: str) -> None:
    torch._dynamo.reset()  # widths of the weight that change would be compiled as unknown ones
    inputs = make_inputs(highway=highway)

    def loss(x: Tensor, weight: Tensor) -> Tensor:
        carried = x if highway == "input" else inputs["highway"]
        h, final = sru_layer(**inputs | {"x": x, "weight": weight, "highway": carried})
        return (h**2).sum() + final.sum()

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    leaves = [inputs["x"], inputs["weight"]]
    expected = torch.autograd.grad(loss(*leaves), leaves)
    same(list(torch.autograd.grad(compiled(*leaves), leaves)), list(expected))


def test_no_rows() -> None:
    x, weight = torch.randn(0, 6, requires_grad=True), torch.randn(6, 18, requires_grad=True)
    layout, ones = BatchLayout(torch.tensor([0, 0])), torch.ones(1, 2, 6)
    h, final = sru_layer(x, weight, layout, v=ones, b=ones, highway=x)
    assert h.shape == (0, 6)
    assert torch.equal(final, torch.zeros(1, 1, 6))
    dx, dweight = torch.autograd.grad(h.sum(), [x, weight])
    assert dx.shape == (0, 6)
    assert torch.equal(dweight, torch.zeros(6, 18))


def test_mismatched_inputs_are_refused() -> None:
    inputs = make_inputs(highway="block")
    x, weight, v = inputs["x"], inputs["weight"], inputs["v"]
    meta = torch.device("meta")
    for change, message in [
        ({"weight": weight[:, :19]}, r"weight should be \(5, 36 or 48\), not \(5, 19\)"),
        ({"weight": weight[:3]}, "weight should be"),
        ({"x": x[None]}, r"x should be \(N, input_size\)"),
        ({"v": v[0]}, r"v \(K, 2, D\)"),
        ({"highway": x}, r"highway should be \(8, 12\), not \(8, 5\)"),
        ({"weight": weight.bfloat16()}, "weight should be torch.float32"),
        ({"x": x.long()}, "x should hold floating-point numbers, not torch.int64"),
        ({"highway": torch.ones(N, 2 * D)}, "highway is needed"),
        ({"weight": weight[:, :36]}, "highway is needed"),
        ({"layout": BatchLayout(torch.tensor([0, 4, 3, 8]))}, "offsets should rise"),
        ({"weight": weight.to(meta)}, "weight should be on cpu, not on meta"),
        ({"v": v.to(meta)}, "v should be on cpu, not on meta"),
        ({"layout": BatchLayout(LAYOUT.offsets.to(meta))}, "offsets should be on cpu, not on meta"),
    ]:
        for backend in BACKENDS:
            with pytest.raises(ValueError, match=message):
                sru_layer(**inputs | change, backend=backend)
