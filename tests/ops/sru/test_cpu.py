"""The cpu backend against the reference in float64."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sru_inputs import make_inputs
from textrnn.native import functions, library
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.sru.recurrence import sru_recurrence

NATIVE = library.load_native()
pytestmark = [
    pytest.mark.usefixtures("nan_memory"),
    pytest.mark.skipif(
        NATIVE.library is None and "TEXTRNN_WITHOUT_NATIVE" in os.environ, reason="not compiled on purpose"
    ),
]

LEAVES = ("u", "x", "v", "b")
# relative to the largest entry of each tensor
TOLERANCE = {
    torch.float32: 3e-6,  # 24 bits, some ten roundings a step; with |v| < 1 they do not grow from step to step
    torch.bfloat16: 5e-3,  # outputs are rounded once to 8 bits, half a unit being 2^-8; inputs are taken as rounded
}


def widen(inputs: dict[str, Any]) -> dict[str, Any]:
    """The same numbers in float64."""

    def one(value: Any) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        return value.detach().double().requires_grad_(value.requires_grad)

    return {name: one(value) for name, value in inputs.items()}


def call(inputs: dict[str, Any], backend: str = "cpu") -> tuple[Tensor, Tensor]:
    return sru_recurrence(**inputs, backend=backend)


def differentiate(inputs: dict[str, Any], backend: str = "cpu") -> dict[str, Tensor]:
    """The outputs and every gradient, for a gradient of h that is exact in every dtype."""
    h, final = call(inputs, backend)
    dh = torch.randn(h.shape, generator=torch.Generator().manual_seed(3)).bfloat16().to(h.dtype)
    leaves = {name: inputs[name] for name in LEAVES if inputs[name] is not None}
    gradients = torch.autograd.grad(h, list(leaves.values()), dh)
    return {"h": h, "final": final} | dict(zip(leaves, gradients, strict=True))


def check(got: dict[str, Tensor], expected: dict[str, Tensor], dtype: torch.dtype) -> None:
    assert got.keys() == expected.keys()
    for name, value in got.items():
        narrow = name in {"h", "u", "x"}
        assert value.dtype == (dtype if narrow else torch.float32), name
        scale = max(1.0, float(expected[name].detach().abs().max())) if value.numel() else 1.0
        tolerance = TOLERANCE[dtype if narrow else torch.float32] * scale
        if name in {"v", "b"}:  # sums over all rows
            tolerance *= max(1.0, len(got["h"]) ** 0.5 / 4)
        torch.testing.assert_close(
            value.double(),
            expected[name],
            rtol=TOLERANCE[dtype] if narrow else 0,
            atol=tolerance,
            msg=lambda m, n=name: f"{n}: {m}",
        )


@pytest.mark.parametrize("D", [1, 7, 100, 128, 513])
@pytest.mark.parametrize("T", [1, 2, 3, 63, 257, 1000])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_equals_the_reference(T: int, D: int, dtype: torch.dtype, level: str) -> None:
    lengths = [T, 0, max(1, T // 2), 1, T, 0]  # ragged, with empty ones
    K, G = 1 + T % 2, 3 + D % 2
    inputs = make_inputs(lengths, K=K, G=G, D=D, dtype=dtype)
    check(differentiate(inputs), differentiate(widen(inputs), "reference"), dtype)


@pytest.mark.parametrize("lengths", [[], [0], [0, 0]], ids=str)
def test_no_rows(lengths: list[int]) -> None:
    inputs = make_inputs(lengths)
    results = differentiate(inputs)
    assert torch.equal(results["final"], inputs["c0"])
    assert not results["v"].any()


def test_no_grad_changes_no_output() -> None:
    inputs = make_inputs([700, 3], D=600)  # more columns than a task takes
    kept = call(inputs)
    with torch.no_grad():
        for value, expected in zip(call(inputs), kept, strict=True):
            assert torch.equal(value, expected)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_the_number_of_threads_changes_no_bit(dtype: torch.dtype) -> None:
    inputs = make_inputs([300, 0, 5, 129, 1, 1, 400], D=513, dtype=dtype)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            results.append(differentiate(inputs))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        for name, value in results[0].items():
            assert torch.equal(value, other[name]), name


def test_a_sequence_does_not_depend_on_the_batch(level: str) -> None:
    lengths = [5, 0, 200, 2, 64]
    inputs = make_inputs(lengths, G=4, D=100)
    together = differentiate(inputs)
    generator = torch.Generator().manual_seed(3)
    dh = torch.randn(together["h"].shape, generator=generator).bfloat16().float()
    start = 0
    for i, length in enumerate(lengths):
        rows = slice(start, start + length)
        start += length
        alone = inputs | {
            "u": inputs["u"][rows].detach().requires_grad_(),
            "layout": BatchLayout(torch.tensor([0, length])),
            "c0": inputs["c0"][i : i + 1],
        }
        h, final = call(alone)
        (du,) = torch.autograd.grad(h, alone["u"], dh[rows])
        for got, expected in ((h, together["h"][rows]), (final[0], together["final"][i])):
            assert torch.equal(got, expected)
        assert torch.equal(du, together["u"][rows])


def test_non_contiguous_inputs_give_the_same() -> None:
    inputs = make_inputs([40, 2], D=20)
    expected = differentiate(inputs)
    turned = {
        name: value.detach().transpose(0, -1).contiguous().transpose(0, -1).requires_grad_(name in LEAVES)
        if isinstance(value, Tensor) and value.dim() > 1
        else value
        for name, value in inputs.items()
    }
    assert not turned["u"].is_contiguous()
    for name, value in differentiate(turned).items():
        assert torch.equal(value, expected[name]), name
    h, _ = call(inputs)  # an expanded gradient
    (du,) = torch.autograd.grad(h, inputs["u"], torch.ones(()).expand(h.shape))
    assert bool(du.isfinite().all())


def test_the_gates_are_within_4_units_in_the_last_place(level: str) -> None:
    edges = [np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 87.4, -87.4, 88.8, -88.8, -103.9, -104.1, 3e38, -3e38]
    z = np.concatenate([np.linspace(-110, 110, 1_000_003), np.linspace(-1e-3, 1e-3, 10_001), edges, [np.nan]])
    z = z.astype(np.float32)
    u = torch.zeros(1, 1, 4, len(z))
    u[:, :, 0], u[:, :, 2] = 2.0, torch.from_numpy(z)  # with a forget gate of 1/2 the state is 1, so h is r
    zeros = torch.zeros(1, 2, len(z))
    h, _ = sru_recurrence(u, None, BatchLayout(torch.tensor([0, 1])), v=zeros, b=zeros, backend="cpu")
    r = h.flatten().numpy()
    with np.errstate(over="ignore"):
        exact = 1 / (1 + np.exp(-z[:-1].astype(np.float64)))
    unit = np.maximum(np.spacing(exact.astype(np.float32)), np.float32(1e-45)).astype(np.float64)
    assert np.max(np.abs(r[:-1] - exact) / unit) <= 4
    assert np.isnan(r[-1])


def test_nan_and_infinity_stay_in_their_column() -> None:
    inputs = make_inputs([3, 3], K=1, G=4, D=8, dtype=torch.bfloat16)
    with torch.no_grad():
        inputs["u"][1, 0, 0, 2] = float("nan")
        inputs["u"][4, 0, 3, 5] = float("inf")
    h, _ = call(inputs)
    assert bool(h[1:3, 0, 2].isnan().all())
    assert not bool(h[4, 0, 5].isfinite())
    assert int((~h.isfinite()).sum()) == 3


def test_wrong_offsets_are_refused() -> None:
    inputs = make_inputs([3, 4])
    for wrong in ([0, 3, 8], [1, 3, 7], [0, 8, 7], [0, -1, 7]):
        with pytest.raises(ValueError, match="offsets should rise"):
            call(inputs | {"layout": BatchLayout(torch.tensor(wrong))})


def test_concurrent_calls_change_no_bit() -> None:
    inputs = make_inputs([200] * 8, D=128)
    expected = differentiate(inputs)
    results: list[dict[str, Tensor]] = []
    threads = [threading.Thread(target=lambda: results.append(differentiate(inputs))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert all(torch.equal(value, expected[name]) for result in results for name, value in result.items())


def run_by_rows(rows: list[int]) -> np.ndarray:
    """Run over 3 tokens that read rows of a table of 2."""
    table = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 1, 3, 4) / 10
    constants, h = np.full((1, 2, 4), 0.5, np.float32), np.empty((3, 1, 4), np.float32)
    options = {"v": constants, "b": constants, "alpha": 1.0, "final": np.empty((1, 1, 4), np.float32), "threads": 1}
    indices, x = np.array(rows, np.int32), table[:, :, 0].copy()
    functions.sru_forward(u=table, x=x, offsets=np.array([0, 3]), rows=indices, h=h, **options)
    return h


def test_tokens_read_rows_of_a_table() -> None:
    for rows in ([0, 0, 0], [1, 0, 1]):
        table = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4) / 10
        u = torch.from_numpy(table[rows]).unsqueeze(1)
        constants, layout = torch.full((1, 2, 4), 0.5), BatchLayout(torch.tensor([0, 3]))
        h, _ = sru_recurrence(u, u[:, :, 0].contiguous(), layout, v=constants, b=constants)
        np.testing.assert_array_equal(run_by_rows(rows), h.numpy())


@pytest.mark.parametrize("rows", [[0, 2, 1], [0, -1, 1]])
def test_rows_outside_the_table_are_refused(rows: list[int]) -> None:
    with pytest.raises(ValueError, match="rows"):
        run_by_rows(rows)
