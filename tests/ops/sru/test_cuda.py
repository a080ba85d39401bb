"""The Triton kernels against the reference in float64, in Triton's interpreter: no GPU is needed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from textrnn.ops.sru.reference import recur

pytest.importorskip("triton")
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("TRITON_INTERPRET", "1")  # Triton reads it when the kernels are defined
    cuda = pytest.importorskip("textrnn.ops.sru.cuda")

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
# what storing a result in its dtype costs, relative to its size: half a unit in the last place, but for bfloat16 a
# whole one, since the interpreter cuts off where a device rounds
ROUNDING = {
    torch.float32: 2.0**-24,
    torch.float16: 2.0**-11,
    torch.bfloat16: 2.0**-7,
}
# what computing in float32 costs, relative to the largest number of the tensor
ARITHMETIC = {
    "h": 2e-6,  # some ten operations on a state that is off by as much
    "states": 2e-6,  # errors of earlier steps fade, since f < 1
    "final": 2e-6,
    "du": 4e-6,  # differences such as 1 - f and c - u0 lose some digits
    "dx": 4e-6,
    "dv": 1e-5,  # sums over all steps, some of whose terms cancel
    "db": 1e-5,
    "dc0": 4e-6,
}
SMALLEST = 2.0**-25  # half of float16's smallest number: what is less becomes 0


@pytest.fixture(autouse=True)
def _memory_full_of_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a kernel does not write shows."""

    def fill(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def filled(*args: Any, **kwargs: Any) -> Tensor:
            tensor = function(*args, **kwargs)
            return tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor

        return filled

    monkeypatch.setattr(torch, "empty", fill(torch.empty))
    monkeypatch.setattr(torch, "empty_like", fill(torch.empty_like))


def make_inputs(
    lengths: list[int],
    *,
    K: int,
    G: int,
    D: int,
    dtype: torch.dtype = torch.float32,
    c0: bool = True,
    mask: bool = True,
) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(sum(lengths) + 10 * D + G)
    N, B = sum(lengths), len(lengths)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return {
        "u": draw(N, K, G, D).to(dtype),
        "x": draw(N, K, D).to(dtype) if G == 3 else None,
        "offsets": torch.tensor([0, *lengths]).cumsum(0),
        "v": draw(K, 2, D) / 2,  # below 1: rounding does not grow from step to step
        "b": draw(K, 2, D),
        "alpha": 1.7,
        "c0": draw(B, K, D) if c0 else None,
        "mask": (draw(B, K, D) > -0.5) / 0.7 if mask else None,
    }


def run(inputs: dict[str, Any], *, dh: Tensor | None, dfinal: Tensor | None) -> dict[str, Tensor]:
    rest = {name: inputs[name] for name in ("v", "b", "alpha", "c0", "mask")}
    h, states, final = cuda.forward(inputs["u"], inputs["x"], inputs["offsets"], save=True, **rest)
    of = {"u": inputs["u"], "x": inputs["x"], "offsets": inputs["offsets"], "states": states}
    gradients = cuda.backward(dh, dfinal, **of, **rest)
    names = ("h", "states", "final", "du", "dx", "dv", "db", "dc0")
    results = dict(zip(names, (h, states, final, *gradients), strict=True))
    return {name: value for name, value in results.items() if value is not None}


def exact(inputs: dict[str, Any], *, dh: Tensor | None, dfinal: Tensor | None) -> dict[str, Tensor]:
    """The same from the reference in float64; the states are each step's final state."""
    doubles = {
        name: value.double().requires_grad_(name != "mask")
        if isinstance(value, Tensor) and value.is_floating_point()
        else value
        for name, value in inputs.items()
    }
    h, final = recur(**doubles)
    results = {"h": h.detach(), "final": final.detach()}
    names = [name for name in ("u", "x", "v", "b", "c0") if doubles[name] is not None]
    loss = sum((a * d.double()).sum() for a, d in ((h, dh), (final, dfinal)) if d is not None)
    gradients = torch.autograd.grad(loss, [doubles[name] for name in names], materialize_grads=True)
    return results | {f"d{name}": value for name, value in zip(names, gradients, strict=True)}


def check(inputs: dict[str, Any], *, use_h: bool = True, use_final: bool = True, size: float = 0.0) -> None:
    """``size`` is that of the terms that make up a gradient, where they are larger than what comes out."""
    h_like = inputs["u"][:, :, 0]
    generator = torch.Generator().manual_seed(1)
    B, (_, K, D) = len(inputs["offsets"]) - 1, h_like.shape
    dh = torch.randn(h_like.shape, generator=generator).to(h_like.dtype) if use_h else None
    dfinal = torch.randn(B, K, D, generator=generator) if use_final else None
    got = run(inputs, dh=dh, dfinal=dfinal)
    wanted = exact(inputs, dh=dh, dfinal=dfinal)
    assert got.keys() - {"states"} == wanted.keys()
    for name, value in wanted.items():
        dtype = inputs["u"].dtype if name in ("h", "du", "dx") else torch.float32
        assert got[name].dtype == dtype, name
        assert got[name].shape == value.shape, name
        assert got[name].is_contiguous(), name
        noise = ARITHMETIC[name] * max(size, float(value.abs().max())) if value.numel() else 0.0
        allowed = noise + SMALLEST + ROUNDING[dtype] * value.abs()
        off = (got[name].double() - value).abs() / allowed
        assert bool((off <= 1).all()), f"{name}: {off.max():.2f} times what is allowed"
    check_states(inputs, got)


def check_states(inputs: dict[str, Any], got: dict[str, Tensor]) -> None:
    """A sequence's last state is its final state, and each state follows from the one before it."""
    doubles = {name: value.double() for name, value in inputs.items() if isinstance(value, Tensor)}
    states = got["states"].double()
    for i, (start, end) in enumerate(zip(inputs["offsets"].tolist(), inputs["offsets"][1:].tolist(), strict=False)):
        for k in range(states.shape[1]):
            walk = list(range(start, end)) if k == 0 else list(range(end - 1, start - 1, -1))
            begin = doubles["c0"][i, k] if "c0" in doubles else torch.zeros(states.shape[2], dtype=torch.float64)
            before = torch.cat([begin[None], states[walk, k]])
            u0, u1 = doubles["u"][walk, k, 0], doubles["u"][walk, k, 1]
            f = torch.sigmoid(u1 + doubles["v"][k, 0] * before[:-1] + doubles["b"][k, 0])
            wanted = f * before[:-1] + (1 - f) * u0
            torch.testing.assert_close(before[1:], wanted, rtol=ARITHMETIC["states"], atol=ARITHMETIC["states"])
            assert torch.equal(before[-1].float(), got["final"][i, k])


def equal(got: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(got[name], value), name


@pytest.mark.parametrize("D", [1, 7, 100, 128])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("K", "G"), list(product([1, 2], [3, 4])))
def test_equals_the_reference(D: int, dtype: torch.dtype, K: int, G: int) -> None:
    check(make_inputs([3, 0, 2, 5, 1], K=K, G=G, D=D, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("K", "G"), [(1, 3), (2, 4)])
def test_long_sequences(dtype: torch.dtype, K: int, G: int) -> None:
    check(make_inputs([2, 63, 0], K=K, G=G, D=7, dtype=dtype))


def test_a_very_long_sequence() -> None:
    check(make_inputs([257], K=1, G=3, D=100))


def test_more_columns_than_a_program_takes() -> None:
    check(make_inputs([3, 0, 1], K=2, G=4, D=513, dtype=torch.float16))


@pytest.mark.parametrize("G", [3, 4])
@pytest.mark.parametrize(("c0", "mask"), [(False, False), (True, False), (False, True)])
def test_without_what_is_optional(G: int, c0: bool, mask: bool) -> None:
    check(make_inputs([1, 0, 4], K=2, G=G, D=7, c0=c0, mask=mask))


@pytest.mark.parametrize("c0", [False, True])
@pytest.mark.parametrize(("use_h", "use_final"), [(True, False), (False, True)])
def test_outputs_that_nobody_uses(c0: bool, use_h: bool, use_final: bool) -> None:
    check(make_inputs([3, 0, 2], K=2, G=3, D=7, c0=c0), use_h=use_h, use_final=use_final)


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0]], ids=str)
@pytest.mark.parametrize("c0", [False, True])
def test_nothing_to_read(lengths: list[int], c0: bool) -> None:
    inputs = make_inputs(lengths, K=2, G=3, D=7, c0=c0)
    B = len(lengths)
    dfinal = torch.ones(B, 2, 7)
    got = run(inputs, dh=torch.ones(0, 2, 7), dfinal=dfinal)
    assert torch.equal(got["final"], inputs["c0"] if c0 else torch.zeros(B, 2, 7))
    assert got["h"].shape == got["states"].shape == got["dx"].shape == (0, 2, 7)
    assert torch.equal(got["dv"], torch.zeros(2, 2, 7))
    assert torch.equal(got["db"], torch.zeros(2, 2, 7))
    assert ("dc0" in got) == c0
    if c0:
        assert torch.equal(got["dc0"], dfinal)


def test_without_saving_there_are_no_states() -> None:
    inputs = make_inputs([3, 1], K=2, G=3, D=7)
    rest = {name: inputs[name] for name in ("v", "b", "alpha", "c0", "mask")}
    saved = cuda.forward(inputs["u"], inputs["x"], inputs["offsets"], save=True, **rest)
    h, states, final = cuda.forward(inputs["u"], inputs["x"], inputs["offsets"], save=False, **rest)
    assert states.shape == (0, 2, 7)
    assert torch.equal(h, saved[0])
    assert torch.equal(final, saved[2])


def test_the_same_bits_every_time() -> None:
    inputs = make_inputs([5, 0, 3, 5], K=2, G=3, D=7)
    gradients = {"dh": torch.ones(13, 2, 7), "dfinal": torch.ones(4, 2, 7)}
    equal(run(inputs, **gradients), run(inputs, **gradients))


def test_the_same_bits_from_every_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = make_inputs([5, 0, 3], K=2, G=4, D=100)
    gradients = {"dh": torch.ones(8, 2, 100), "dfinal": torch.ones(3, 2, 100)}
    wanted = run(inputs, **gradients)
    for forward, backward in zip(cuda.FORWARD_CONFIGS[1:], cuda.BACKWARD_CONFIGS[1:], strict=True):
        monkeypatch.setattr(cuda, "_tuned_forward", cuda.tune(cuda.forward_kernel, [forward]))
        monkeypatch.setattr(cuda, "_tuned_backward", cuda.tune(cuda.backward_kernel, [backward]))
        equal(run(inputs, **gradients), wanted)


def test_a_sequence_does_not_depend_on_the_batch() -> None:
    lengths = [5, 0, 9, 2]
    inputs = make_inputs(lengths, K=2, G=3, D=7)
    dh, dfinal = torch.randn(16, 2, 7), torch.randn(4, 2, 7)
    together = run(inputs, dh=dh, dfinal=dfinal)
    of_rows = ("h", "states", "du", "dx")
    for i, (start, length) in enumerate(zip(inputs["offsets"].tolist(), lengths, strict=False)):
        rows = slice(start, start + length)
        alone = {
            **inputs,
            "u": inputs["u"][rows],
            "x": inputs["x"][rows],
            "offsets": torch.tensor([0, length]),
            "c0": inputs["c0"][i : i + 1],
            "mask": inputs["mask"][i : i + 1],
        }
        got = run(alone, dh=dh[rows], dfinal=dfinal[i : i + 1])
        for name in of_rows:
            assert torch.equal(got[name], together[name][rows]), name
        for name in ("final", "dc0"):
            assert torch.equal(got[name][0], together[name][i]), name


def test_wrong_offsets_stay_inside_the_tensors() -> None:
    inputs = make_inputs([2, 0, 4], K=2, G=3, D=7)
    gradients = {"dh": torch.ones(6, 2, 7), "dfinal": torch.ones(3, 2, 7)}
    wanted = run(inputs, **gradients)
    for offsets in ([-(2**40), 2, 2, 2**40], [0, 2, 1, 6], [-1, 2, -1, 7]):
        got = run({**inputs, "offsets": torch.tensor(offsets)}, **gradients)
        assert torch.equal(got["h"][:2], wanted["h"][:2])
    equal(run({**inputs, "offsets": torch.tensor([-(2**40), 2, 2, 2**40])}, **gradients), wanted)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # as intended
def test_gates_far_from_zero() -> None:
    inputs = make_inputs([4], K=1, G=4, D=7)
    inputs["u"][:, :, 1:3] *= 200  # exp(200) is infinite in float32, exp(-200) is 0
    check(inputs, size=1.0)  # 1 - f of an f that is 1 but for its last digits
