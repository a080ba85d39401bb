"""Two stacked SRU layers compared with torch's LSTM and GRU, the package `sru`, and their own matrix products.

    python benchmarks/sru_layer.py [--seconds 1] [--device cpu] [--keep-memory]

prints Markdown tables for float32, then for bfloat16 autocast: milliseconds, medians over turns, and the time
relative to our SRU, the median of the ratios within a turn. The package `sru` 2.6.0 is compared last, if it is
installed (`pip install 'textrnn[peers]'`): importing it compiles it and slows down small parallel operations in the
process.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import torch

from textrnn.models.layer_benchmark import (
    FLOOR,
    LAYERS,
    PASSES,
    SHAPES,
    Contestant,
    Shape,
    Timing,
    contest,
    describe,
    passes_of,
    tabulate,
)
from textrnn.native.malloc import keep_freed_memory


def load_peer() -> Contestant | None:
    """Return the package `sru` as a contestant, or None if it does not work here."""
    try:
        import sru  # noqa: PLC0415 - importing compiles it
    except Exception as error:
        print(f"the package sru is left out: {type(error).__name__}: {error}", file=sys.stderr)
        return None

    def prepare(shape: Shape, device: torch.device, precision: str) -> dict[str, Callable[[], object]]:
        stack = sru.SRU(shape.D, shape.D, num_layers=LAYERS).to(device)
        x = torch.randn(shape.T, shape.B, shape.D, device=device)
        passes = passes_of(lambda x: stack(x)[0], list(stack.parameters()), x)
        if precision == "bf16" and device.type == "cpu":
            return {"training": passes["training"]}  # its C++ for inference supports float32 only
        stack_in_evaluation = sru.SRU(shape.D, shape.D, num_layers=LAYERS).to(device).eval()
        passes["inference"] = passes_of(lambda x: stack_in_evaluation(x)[0], [], x)["inference"]
        return passes

    return prepare


def print_table(timings: list[Timing]) -> None:
    """Print the timings as a Markdown table."""
    for line in tabulate(timings):
        print("| " + " | ".join(line) + " |")
        if line[0].startswith("(T"):
            print("|" + "---|" * len(line))
    if FLOOR in timings[0].turns:
        print("\nour layers relative to their products alone: ", end="")
        print(", ".join(f"{t.shape} {t.which} {1 / t.ratio(FLOOR):.2f}" for t in timings[len(PASSES) :]))


def main() -> None:
    """Print the tables, those of the package `sru` last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="per contestant, shape and pass")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--keep-memory", action="store_true", help="make glibc keep freed memory, as textrnn's commands do"
    )
    options = parser.parse_args()
    if options.keep_memory:
        keep_freed_memory()
    device = torch.device(options.device)
    run(device, options.seconds, None)
    peer = load_peer()
    if peer is not None:
        run(device, options.seconds, {"sru package": peer})


def run(device: torch.device, seconds: float, against: dict[str, Contestant] | None) -> None:
    """Print a table for each precision."""
    for precision in ("fp32", "bf16"):
        print(f"\n{describe(device, precision)}\n")
        print_table(list(contest(SHAPES, device=device, precision=precision, seconds=seconds, against=against)))


if __name__ == "__main__":
    main()
