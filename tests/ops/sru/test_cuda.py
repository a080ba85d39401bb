"""The Triton kernels against the reference in float64, in Triton's interpreter: no GPU is needed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor

from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.sru.inputs import SruInputs
from textrnn.ops.sru.reference import recur

pytest.importorskip("triton")
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("TRITON_INTERPRET", "1")  # Triton reads it when the kernels are defined
    cuda = pytest.importorskip("textrnn.ops.sru.cuda")

pytestmark = pytest.mark.usefixtures("nan_memory")
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
}
SMALLEST = 2.0**-25  # half of float16's smallest number: what is less becomes 0


def make_inputs(
    lengths: list[int],
    *,
    K: int,
    G: int,
    D: int,
    dtype: torch.dtype = torch.float32,
    c0: bool = True,
) -> SruInputs:
    generator = torch.Generator().manual_seed(sum(lengths) + 10 * D + G)
    N, B = sum(lengths), len(lengths)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return SruInputs(
        u=draw(N, K, G, D).to(dtype),
        x=draw(N, K, D).to(dtype) if G == 3 else None,
        layout=BatchLayout(torch.tensor([0, *lengths]).cumsum(0)),
        v=draw(K, 2, D) / 2,  # below 1: rounding does not grow from step to step
        b=draw(K, 2, D),
        alpha=1.7,
        c0=draw(B, K, D) if c0 else None,
    )


def run(inputs: SruInputs, dh: Tensor) -> dict[str, Tensor]:
    h, states, final = cuda.forward(inputs, save=True)
    gradients = cuda.backward(inputs, states, dh)
    results = dict(zip(("h", "states", "final", "du", "dx", "dv", "db"), (h, states, final, *gradients), strict=True))
    return {name: value for name, value in results.items() if value is not None}


def exact(inputs: SruInputs, dh: Tensor) -> dict[str, Tensor]:
    """The same from the reference in float64; the states are each step's final state."""
    leaves = {
        name: value.double().requires_grad_()
        for name, value in zip(("u", "x", "v", "b"), inputs.leaves, strict=True)
        if value is not None
    }
    h, final = recur(replace(inputs, **leaves, c0=None if inputs.c0 is None else inputs.c0.double()))
    gradients = torch.autograd.grad((h * dh.double()).sum(), list(leaves.values()))
    named = {f"d{name}": value for name, value in zip(leaves, gradients, strict=True)}
    return {"h": h.detach(), "final": final} | named


def check(inputs: SruInputs, *, size: float = 0.0) -> None:
    """``size`` is that of the terms of a gradient, if they are larger than their sum."""
    h_like = inputs.u[:, :, 0]
    dh = torch.randn(h_like.shape, generator=torch.Generator().manual_seed(1)).to(h_like.dtype)
    got = run(inputs, dh)
    expected = exact(inputs, dh)
    assert got.keys() - {"states"} == expected.keys()
    for name, value in expected.items():
        dtype = inputs.u.dtype if name in ("h", "du", "dx") else torch.float32
        assert got[name].dtype == dtype, name
        assert got[name].shape == value.shape, name
        assert got[name].is_contiguous(), name
        noise = ARITHMETIC[name] * max(size, float(value.abs().max())) if value.numel() else 0.0
        allowed = noise + SMALLEST + ROUNDING[dtype] * value.abs()
        off = (got[name].double() - value).abs() / allowed
        assert bool((off <= 1).all()), f"{name}: {off.max():.2f} times the tolerance"
    check_states(inputs, got)


def check_states(inputs: SruInputs, got: dict[str, Tensor]) -> None:
    """A sequence's last state is its final state, and each state follows from the one before it."""
    states, u, v, b = (t.double() for t in (got["states"], inputs.u, inputs.v, inputs.b))
    bounds = inputs.layout.host_offsets.tolist()
    for i, (start, end) in enumerate(zip(bounds, bounds[1:], strict=False)):
        for k in range(states.shape[1]):
            walk = list(range(start, end)) if k == 0 else list(range(end - 1, start - 1, -1))
            begin = torch.zeros_like(u[0, 0, 0]) if inputs.c0 is None else inputs.c0[i, k].double()
            before = torch.cat([begin[None], states[walk, k]])
            f = torch.sigmoid(u[walk, k, 1] + v[k, 0] * before[:-1] + b[k, 0])
            expected = f * before[:-1] + (1 - f) * u[walk, k, 0]
            torch.testing.assert_close(before[1:], expected, rtol=ARITHMETIC["states"], atol=ARITHMETIC["states"])
            assert torch.equal(before[-1].float(), got["final"][i, k])


def equal(got: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert got.keys() == expected.keys()
    for name, value in expected.items():
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
def test_equals_the_reference_without_initial_states(G: int) -> None:
    check(make_inputs([1, 0, 4], K=2, G=G, D=7, c0=False))


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0]], ids=str)
@pytest.mark.parametrize("c0", [False, True])
def test_no_rows(lengths: list[int], c0: bool) -> None:
    inputs = make_inputs(lengths, K=2, G=3, D=7, c0=c0)
    got = run(inputs, torch.ones(0, 2, 7))
    assert torch.equal(got["final"], torch.zeros(len(lengths), 2, 7) if inputs.c0 is None else inputs.c0)
    assert got["h"].shape == got["states"].shape == got["dx"].shape == (0, 2, 7)
    assert torch.equal(got["dv"], torch.zeros(2, 2, 7))
    assert torch.equal(got["db"], torch.zeros(2, 2, 7))


def test_forward_without_save_keeps_no_states() -> None:
    inputs = make_inputs([3, 1], K=2, G=3, D=7)
    saved = cuda.forward(inputs, save=True)
    h, states, final = cuda.forward(inputs, save=False)
    assert states.shape == (0, 2, 7)
    assert torch.equal(h, saved[0])
    assert torch.equal(final, saved[2])


def test_results_do_not_depend_on_the_order_in_which_sequences_start() -> None:
    inputs = make_inputs([5, 0, 3, 5], K=2, G=3, D=7)
    expected = run(inputs, torch.ones(13, 2, 7))
    equal(run(inputs, torch.ones(13, 2, 7)), expected)
    ordered = replace(inputs, layout=BatchLayout(inputs.layout.offsets, torch.tensor([2, 1, 3, 0])))
    equal(run(ordered, torch.ones(13, 2, 7)), expected)


def test_all_configurations_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = make_inputs([5, 0, 3], K=2, G=4, D=100)
    dh = torch.ones(8, 2, 100)
    expected = run(inputs, dh)
    for forward, backward in zip(cuda.FORWARD_CONFIGS[1:], cuda.BACKWARD_CONFIGS[1:], strict=True):
        monkeypatch.setattr(cuda, "_tuned_forward", cuda.tune(cuda.forward_kernel, [forward]))
        monkeypatch.setattr(cuda, "_tuned_backward", cuda.tune(cuda.backward_kernel, [backward]))
        equal(run(inputs, dh), expected)


def test_few_long_sequences_are_split() -> None:
    assert [cuda.count_splits(B, B * 200, K=2, D=128) for B in (1, 31, 32, 256)] == [8, 8, 1, 1]
    assert [cuda.count_splits(2, N, K=1, D=7) for N in (255, 256)] == [1, 8]


@pytest.mark.parametrize(("dtype", "c0"), [(torch.float32, True), (torch.bfloat16, False)], ids=str)
def test_split_sequences_have_the_same_gradients(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, c0: bool) -> None:
    inputs = make_inputs([3, 0, 17, 1], K=2, G=3, D=7, dtype=dtype, c0=c0)
    dh = torch.randn(21, 2, 7).to(dtype)
    whole = run(inputs, dh)
    monkeypatch.setattr(cuda, "LONG", 1)
    monkeypatch.setattr(cuda, "PARTS_OF_FEW", 4)
    check(inputs)
    split = run(inputs, dh)
    assert not torch.equal(split["dv"], whole["dv"])  # its parts are added in another order
    for name in ("h", "states", "final"):
        assert torch.equal(split[name], whole[name])
    monkeypatch.setattr(cuda, "_tuned_backward", cuda.tune(cuda.backward_kernel, cuda.BACKWARD_CONFIGS[2:]))
    equal(run(inputs, dh), split)


def test_batches_of_similar_size_are_tuned_together() -> None:
    buckets = [cuda.bucket_of(B) for B in (1, 3, 4, 15, 16, 63, 64, 255, 256)]
    assert buckets == [1, 1, 2, 2, 3, 3, 4, 4, 5]


def test_a_sequence_does_not_depend_on_the_batch() -> None:
    lengths = [5, 0, 9, 2]
    inputs = make_inputs(lengths, K=2, G=3, D=7)
    assert inputs.x is not None
    assert inputs.c0 is not None
    dh = torch.randn(16, 2, 7)
    together = run(inputs, dh)
    for i, (start, length) in enumerate(zip(inputs.layout.host_offsets.tolist(), lengths, strict=False)):
        rows = slice(start, start + length)
        layout = BatchLayout(torch.tensor([0, length]))
        alone = replace(inputs, u=inputs.u[rows], x=inputs.x[rows], layout=layout, c0=inputs.c0[i : i + 1])
        got = run(alone, dh[rows])
        for name in ("h", "states", "du", "dx"):
            assert torch.equal(got[name], together[name][rows]), name
        assert torch.equal(got["final"][0], together["final"][i])


def test_wrong_offsets_stay_inside_the_tensors() -> None:
    inputs = make_inputs([2, 0, 4], K=2, G=3, D=7)
    dh = torch.ones(6, 2, 7)
    expected = run(inputs, dh)
    for offsets in ([-(2**40), 2, 2, 2**40], [0, 2, 1, 6], [-1, 2, -1, 7]):
        got = run(replace(inputs, layout=BatchLayout(torch.tensor(offsets))), dh)
        assert torch.equal(got["h"][:2], expected["h"][:2])
    equal(run(replace(inputs, layout=BatchLayout(torch.tensor([-(2**40), 2, 2, 2**40]))), dh), expected)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # as intended
def test_gates_far_from_zero() -> None:
    inputs = make_inputs([4], K=1, G=4, D=7)
    inputs.u[:, :, 1:3] *= 200  # exp(200) is infinite in float32, exp(-200) is 0
    check(inputs, size=1.0)  # 1 - f of an f that is 1 but for its last digits
