"""Compile the SRU kernels for GPUs that need not be there, and show what the compilers made of them.

    python tests/ops/sru/compile_kernels.py [--few] [--jsonl] [forward | backward]

Triton and its ptxas do everything that they do before a launch. A line says for one kernel how many registers a thread
uses, what it spills, how many bytes of shared memory a program takes and how many instructions copy ahead (cp.async).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

CAPABILITIES = (75, 80, 90, 100, 120)
DTYPES = ("fp32", "fp16", "bf16")
KERNELS = ("forward", "backward")
LOADS = {"forward": 4, "backward": 6}  # a row: u0, u1, u2 and the highway; the state before it and dh
OF_THE_INPUT = {"u", "x", "h", "dh", "du", "dx"}  # these have the dtype of u, all other tensors are float32
CONTRACTION = {"enable_fp_fusion": False}  # as in a launch
FLAGS = ("HAS_C0", "SAVE")


@dataclass(frozen=True)
class Cell:
    """What is compiled: a kernel in its ``config``-th configuration, with everything that is optional."""

    capability: int
    kernel: str
    config: int
    dtype: str
    G: int
    D: int
    splits: int = 1
    carry: bool = False


@dataclass(frozen=True)
class Report:
    """What came out, and ``expected``: the least number of copies if every load is one, also before the loop."""

    cell: Cell
    block: int
    rows: int
    stages: int
    registers: int
    spilled: int
    shared: int
    copies: int
    expected: int
    narrow: list[str]


def all_cells() -> list[Cell]:
    """Return every capability, kernel, configuration, dtype and number of blocks."""
    return [
        Cell(capability, kernel, config, dtype, G, 512)
        for capability, kernel in product(CAPABILITIES, KERNELS)
        for config, dtype, G in product(range(len(configs_of(kernel))), DTYPES, (3, 4))
    ]


def few_cells() -> list[Cell]:
    """Return some that are unlike each other, so that what goes wrong in the others goes wrong in these too."""
    cells = []
    for kernel in KERNELS:
        configs = range(len(configs_of(kernel)))
        cells += [Cell(90, kernel, config, dtype, 4, 512) for config, dtype in product(configs, DTYPES)]
        # other devices: the configuration that needs the most registers; sm_75 has no instructions for bfloat16
        others = ((75, "fp32"), (75, "bf16"), (100, "fp32"), (120, "fp32"), (120, "fp16"))
        cells += [Cell(capability, kernel, 0, dtype, 4, 512) for capability, dtype in others]
        # the highway's input apart from u; a width that lets nothing be read in pairs
        cells += [Cell(80, kernel, 0, dtype, 3, 512) for dtype in ("fp32", "fp16")]
        cells += [Cell(90, kernel, 0, dtype, 3, 101) for dtype in ("fp32", "fp16")]
    cells += [Cell(90, "backward", 1, dtype, 4, 512, 8, carry) for dtype in ("fp32", "bf16") for carry in (True, False)]
    return cells


def configs_of(kernel: str) -> list[Any]:
    """Return the configurations of a kernel, by its name."""
    from textrnn.ops.sru import cuda  # noqa: PLC0415 - after the environment is set

    configs: list[Any] = getattr(cuda, f"{kernel.upper()}_CONFIGS")
    return configs


def compile_cell(cell: Cell) -> Report:
    """Compile it as a launch does: pointers to 16 bytes, N not specialised, no contraction of products and sums."""
    import triton  # noqa: PLC0415 - after the environment is set
    from triton.backends.compiler import GPUTarget  # noqa: PLC0415
    from triton.compiler import ASTSource  # noqa: PLC0415

    from textrnn.ops.sru import cuda  # noqa: PLC0415

    kernel = getattr(cuda, f"{cell.kernel}_kernel")
    config = configs_of(cell.kernel)[cell.config]
    constants = {"K": 2, "G": cell.G, "D": cell.D, **dict.fromkeys(FLAGS, True), **config.kwargs}
    constants |= {"SPLITS": cell.splits, "CARRY": cell.carry}
    signature = {name: type_of(name, cell.dtype) for name in kernel.arg_names}
    pointers = [i for i, name in enumerate(kernel.arg_names) if signature[name].startswith("*")]
    source = ASTSource(
        kernel,
        signature,
        {name: value for name, value in constants.items() if name in kernel.arg_names},
        {(i,): [["tt.divisibility", 16]] for i in pointers},
    )
    options = {name: value for name, value in config.all_kwargs().items() if name not in config.kwargs}
    with contextlib.redirect_stdout(io.StringIO()) as output:
        compiled = triton.compile(source, target=GPUTarget("cuda", cell.capability, 32), options=options | CONTRACTION)
    log = output.getvalue()
    spilled = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", log)
    registers = re.search(r"Used (\d+) registers", log)
    if not spilled or not registers:
        raise RuntimeError(f"ptxas did not say what it used: {log}")
    rows, stages = config.kwargs["ROWS"], config.kwargs["STAGES"]
    return Report(
        cell,
        block=config.kwargs["BLOCK"],
        rows=rows,
        stages=stages,
        registers=int(registers[1]),
        spilled=int(spilled[1]) + int(spilled[2]),
        shared=compiled.metadata.shared,
        copies=len(re.findall(r"\bcp\.async\.c[ag]\.shared", compiled.asm["ptx"])),
        expected=LOADS[cell.kernel] * rows * stages,
        narrow=narrow_arithmetic(compiled.asm["ttir"]),
    )


def type_of(name: str, dtype: str) -> str:
    """Return the type of a kernel's argument as Triton writes it."""
    types = {"offsets": "*i64", "order": "*i64", "alpha": "fp32", "N": "i32", "bucket": "i32"}
    if name in types:
        return types[name]
    if name.isupper():
        return "constexpr"
    return f"*{dtype}" if name in OF_THE_INPUT else "*fp32"


def narrow_arithmetic(code: str) -> list[str]:
    """Return the lines in which a place in a tensor may be computed in 32 bits; a tensor may have more entries.

    What is loaded (the offsets and the order) has 64 bits, and so has what is computed from it, unless it is cut. What
    has 32 are the number of the program and N; products are safe with what is left over from a division by a constant.
    """
    remainders = set(re.findall(r"(%\S+) = arith.remsi", code))
    found = []
    for line in code.splitlines():
        product = re.search(r"= arith.muli (%\S+), .* : i32\b", line)
        cut = "arith.trunci" in line or (product and product[1] not in remainders)
        if cut or (re.search(r"%N\b", line) and "tt.func" not in line and "arith.extsi" not in line):
            found.append(line.strip())
    return found


def write_table(reports: Iterable[Report]) -> None:
    """Write a line for each as it comes."""
    sys.stdout.write(
        "| sm | kernel | dtype | G | D | BLOCK, ROWS, STAGES | registers | spilled | shared | cp.async |\n"
    )
    sys.stdout.write("|---|---|---|---|---|---|---|---|---|---|\n")
    for r in reports:
        of = r.cell
        sys.stdout.write(
            f"| {of.capability} | {of.kernel} | {of.dtype} | {of.G} | {of.D} | {r.block}, {r.rows}, {r.stages} "
            f"| {r.registers} | {r.spilled} | {r.shared} | {r.copies} |\n"
        )
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernel", nargs="?", choices=KERNELS, help="only this one")
    parser.add_argument("--few", action="store_true", help="those that the tests look at, not all")
    parser.add_argument("--jsonl", action="store_true", help="a line of JSON for each, not a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("TRITON_INTERPRET", None)
        # not from the cache: what is there has no report by ptxas
        os.environ.update(TRITON_CACHE_DIR=folder, TRITON_DUMP_PTXAS_LOG="1")
        cells = few_cells() if options.few else all_cells()
        reports = (compile_cell(cell) for cell in cells if options.kernel in (None, cell.kernel))
        if options.jsonl:
            sys.stdout.writelines(f"{json.dumps(asdict(report))}\n" for report in reports)
        else:
            write_table(reports)


if __name__ == "__main__":
    main()
