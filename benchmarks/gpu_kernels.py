"""The SRU kernels on a CUDA device: parity with the definitions, speed of the layers, and share of the bandwidth.

A part of benchmarks/gpu.py, which says what the tables hold:

    python benchmarks/gpu_kernels.py [--small] [--seconds 0.2] [--only parity layers kernels] [--tf32] [--until TIME]

Parity: the largest error relative to the largest entry of each tensor, and whether two runs and all configurations of
the kernels give the same bits. ``TIME``, in seconds since 1970, is when no further row starts.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textrnn.data.batch import make_offsets
from textrnn.models.layer_benchmark import OURS, PASSES, PEERS, Shape, contest
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.sru.inputs import SruInputs
from textrnn.ops.sru.recurrence import sru_recurrence

PARTS = ("parity", "layers", "kernels")
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
# the default layer in batches of 64 and 256 with R-Drop, a large one, a single text, long texts
TELLING = (Shape(32, 128, 128), Shape(32, 512, 128), Shape(128, 32, 512), Shape(32, 1, 128), Shape(512, 32, 512))
PRECISIONS = ("fp32", "bf16")  # bf16: autocast
SPEEDLESS = "interpreter: no speed is measured"

# what computing in float32 costs, relative to the largest entry of a tensor: the gates' exponential and reciprocal are
# the device's own, 1e-7 off; errors of earlier steps fade; dv and db are sums over all steps, some of which cancel
ARITHMETIC = dict.fromkeys(("h", "final", "du", "dx"), 1e-5) | dict.fromkeys(("dv", "db"), 3e-5)
STORED_AS_U = {"h", "du", "dx"}
ROUNDING = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


@dataclass(frozen=True)
class Case:
    """A case of the parity check, with initial states or without."""

    dtype: str
    K: int
    G: int
    D: int
    lengths: tuple[int, ...]
    with_c0: bool = True

    def __str__(self) -> str:
        return f"{self.dtype} | {self.K} | {self.G} | {self.D} | {'yes' if self.with_c0 else 'no'}"


@dataclass(frozen=True)
class Plan:
    """The cases and shapes of a run, and its device."""

    device: torch.device
    interpreted: bool
    cases: list[Case]
    shapes: list[Shape]
    seconds: float
    until: float = math.inf

    @property
    def is_over(self) -> bool:
        """True when no further row may start."""
        return time.time() > self.until


def plan(*, small: bool, seconds: float, until: float = math.inf) -> Plan:
    """Return the plan for this machine, and select its GPU or the interpreter for the kernels."""
    if importlib.util.find_spec("triton") is None:
        sys.exit("the package triton is not installed; torch's CUDA builds for Linux bring it")
    interpreted = not torch.cuda.is_available()
    if interpreted:
        os.environ["TRITON_INTERPRET"] = "1"  # read when the kernels are defined, which is not yet
        cases = [Case(dtype, K, G, 7, (3, 0, 5, 1)) for dtype, (K, G) in product(DTYPES, ((1, 3), (2, 4)))]
        cases += [Case("float32", 2, 3, 130, (2, 0, 1)), Case("float32", 1, 3, 16, (4, 2), with_c0=False)]
        return Plan(torch.device("cpu"), True, cases, [Shape(4, 2, 8)], 0.01, until)
    os.environ.pop("TRITON_INTERPRET", None)
    ragged = (3, 0, 257, 64, 1, 0, 31, 130, 2)
    widths = (7, 512) if small else (7, 128, 513)
    cases = [Case(*of, ragged) for of in product(DTYPES, (1, 2), (3, 4), widths)]
    cases += [Case(dtype, 1, 3, 128, ragged, with_c0=False) for dtype in DTYPES]
    if not small:
        cases += [Case(dtype, 2, 3, D, ragged) for dtype, D in product(DTYPES, (1, 1000))]
    sizes = ((32, 512), (1, 32), (128, 512)) if small else ((32, 128, 512, 1024), (1, 32, 128, 512), (128, 512, 1024))
    shapes = list(dict.fromkeys([*TELLING, *(Shape(T, B, D) for T, B, D in product(*sizes))]))
    cases.sort(key=lambda case: case.D not in {128, 512})  # the widths of real layers first
    return Plan(torch.device("cuda", torch.cuda.current_device()), False, cases, shapes, seconds, until)


def kernels() -> Any:
    from textrnn.ops.sru import cuda  # noqa: PLC0415 - after the choice of the interpreter

    return cuda


def describe(chosen: Plan, *, tf32: bool) -> None:
    import triton  # noqa: PLC0415

    versions = f"torch {torch.__version__}, Triton {triton.__version__}"
    if chosen.interpreted:
        print(f"no CUDA device: Triton's interpreter on the CPU, tiny shapes. {SPEEDLESS}. {versions}")
        return
    about = torch.cuda.get_device_properties(chosen.device)
    print(f"{about.name} (sm_{about.major}{about.minor}, {about.multi_processor_count} multiprocessors, ", end="")
    print(f"{about.total_memory / 2**30:.0f} GiB), CUDA {torch.version.cuda}, ", end="")
    print(f"cuDNN {torch.backends.cudnn.version()}, {versions}; TF32 is {'on' if tf32 else 'off'} for all")


# parity


def draw(case: Case, device: torch.device) -> tuple[dict[str, Any], Tensor]:
    """Return the arguments of the recurrence, and the gradient of its output."""
    N, B, (K, G, D) = sum(case.lengths), len(case.lengths), (case.K, case.G, case.D)
    generator = torch.Generator().manual_seed(N + 10 * D + G)

    def normal(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device, dtype)

    dtype = DTYPES[case.dtype]
    inputs = {
        "u": normal(N, K, G, D, dtype=dtype),
        "x": normal(N, K, D, dtype=dtype) if G == 3 else None,
        "layout": BatchLayout.of(make_offsets(np.array(case.lengths)), device),
        "v": normal(K, 2, D) / 2,  # below 1: rounding does not grow from step to step
        "b": normal(K, 2, D),
        "alpha": 1.7,
        "c0": normal(B, K, D) if case.with_c0 else None,
    }
    return inputs, normal(N, K, D, dtype=dtype)


def run(inputs: Mapping[str, Any], dh: Tensor, *, backend: str) -> dict[str, Tensor]:
    """Return the outputs and the gradients of a backend."""
    names = [name for name in ("u", "x", "v", "b") if inputs[name] is not None]
    leaves = {name: inputs[name].detach().clone().requires_grad_() for name in names}
    h, final = sru_recurrence(**{**inputs, **leaves}, backend=backend)
    gradients = torch.autograd.grad(h, list(leaves.values()), dh)
    named = {f"d{name}": gradient for name, gradient in zip(names, gradients, strict=True)}
    return {"h": h.detach(), "final": final} | named


def run_exactly(inputs: Mapping[str, Any], dh: Tensor) -> dict[str, Tensor]:
    """Return the outputs and the gradients of the reference in float64."""
    doubles = {name: value.double() if isinstance(value, Tensor) else value for name, value in inputs.items()}
    return run(doubles, dh.double(), backend="reference")


def run_everywhere(inputs: Mapping[str, Any], dh: Tensor) -> Iterable[dict[str, Tensor]]:
    """Yield the results of a second run of the kernels, and of each of their configurations."""
    yield run(inputs, dh, backend="cuda")
    module = kernels()
    tuned = module._tuned_forward, module._tuned_backward
    try:
        for forward, backward in zip(module.FORWARD_CONFIGS, module.BACKWARD_CONFIGS, strict=True):
            module._tuned_forward = module.tune(module.forward_kernel, [forward])
            module._tuned_backward = module.tune(module.backward_kernel, [backward])
            yield run(inputs, dh, backend="cuda")
    finally:
        module._tuned_forward, module._tuned_backward = tuned


def errors_of(got: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, float]:
    """Return each tensor's largest error relative to its largest entry."""
    return {
        name: float((got[name].double() - value).abs().max() / value.abs().max().clamp(min=1e-30))
        for name, value in wanted.items()
    }


def allowed(name: str, case: Case, *, interpreted: bool) -> float:
    """Return the tolerance of a tensor's error."""
    dtype = case.dtype if name in STORED_AS_U else "float32"
    cut = 2 if interpreted and dtype == "bfloat16" else 1  # the interpreter cuts off where a device rounds
    return ARITHMETIC[name] + cut * ROUNDING[dtype]


def check_parity(chosen: Plan) -> bool:
    """Print a line for each case; return whether all pass."""
    wrong = 0
    print("\n| dtype | K | G | D | c0 | " + " | ".join(ARITHMETIC) + " | same bits | parity |")
    print("|" + "---|" * (7 + len(ARITHMETIC)))
    done = 0
    for case in chosen.cases:
        if chosen.is_over:
            break
        done += 1
        inputs, dh = draw(case, chosen.device)
        got = run(inputs, dh, backend="cuda")
        errors = errors_of(got, run_exactly(inputs, dh))
        right = all(error <= allowed(name, case, interpreted=chosen.interpreted) for name, error in errors.items())
        same = all(torch.equal(again[name], got[name]) for again in run_everywhere(inputs, dh) for name in got)
        cells = [f"{errors[name]:.1e}" if name in errors else "" for name in ARITHMETIC]
        wrong += not (right and same)
        verdict = f"{'yes' if same else 'NO'} | {'pass' if right and same else 'FAIL'}"
        print(f"| {case} | {' | '.join(cells)} | {verdict} |", flush=True)
    print(f"\nparity: {done - wrong} of {done} cases pass" + note_rest(len(chosen.cases) - done))
    return wrong == 0


# speed


def note_rest(rows: int) -> str:
    return f"; {rows} left out, no time" if rows else ""


def attempt(name: str, measure: Callable[[], str], left_out: dict[str, str]) -> None:
    """Print the row that ``measure`` returns; if it fails, record the reason and continue."""
    try:
        print(measure(), flush=True)
    except RuntimeError as error:
        left_out[name] = "memory" if lacks_memory(error) else f"{type(error).__name__}: {str(error).splitlines()[0]}"
    gc.collect()  # a failed measurement's tensors
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def lacks_memory(error: RuntimeError) -> bool:
    return (
        isinstance(error, torch.cuda.OutOfMemoryError) or "ALLOC_FAILED" in str(error) or "out of memory" in str(error)
    )


def report_left_out(left_out: Mapping[str, str]) -> bool:
    """Print the measurements missing in a table; return whether all failed for lack of memory."""
    short = [name for name, reason in left_out.items() if reason == "memory"]
    if short:
        print(f"\nleft out, needs more memory: {', '.join(short)}")
    for name, reason in left_out.items():
        if reason != "memory":
            print(f"\nFAIL {name}: {reason}")
    return len(short) == len(left_out)


def forget_tuning() -> None:
    """Forget the chosen configurations, which the first batch of its kind chooses for all later ones."""
    for tuned in (kernels()._tuned_forward, kernels()._tuned_backward):
        tuned.cache.clear()


def time_layers(chosen: Plan) -> bool:
    """Print a line for each shape and precision; return whether all succeeded."""
    ratios: dict[tuple[str, str, str], list[float]] = {}
    left_out: dict[str, str] = {}
    print("\ntwo stacked layers, milliseconds, and the time of the others relative to SRU" + note(chosen))
    columns = [f"{which}: {OURS} ms | LSTM ms | LSTM x | GRU ms | GRU x" for which in PASSES]
    print(f"\n| T | B | D | precision | {' | '.join(columns)} |")
    print("|" + "---|" * (4 + 5 * len(PASSES)))

    def measure(shape: Shape, precision: str) -> str:
        forget_tuning()
        cells = [str(shape.T), str(shape.B), str(shape.D), precision]
        options = {"device": chosen.device, "precision": precision, "seconds": chosen.seconds, "against": PEERS}
        for timing in contest([shape], **options):
            cells.append(f"{timing.milliseconds(OURS):.3f}")
            for peer in PEERS:
                cells += [f"{timing.milliseconds(peer):.3f}", f"{timing.ratio(peer):.2f}"]
                ratios.setdefault((precision, timing.which, peer), []).append(timing.ratio(peer))
        return f"| {' | '.join(cells)} |"

    rows = list(product(chosen.shapes, PRECISIONS))
    for number, (shape, precision) in enumerate(rows):
        if chosen.is_over:
            print(note_rest(len(rows) - number).removeprefix("; "))
            break
        attempt(f"{shape} {precision}", partial(measure, shape, precision), left_out)
    for precision in PRECISIONS:
        means = [[statistics.geometric_mean(ratios.get((precision, w, p), [math.nan])) for p in PEERS] for w in PASSES]
        cells = " | ".join(f"| | {lstm:.2f} | | {gru:.2f}" for lstm, gru in means)
        print(f"| geometric mean | | | {precision} | {cells} |")
    return report_left_out(left_out)


def time_kernels(chosen: Plan) -> bool:
    """Print a line for each shape and dtype; return whether all succeeded."""
    bandwidth = copy_bandwidth(chosen)
    left_out: dict[str, str] = {}
    print("\nthe recurrence alone, one direction, 3 blocks: forward (states saved) and backward" + note(chosen))
    print(
        f"\na large tensor is copied at {bandwidth / 1e9:,.2f} GB/s, read and written; more than 100 %: from the cache"
    )
    print("\n| T | B | D | dtype | forward ms | GB/s | % of copying | backward ms | GB/s | % of copying |")
    print("|" + "---|" * 10)

    def measure(shape: Shape, dtype: str) -> str:
        forget_tuning()
        cells = [str(shape.T), str(shape.B), str(shape.D), dtype]
        for step, moved in recurrence_steps(shape, DTYPES[dtype], chosen.device):
            seconds = time_step(step, chosen)
            cells += [
                f"{1e3 * seconds:.4f}",
                f"{moved / seconds / 1e9:,.2f}",
                f"{100 * moved / seconds / bandwidth:.1f}",
            ]
        return f"| {' | '.join(cells)} |"

    rows = list(product(chosen.shapes, ("float32", "bfloat16")))
    for number, (shape, dtype) in enumerate(rows):
        if chosen.is_over:
            print(note_rest(len(rows) - number).removeprefix("; "))
            break
        attempt(f"{shape} {dtype}", partial(measure, shape, dtype), left_out)
    return report_left_out(left_out)


def recurrence_steps(
    shape: Shape, dtype: torch.dtype, device: torch.device
) -> Iterable[tuple[Callable[[], object], int]]:
    """Yield the forward and the backward pass, each with the bytes that it must read and write."""
    N, B, D = shape.B * shape.T, shape.B, shape.D
    u, x = torch.randn(N, 1, 3, D, device=device, dtype=dtype), torch.randn(N, 1, D, device=device, dtype=dtype)
    layout = BatchLayout.of(np.arange(0, N + 1, shape.T), device)
    v, b = torch.randn(1, 2, D, device=device) / 2, torch.randn(1, 2, D, device=device)
    inputs = SruInputs(u, x, layout, v, b, 1.7, None)
    module = kernels()
    h, states, final = module.forward(inputs, save=True)
    small = bytes_of(v, b, layout.offsets)
    yield lambda: module.forward(inputs, save=True), bytes_of(u, x, h, states, final) + small
    per_sequence = 2 * 4 * B * 2 * D  # each sequence's part of the gradients of v and b
    yield (
        lambda: module.backward(inputs, states, h),
        2 * bytes_of(u, x) + bytes_of(h, states) + per_sequence + small,
    )


def bytes_of(*tensors: Tensor) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def copy_bandwidth(chosen: Plan) -> float:
    """Return the bytes per second read and written by a copy of a tensor too large for any cache."""
    entries = 2**16 if chosen.interpreted else min(2**28, torch.cuda.mem_get_info(chosen.device)[0] // 16)
    source = torch.zeros(entries, device=chosen.device)
    target = torch.empty_like(source)
    return 2 * bytes_of(source) / time_step(lambda: target.copy_(source), chosen)


def time_step(step: Callable[[], object], chosen: Plan) -> float:
    """Return the seconds of a step: the median over groups of calls, by the device's clock if it has one."""
    for _ in range(1 if chosen.interpreted else 5):
        step()
    repeats = 1 if chosen.interpreted else max(1, round(chosen.seconds / 10 / max(time_group(step, chosen, 3), 1e-7)))
    return statistics.median(time_group(step, chosen, repeats) for _ in range(1 if chosen.interpreted else 10))


def time_group(step: Callable[[], object], chosen: Plan, repeats: int) -> float:
    if chosen.interpreted:
        start = time.perf_counter()
        step()
        return time.perf_counter() - start
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(chosen.device)
    begin.record()
    for _ in range(repeats):
        step()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / repeats


def note(chosen: Plan) -> str:
    return f"\n({SPEEDLESS}; these lines show that the command works)" if chosen.interpreted else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="fewer cases and shapes")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each contestant, shape and pass")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts alone")
    parser.add_argument("--until", type=float, default=math.inf, help="the end, in seconds since 1970")
    parser.add_argument("--tf32", action="store_true", help="allow TF32 in float32 products, for all sides")
    options = parser.parse_args()
    chosen = plan(small=options.small, seconds=options.seconds, until=options.until)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.tf32
    describe(chosen, tf32=options.tf32)
    parts = {"parity": check_parity, "layers": time_layers, "kernels": time_kernels}
    right = [run_part(chosen) for name, run_part in parts.items() if name in options.only]
    sys.exit(0 if all(right) else 1)


if __name__ == "__main__":
    main()
