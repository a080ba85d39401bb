"""A benchmark of SRU layers against LSTM and GRU, and against their own matrix products."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from textrnn.models.sru import SRU
from textrnn.native import library
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.matmul import multiply
from textrnn.ops.sru.backends import choose_backend

LAYERS = 2
FLOOR, OURS = "products", "SRU"
PASSES = ("inference", "training")


@dataclass(frozen=True)
class Shape:
    """A batch of ``B`` sequences of ``T`` steps each, ``D`` wide."""

    T: int
    B: int
    D: int

    def __str__(self) -> str:
        return f"({self.T}, {self.B}, {self.D})"


SHAPES = (Shape(32, 1, 128), Shape(32, 32, 128), Shape(64, 32, 256), Shape(128, 32, 512), Shape(256, 8, 512))

Step = Callable[[], object]
Contestant = Callable[[Shape, torch.device, str], Mapping[str, Step]]  # (shape, device, precision) to steps by pass


@dataclass(frozen=True)
class Timing:
    """Milliseconds of each contestant in each turn, for one shape and one pass."""

    shape: Shape
    which: str
    turns: Mapping[str, list[float]]

    def milliseconds(self, name: str) -> float:
        """Return the median time of ``name``."""
        return statistics.median(self.turns[name])

    def ratio(self, name: str) -> float:
        """Return the median over the turns of the time of ``name`` relative to ours.

        Other load on the machine slows all contestants of a turn alike.
        """
        return statistics.median(x / ours for x, ours in zip(self.turns[name], self.turns[OURS], strict=True))


def contest(
    shapes: Iterable[Shape],
    *,
    device: torch.device,
    precision: str = "fp32",
    seconds: float = 1.0,
    against: Mapping[str, Contestant] | None = None,
) -> Iterable[Timing]:
    """Time two stacked layers of each kind, in turns.

    Args:
        shapes: the batches.
        device: the device of all contestants.
        precision: ``fp32``, or ``bf16`` for autocast to bfloat16.
        seconds: approximate time for each contestant in each pass.
        against: the contestants besides our SRU, by name; by default :func:`rivals`. They may lack a pass.

    Yields:
        for each shape the timing of inference (no gradients) and of training (forward, and backward to the input and
        the weights, without the optimizer).
    """
    others = rivals(device, precision) if against is None else against
    contestants: dict[str, Contestant] = {OURS: _sru, **others}
    for shape in shapes:
        torch.manual_seed(1)
        prepared = {name: prepare(shape, device, precision) for name, prepare in contestants.items()}
        for which in PASSES:
            steps = {
                name: _within(passes[which], device, precision) for name, passes in prepared.items() if which in passes
            }
            yield Timing(shape, which, _take_turns(steps, device, seconds))


def rivals(device: torch.device, precision: str) -> dict[str, Contestant]:
    """Return torch's LSTM and GRU, the products of our layers, and these by torch if our library computes ours."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    ours = device.type == "cpu" and library.supports_dtype(dtype)
    by_torch = {"products by torch": _products(_multiply_by_torch)} if ours else {}
    return {FLOOR: _products(multiply), **by_torch, **PEERS}


def describe(device: torch.device, precision: str) -> str:
    """Describe a benchmark run: precision, device, threads and SRU backend."""
    dtype = "bfloat16" if precision == "bf16" else "float32"
    count = torch.get_num_threads()
    threads = f", {count} thread{'s' if count > 1 else ''}" if device.type == "cpu" else ""
    return f"{precision} on {device}{threads}, SRU backend {choose_backend('auto', device=device.type, dtype=dtype)}"


def tabulate(timings: list[Timing]) -> list[list[str]]:
    """Return the rows of a table: the header, each timing with milliseconds and ratios, the geometric means."""
    names = list(dict.fromkeys(name for timing in timings for name in timing.turns))
    others = [name for name in names if name != OURS]
    lines = [["(T, B, D)", "pass", *(f"{name} ms" for name in names), *(f"{name} x" for name in others)]]
    for timing in timings:
        lines.append([str(timing.shape), timing.which])
        lines[-1] += [f"{timing.milliseconds(name):.3f}" if name in timing.turns else "-" for name in names]
        lines[-1] += [f"{timing.ratio(name):.2f}" if name in timing.turns else "-" for name in others]
    for which in PASSES:
        lines.append(["geometric mean", which, *[""] * len(names)])
        for name in others:
            ratios = [timing.ratio(name) for timing in timings if timing.which == which and name in timing.turns]
            lines[-1].append(f"{statistics.geometric_mean(ratios):.2f}" if ratios else "-")
    return lines


def passes_of(forward: Callable[[Tensor], Tensor], parameters: list[Tensor], x: Tensor) -> dict[str, Step]:
    """Return an inference and a training step of ``forward``, a function of ``x`` with ``parameters``."""
    leaf = x.detach().clone().requires_grad_()

    def infer() -> Tensor:
        with torch.no_grad():
            return forward(x)

    def train() -> object:
        h = forward(leaf)
        return torch.autograd.grad(h, [leaf, *parameters], torch.ones_like(h))

    return {"inference": infer, "training": train}


def _sru(shape: Shape, device: torch.device, _: str) -> dict[str, Step]:
    stack = nn.ModuleList([SRU(shape.D, shape.D) for _ in range(LAYERS)]).to(device)
    layout = BatchLayout.of(np.arange(0, shape.B * shape.T + 1, shape.T), device)

    def forward(x: Tensor) -> Tensor:
        for layer in stack:
            x = layer(x, layout)
        return x

    return passes_of(forward, list(stack.parameters()), torch.randn(shape.B * shape.T, shape.D, device=device))


def _multiply_by_torch(a: Tensor, b: Tensor, *, dtype: torch.dtype) -> Tensor:
    return (a @ b).to(dtype)


def _products(multiply: Callable[..., Tensor]) -> Contestant:
    """Return the matrix products of our layers alone: a lower bound of their time."""

    def prepare(shape: Shape, device: torch.device, precision: str) -> dict[str, Step]:
        N, D = shape.B * shape.T, shape.D
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        x, weight, du = (torch.randn(*size, device=device).to(dtype) for size in ((N, D), (D, 3 * D), (N, 3 * D)))

        def infer() -> None:
            for _ in range(LAYERS):
                _ = multiply(x, weight, dtype=dtype)

        def train() -> None:
            for _ in range(LAYERS):
                _ = multiply(x, weight, dtype=dtype), multiply(du, weight.T, dtype=dtype)
                _ = multiply(x.T, du, dtype=torch.float32)

        return {"inference": infer, "training": train}

    return prepare


def _torch(kind: type[nn.LSTM | nn.GRU]) -> Contestant:
    def prepare(shape: Shape, device: torch.device, _: str) -> dict[str, Step]:
        stack = kind(shape.D, shape.D, num_layers=LAYERS).to(device)
        x = torch.randn(shape.T, shape.B, shape.D, device=device)
        return passes_of(lambda x: stack(x)[0], list(stack.parameters()), x)

    return prepare


PEERS: dict[str, Contestant] = {"LSTM": _torch(nn.LSTM), "GRU": _torch(nn.GRU)}


def _within(step: Step, device: torch.device, precision: str) -> Step:
    def run() -> None:
        context: AbstractContextManager[object] = (
            torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()
        )
        with context:
            step()

    return run


def _take_turns(steps: Mapping[str, Step], device: torch.device, seconds: float) -> dict[str, list[float]]:
    repeats = {name: max(1, round(0.02 / _time(step, device, 1, warm=True))) for name, step in steps.items()}
    taken: dict[str, list[float]] = {name: [] for name in steps}
    end = time.perf_counter() + seconds * len(steps)
    while time.perf_counter() < end or len(taken[OURS]) < 3:
        for name, step in steps.items():
            taken[name].append(1e3 * _time(step, device, repeats[name]))
    return taken


def _time(step: Step, device: torch.device, repeats: int, *, warm: bool = False) -> float:
    """Return the seconds of one ``step``, after three warm-up calls if ``warm``."""
    for _ in range(3 if warm else 0):
        step()
    _wait(device)
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    _wait(device)
    return (time.perf_counter() - start) / repeats


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
