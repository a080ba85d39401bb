"""Seconds and peak memory of ``textrnn predict`` on JSON Lines and on Parquet with the same rows.

    python benchmarks/parquet.py MODEL [--rows 200000] [--turns 3]

writes rows of an id, a text and 64 floats: JSON Lines with all columns, and a Parquet file with one row group. Prints
the seconds, of wall time and of the processors, and the peak memory of ``predict`` and of reading alone; the ratio is
that of the processors' seconds. Each figure is the smallest of all turns.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from process import measure
from pyarrow import parquet

WORDS = 20_000
READ = """
import sys
from textrnn.config import DataConfig
from textrnn.data.reading.io import read_data
from textrnn.data.reading.rows import RowReader
config = DataConfig()
for rows in RowReader(sys.argv[1], read_data(sys.argv[1], config, labelled=False), config, labelled=False):
    pass
"""


def write_rows(folder: Path, rows: int) -> dict[str, Path]:
    """Write ``rows`` rows in both formats; return the files by format."""
    rng = np.random.default_rng(0)
    words = np.array([f"{number:x}" for number in range(WORDS)])
    texts = [" ".join(rng.choice(words, int(size))) for size in rng.integers(3, 25, rows)]
    vectors = rng.standard_normal((rows, 64)).astype(np.float32).round(4)
    paths = {"JSON Lines": folder / "rows.jsonl", "Parquet": folder / "rows.parquet"}
    with paths["JSON Lines"].open("w") as file:
        for number, (text, vector) in enumerate(zip(texts, vectors.tolist(), strict=True)):
            file.write(json.dumps({"id": number, "text": text, "vector": vector}) + "\n")
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 64)
    table = pa.table({"id": np.arange(rows), "text": texts, "vector": column})
    parquet.write_table(table, paths["Parquet"], row_group_size=rows)
    return paths


def time_processors() -> float:
    """Return the seconds that all finished processes spent on processors."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        paths = write_rows(Path(name), given.rows)
        textrnn = [sys.executable, "-m", "textrnn", "predict", "-m", given.model.absolute(), "--field", "text"]
        outputs = {"JSON Lines": "out.jsonl", "Parquet": "out.parquet"}
        print(f"{given.rows:,} rows; seconds, those of the processors, and peak memory")
        for task in ("predict", "read"):
            best: dict[str, float] = {}
            for kind, path in paths.items():
                command = [*textrnn, path, "-o", Path(name, outputs[kind])]
                turns = []
                for _ in range(given.turns):
                    before = time_processors()
                    done = measure(command if task == "predict" else [sys.executable, "-c", READ, path])
                    turns.append((time_processors() - before, done.seconds, done.peak))
                best[kind], seconds, peak = min(turns)
                print(f"{task:8}{kind:12}{seconds:8.1f} s{best[kind]:8.1f} s{peak / 1e6:8.0f} MB")
            print(f"{task:8}Parquet / JSON Lines: {best['Parquet'] / best['JSON Lines']:.2f}")


if __name__ == "__main__":
    main()
