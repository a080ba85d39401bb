"""What the default settings give: accuracy, training time and prediction speed of SRU and GRU on real sets.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/job.py [NAME ...]

FOLDER holds NAME/train.tsv, valid.tsv and test.tsv (label<TAB>text); without names: trec and chatbot_ko. Everything
is done by the installed command, as a user would. Prints a table for docs/results/benchmarks.md; GRU is SRU's peer in the run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

CELLS = ("sru", "gru")
PREDICTED_LINES = 20_000


def run(
    *arguments: object, cwd: Path, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> tuple[bytes, float]:
    """Run textrnn, with ``environment`` on top of this process's; return its stdout and the seconds it took."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "textrnn", *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    return done.stdout, time.monotonic() - start


def measure(data: Path, cell: str, folder: Path) -> str:
    """Train, evaluate and predict; return a row of the table."""
    out = folder / f"{data.name}-{cell}"
    files = ("--train", data / "train.tsv", "--valid", data / "valid.tsv")
    _, training = run("train", "--cell", cell, *files, "--out", out, cwd=folder)
    scores = json.loads(run("evaluate", "-m", out, data / "test.tsv", "--json", cwd=folder)[0])
    texts = [line.split("\t", 1)[1] for line in (data / "test.tsv").read_text(encoding="utf-8").split("\n")[:-1]]
    many = "".join(f"{texts[i % len(texts)]}\n" for i in range(PREDICTED_LINES)).encode()
    _, one = run("predict", "-m", out, cwd=folder, stdin=texts[0].encode())
    _, all_lines = run("predict", "-m", out, cwd=folder, stdin=many)
    speed = PREDICTED_LINES / max(all_lines - one, 1e-9)
    epochs = len((out / "metrics.jsonl").read_text().splitlines())
    return (
        f"| {data.name} | {cell.upper()} | {100 * scores['accuracy']:.1f} | {100 * scores['macro_f1']:.1f} "
        f"| {epochs} | {training:.0f} | {one:.2f} | {speed:,.0f} |"
    )


def main() -> None:
    """Print the table."""
    folder = os.environ.get("TEXTRNN_TEST_DATA")
    if not folder:
        sys.exit("set TEXTRNN_TEST_DATA to a folder of sets")
    print("| set | cell | test accuracy % | macro F1 % | epochs | training s | one line s | lines/s |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        for name in sys.argv[1:] or ("trec", "chatbot_ko"):
            for cell in CELLS:
                print(measure(Path(folder).resolve() / name, cell, Path(place)), flush=True)


if __name__ == "__main__":
    main()
