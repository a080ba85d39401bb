"""``textrnn bench``: how fast the SRU operator is on this machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from textrnn.cli.terminal import say, write_data
from textrnn.errors import ConfigError


def bench_command(
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, or bf16 for autocast to bfloat16 for all.")] = "fp32",
    seconds: Annotated[float, typer.Option(help="How long to time each network in each row.", min=0.01)] = 0.2,
) -> None:
    """Time two SRU layers beside LSTM, GRU and their own matrix products.

    Prints milliseconds for batches of B sequences of T steps, D wide, and how many times longer than SRU the others
    take (x), the median of the ratios within each of many turns, which what else the machine does falsifies least.
    "products" are the matrix products of the SRU layers alone: no layer can be faster than they are. Where the
    library has products of its own, "products by torch" are the same by torch.

    \b
      textrnn bench
      textrnn bench --device cuda --precision bf16 --seconds 1
    """
    if precision not in {"fp32", "bf16"}:
        raise ConfigError(f"--precision {precision}: there are fp32 and bf16")
    from textrnn.models import layer_benchmark
    from textrnn.ops.device import resolve_device

    where = resolve_device(device)
    rows, networks = (
        len(layer_benchmark.SHAPES) * len(layer_benchmark.PASSES),
        1 + len(layer_benchmark.rivals(where, precision)),
    )
    say(f"{layer_benchmark.describe(where, precision)}; about {rows * networks * 1.2 * seconds + 30:.0f} seconds")
    timings = []
    for timing in layer_benchmark.contest(layer_benchmark.SHAPES, device=where, precision=precision, seconds=seconds):
        timings.append(timing)
        if sys.stderr.isatty():
            say(f"{timing.shape} {timing.which} done")
    lines = layer_benchmark.tabulate(timings)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = [cell.ljust(widths[i]) if i < 2 else cell.rjust(widths[i]) for i, cell in enumerate(line)]
        write_data("  ".join(cells).rstrip() + "\n")
