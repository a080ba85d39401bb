"""The recurrences of GRU and LSTM in C++ against their formulas in float64, and against torch."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from textrnn.native import library
from textrnn.ops import rnn_forward
from textrnn.ops.time_major import reverse_rows, time_major

NATIVE = library.load_native()
pytestmark = pytest.mark.skipif(
    NATIVE.library is None and "TEXTRNN_WITHOUT_NATIVE" in os.environ, reason="installed without a compiler on purpose"
)

Array = npt.NDArray[Any]

TOLERANCE = 2e-6  # states are below 1: 24 bits, a sum of D products a step, and weights with which errors do not grow
LENGTHS = {
    "one": [1],
    "two": [2],
    "long": [257, 63],
    "equal": [5] * 9,
    "ragged": [3, 1, 63, 2, 2, 7, 1, 4, 30, 12, 1],
    "many": [1 + i * 7 % 23 for i in range(75)],  # more than a group
}


class Inputs:
    """Weights as torch draws them, the gates of each token, and the same as a table of which tokens are rows."""

    def __init__(self, cell: str, lengths: list[int], *, D: int, K: int = 2) -> None:
        rng = np.random.default_rng(sum(lengths) + 10 * D + K)
        G, limit = rnn_forward.GATES[cell], D**-0.5
        self.cell, self.K, self.D = cell, K, D
        self.offsets = np.cumsum([0, *lengths], dtype=np.int64)
        self.table = rng.standard_normal((40, K, G * D)).astype(np.float32)
        self.rows = rng.integers(0, 40, self.offsets[-1]).astype(np.int32)
        self.gates = self.table[self.rows]
        self.weight_hh = rng.uniform(-limit, limit, (K, G * D, D)).astype(np.float32)
        self.bias_hh = rng.uniform(-limit, limit, (K, G * D)).astype(np.float32)

    def run(self, *, threads: int = 1, by_rows: bool = False) -> Array:
        gates, rows = (self.table, self.rows) if by_rows else (self.gates, None)
        return rnn_forward.run(self.cell, gates, self.offsets, **self.weights(), rows=rows, threads=threads)

    def weights(self) -> dict[str, Array]:
        return {"weight_hh": self.weight_hh, "bias_hh": self.bias_hh}

    def sequences(self) -> Iterator[slice]:
        for first, last in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            yield slice(int(first), int(last))


def define(inputs: Inputs) -> Array:
    """The formulas, a sequence and a step at a time, in float64."""
    D, wanted = inputs.D, np.empty((len(inputs.gates), inputs.K * inputs.D))
    for k in range(inputs.K):
        weight, bias = inputs.weight_hh[k].astype(np.float64), inputs.bias_hh[k].astype(np.float64)
        for sequence in inputs.sequences():
            h, c = np.zeros(D), np.zeros(D)
            tokens = range(sequence.start, sequence.stop)
            for token in tokens if k == 0 else reversed(tokens):
                outer = inputs.gates[token, k].astype(np.float64).reshape(-1, D)
                inner = (weight @ h + bias).reshape(-1, D)
                if inputs.cell == "gru":
                    r, z = sigmoid(outer[:2] + inner[:2])
                    h = (1 - z) * np.tanh(outer[2] + r * inner[2]) + z * h
                else:
                    i, f, _, o = sigmoid(outer + inner)
                    c = f * c + i * np.tanh(outer[2] + inner[2])
                    h = o * np.tanh(c)
                wanted[token, k * D : (k + 1) * D] = h
    return wanted


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("cell", rnn_forward.GATES)
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("D", [1, 7, 100, 128])
def test_equals_the_formulas(level: str, cell: str, lengths: list[int], D: int) -> None:
    for K in (1, 2):
        inputs = Inputs(cell, lengths, D=D, K=K)
        h = inputs.run()
        np.testing.assert_allclose(h, define(inputs), rtol=0, atol=TOLERANCE)
        for threads in (1, 4):
            for by_rows in (False, True):
                np.testing.assert_array_equal(inputs.run(threads=threads, by_rows=by_rows), h)


@pytest.mark.parametrize("cell", rnn_forward.GATES)
@pytest.mark.parametrize("D", [1, 100, 128])
def test_a_sequence_does_not_depend_on_the_others(level: str, cell: str, D: int) -> None:
    inputs = Inputs(cell, LENGTHS["many"], D=D)
    h = inputs.run()
    for sequence in inputs.sequences():
        gates, offsets = inputs.gates[sequence], np.array([0, sequence.stop - sequence.start])
        alone = rnn_forward.run(cell, gates, offsets, **inputs.weights(), threads=1)
        np.testing.assert_array_equal(alone, h[sequence])


@pytest.mark.parametrize("cell", rnn_forward.GATES)
def test_the_second_direction_walks_backwards(cell: str) -> None:
    inputs = Inputs(cell, LENGTHS["ragged"], D=20)
    mirror, columns = reverse_rows(inputs.offsets), slice(1, 2)
    weights = {name: np.ascontiguousarray(part[columns]) for name, part in inputs.weights().items()}
    gates = np.ascontiguousarray(inputs.gates[mirror, columns])
    forwards = rnn_forward.run(cell, gates, inputs.offsets, **weights, threads=1)
    np.testing.assert_array_equal(inputs.run()[:, 20:], forwards[mirror])


@pytest.mark.parametrize("cell", rnn_forward.GATES)
@pytest.mark.parametrize("D", [1, 100, 128])
def test_equals_torch(cell: str, D: int) -> None:
    torch.manual_seed(D)
    inputs = Inputs(cell, LENGTHS["long"] + LENGTHS["ragged"], D=D)
    module = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](24, D, bidirectional=True)
    _, order, sizes = time_major(inputs.offsets)
    x = torch.randn(len(order), 24)
    wanted = np.empty((len(order), 2 * D), np.float32)
    with torch.inference_mode():
        packed = torch.nn.utils.rnn.PackedSequence(x[torch.from_numpy(order)], torch.from_numpy(sizes))
        wanted[order] = module(packed)[0].data.numpy()
        part = {
            name: torch.stack([getattr(module, f"{name}_{end}") for end in ("l0", "l0_reverse")])
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        gates = torch.einsum("nw,kgw->nkg", x, part["weight_ih"]) + part["bias_ih"]
    weights = {name: part[name].numpy() for name in ("weight_hh", "bias_hh")}
    h = rnn_forward.run(cell, gates.contiguous().numpy(), inputs.offsets, **weights, threads=2)
    np.testing.assert_allclose(h, wanted, rtol=0, atol=TOLERANCE)


def run_gru_of(gates: Array) -> Array:
    """One step of each of the rows of ``gates`` (N, 3) with weights of 0: tanh of the last where the others say so."""
    nothing = {"weight_hh": np.zeros((1, 3, 1), np.float32), "bias_hh": np.zeros((1, 3), np.float32)}
    return rnn_forward.run("gru", gates[:, None], np.arange(len(gates) + 1), **nothing, threads=1)[:, 0]


def test_tanh_is_within_4_units_in_the_last_place(level: str) -> None:
    x = np.concatenate([np.linspace(-12, 12, 200_001), np.geomspace(1e-30, 1, 50_001), [0, 1e30, -1e30]])
    x = np.append(x, [np.inf, -np.inf]).astype(np.float32)
    off = np.full_like(x, -200)  # z is 0
    got, wanted = run_gru_of(np.stack([off, off, x], axis=1)), np.tanh(x.astype(np.float64))
    assert (np.abs(got - wanted) <= 4 * np.spacing(np.abs(wanted).astype(np.float32))).all()


def test_what_is_no_number_stays_in_its_sequence(level: str) -> None:
    for cell, G in rnn_forward.GATES.items():
        for g in range(G):
            inputs = Inputs(cell, [4] * 40, D=20)
            wanted = inputs.run()
            inputs.gates[4 * 7 + 2, 0, g * 20 + 3] = np.nan
            h = inputs.run()
            assert np.isnan(h[4 * 7 + 2, 3])
            assert np.isnan(h[4 * 7 + 3, :20]).all()
            clean = ~np.isnan(h)
            assert clean.sum() == h.size - 21
            np.testing.assert_array_equal(h[clean], wanted[clean])


def test_several_callers_at_once() -> None:
    cases = [Inputs(cell, LENGTHS["many"], D=100) for cell in rnn_forward.GATES]
    wanted = [inputs.run() for inputs in cases]
    failures: list[int] = []

    def call(i: int) -> None:
        for _ in range(5):
            if not np.array_equal(cases[i % 2].run(threads=1 + i % 3), wanted[i % 2]):
                failures.append(i)

    callers = [threading.Thread(target=call, args=(i,)) for i in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not failures


def test_no_sequences() -> None:
    inputs = Inputs("gru", [], D=3)
    assert inputs.run(threads=2).shape == (0, 6)
    assert inputs.run(by_rows=True).shape == (0, 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": "sru"}, "cell should be one of gru, lstm"),
        ({"offsets": np.array([0, 2, 2, 5])}, "offsets should rise from 0"),
        ({"offsets": np.array([1, 2, 5])}, "offsets should rise"),
        ({"offsets": np.array([0, 2, 6])}, "offsets should rise"),
        ({"offsets": np.array([], np.int64)}, "offsets should be"),
        ({"rows": np.array([0, 1, 2, 3, 40], np.int32)}, "rows of gates"),
        ({"rows": np.array([0, 1, 2, 3, -1], np.int32)}, "rows of gates"),
        ({"rows": np.array([0, 1, 2, 3], np.int32)}, "number of tokens"),
        ({"gates": np.zeros((5, 12), np.float32)}, "three dimensions"),
        ({"gates": np.zeros((5, 2, 8), np.float32)}, "do not fit gru"),
        ({"gates": np.zeros((5, 4, 9), np.float32)[:, ::2]}, "contiguous"),
        ({"gates": np.zeros((5, 3, 9), np.float32)}, "do not fit gru"),
        ({"weight_hh": np.zeros((2, 9, 4), np.float32)}, "do not fit gru"),
        ({"weight_hh": np.zeros((2, 0, 0), np.float32)}, "do not fit gru"),
        ({"bias_hh": np.zeros((1, 9), np.float32)}, "bias_hh should be"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    inputs = Inputs("gru", [2, 3], D=3)
    names = ("cell", "gates", "weight_hh", "bias_hh", "offsets")
    arguments = {**{name: getattr(inputs, name) for name in names}, "threads": 1, **change}
    with pytest.raises(ValueError, match=message):
        rnn_forward.run(**arguments)
