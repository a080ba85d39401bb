"""``textrnn bench``: measure the speed of the SRU operator."""

from __future__ import annotations

import sys
from typing import Annotated

from textrnn.cli.parameters import Option
from textrnn.cli.terminal import print_message, write_data
from textrnn.errors import ConfigError


def bench_command(
    device: Annotated[str, Option(metavar="DEVICE", help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[str, Option(metavar="fp32|bf16", help="bf16 runs all networks under autocast.")] = "fp32",
    seconds: Annotated[float, Option(metavar="S", help="Time for each network in each row.", min=0.01)] = 0.2,
) -> None:
    """Measure the speed of SRU, LSTM and GRU layers.

    Prints milliseconds for two layers on batches of B sequences of T steps and width D. Columns marked x give the
    time relative to SRU: the median over alternating runs, so that other load on the machine matters little.

    "products" are the matrix products of the SRU layers alone, a lower bound of their time. "products by torch" are
    the same products in torch; they are shown if the C++ library has its own.

    \b
      textrnn bench
      textrnn bench --device cuda --precision bf16 --seconds 1
    """
    if precision not in {"fp32", "float32", "bf16"}:
        raise ConfigError(f"--precision {precision}: should be fp32 or bf16")
    precision = "bf16" if precision == "bf16" else "fp32"
    from textrnn.models import layer_benchmark
    from textrnn.ops.device import resolve_device

    target = resolve_device(device)
    rows = len(layer_benchmark.SHAPES) * len(layer_benchmark.PASSES)
    networks = 1 + len(layer_benchmark.rivals(target, precision))
    duration = f"about {rows * networks * 1.2 * seconds + 30:.0f} seconds"
    print_message(f"{layer_benchmark.describe(target, precision)}; {duration}")
    timings = []
    for timing in layer_benchmark.contest(layer_benchmark.SHAPES, device=target, precision=precision, seconds=seconds):
        timings.append(timing)
        if sys.stderr.isatty():
            print_message(f"{timing.shape} {timing.which} done")
    lines = layer_benchmark.tabulate(timings)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = [cell.ljust(widths[i]) if i < 2 else cell.rjust(widths[i]) for i, cell in enumerate(line)]
        write_data("  ".join(cells).rstrip() + "\n")
