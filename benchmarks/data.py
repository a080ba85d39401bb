"""What looking over and splitting a million lines takes: seconds and the largest resident memory of each command.

    python benchmarks/data.py [--megabytes 104]

Writes a labelled file of that size (104 MB are 1,000,000 lines), words drawn with a seed by their frequency as in a
language, one line in twenty once more, and runs the installed commands on it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from memory import write_text

AGAIN = 20  # one line in so many stands in the file twice


def write_data(path: Path, megabytes: int) -> int:
    """Write the file; return its lines."""
    write_text(path, round(megabytes * AGAIN / (AGAIN + 1)))
    with path.open("r+b") as file:
        lines = file.readlines()
        again = list(islice(lines, 0, None, AGAIN))
        file.writelines(again)
    return len(lines) + len(again)


def run(*arguments: object) -> tuple[float, float]:
    """Run ``textrnn ARGUMENTS``; return its seconds and its peak memory in MiB."""
    start = time.time()
    with subprocess.Popen(
        [sys.executable, "-m", "textrnn", *map(str, arguments)], stdout=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"textrnn {arguments[0]} ended with status {process.returncode}")
    return time.time() - start, usage.ru_maxrss / 1024


def main() -> None:
    """Write the file, run the commands, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=104)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "all.tsv"
        lines = write_data(data, arguments.megabytes)
        run("spm-train", "--input", data, "--model-prefix", Path(name) / "m", "--input-sentence-size", 50_000)
        model = next(Path(name).glob("m*.model"))
        print(f"{lines:,} lines, {data.stat().st_size / 1e6:.0f} MB\n\n| | s | peak MiB |\n|---|---|---|")
        for what, command in (
            ("data check", ("data", "check", data)),
            ("data check --tokenizer", ("data", "check", data, "--tokenizer", model)),
            ("data split", ("data", "split", data, "--out", Path(name) / "parts")),
        ):
            seconds, memory = run(*command)
            print(f"| {what} | {seconds:.1f} | {memory:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
