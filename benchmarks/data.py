"""Time and peak memory of checking and splitting a million lines.

    python benchmarks/data.py [--megabytes 104]

writes a labelled file of random words (104 MB are 1,000,000 lines) with 5 % duplicate lines, and runs the installed
commands on it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from memory import write_text
from process import run_textrnn

DUPLICATED = 20  # every 20th line occurs twice


def write_data(path: Path, megabytes: int) -> int:
    """Write the file; return its number of lines."""
    write_text(path, round(megabytes * DUPLICATED / (DUPLICATED + 1)))
    with path.open("r+b") as file:
        lines = file.readlines()
        duplicates = lines[::DUPLICATED]
        file.writelines(duplicates)
    return len(lines) + len(duplicates)


def main() -> None:
    """Write the file, run the commands, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=104)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "all.tsv"
        lines = write_data(data, options.megabytes)
        run_textrnn("spm-train", "--input", data, "--model-prefix", folder / "m", "--input-sentence-size", 50_000)
        model = next(folder.glob("m*.model"))
        print(f"{lines:,} lines, {data.stat().st_size / 1e6:.0f} MB\n\n| | s | peak MiB |\n|---|---|---|")
        for title, command in (
            ("data check", ("data", "check", data)),
            ("data check --tokenizer", ("data", "check", data, "--tokenizer", model)),
            ("data split", ("data", "split", data, "--out", folder / "parts")),
        ):
            measured = run_textrnn(*command)
            print(f"| {title} | {measured.seconds:.1f} | {measured.peak / 2**20:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
