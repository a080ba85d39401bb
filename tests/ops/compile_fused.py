"""Compile the kernels of a training step for GPUs that need not be there; a line says what ptxas made of each.

    python tests/ops/compile_fused.py

A line holds the compute capability, the kernel, the dtype of the rows, the columns of a row, the registers of a thread
and the bytes that it spills.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from itertools import product
from typing import Any

CAPABILITIES = (75, 80, 90, 120)
WIDTHS = (100, 1024, 4096)
ROWS = {"x", "y", "n", "dy", "dn", "dx", "h", "dh"}  # these have the dtype of the rows
TYPES = {
    **dict.fromkeys(("sequences", "order", "starts"), "*i32"),
    **dict.fromkeys(("offsets", "targets"), "*i64"),
    **dict.fromkeys(("keep", "epsilon", "smoothing", "r_drop"), "fp32"),
    **{"key": "i64", "limit": "i32", "N": "i32", "B": "i32"},
}
FLAGS = ("BY_SEQUENCE", "DROP", "COPY", "HAS_DY", "TWICE")


def compile_kernel(kernel: Any, capability: int, *, dtype: str, D: int) -> tuple[int, int]:
    """Return the registers of a thread and the bytes that it spills, with everything that is optional."""
    import triton  # noqa: PLC0415 - after the environment is set
    from triton.backends.compiler import GPUTarget  # noqa: PLC0415
    from triton.compiler import ASTSource  # noqa: PLC0415

    from textrnn.ops import fused_kernels  # noqa: PLC0415

    sizes = {"D": D, "C": D, "BLOCK": triton.next_power_of_2(D), "ROWS": fused_kernels.ROWS, "PARTS": 512}
    constants = {**sizes, **dict.fromkeys(FLAGS, True)}
    signature = {name: "constexpr" if name in constants else type_of(name, dtype) for name in kernel.arg_names}
    used = {name: value for name, value in constants.items() if name in kernel.arg_names}
    pointers = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(signature) if signature[name].startswith("*")}
    options = {"num_warps": fused_kernels.count_warps(D)}
    with contextlib.redirect_stdout(io.StringIO()) as output:
        source = ASTSource(kernel, signature, used, pointers)
        triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    log = output.getvalue()
    registers = re.search(r"Used (\d+) registers", log)
    spilled = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", log)
    assert registers, log
    assert spilled, log
    return int(registers[1]), int(spilled[1]) + int(spilled[2])


def type_of(name: str, dtype: str) -> str:
    """Return the type of a kernel's argument as Triton writes it."""
    return TYPES.get(name, f"*{dtype}" if name in ROWS else "*fp32")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("TRITON_INTERPRET", None)
        # not from the cache: what is there has no report by ptxas
        os.environ.update(TRITON_CACHE_DIR=folder, TRITON_DUMP_PTXAS_LOG="1")
        from textrnn.ops import fused_kernels  # noqa: PLC0415

        kernels = {name: value for name, value in vars(fused_kernels).items() if name.endswith("_kernel")}
        cells = [(90, "fp32", D) for D in WIDTHS] + list(product(CAPABILITIES, ("fp32", "fp16", "bf16"), (256,)))
        for (capability, dtype, D), (name, kernel) in product(cells, kernels.items()):
            if dtype != "fp32" and not ROWS & set(kernel.arg_names):
                continue
            registers, spilled = compile_kernel(kernel, capability, dtype=dtype, D=D)
            sys.stdout.write(f"{capability} {name} {dtype} {D} {registers} {spilled}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
