"""``textrnn demo``: train, evaluate and predict on the demo data."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

from textrnn.cli.parameters import Argument
from textrnn.cli.tables import format_table
from textrnn.cli.terminal import print_message, write_data
from textrnn.errors import ConfigError, TextrnnError
from textrnn.files import shipped

_CELLS = ("sru", "gru")
_MESSAGES = (
    "where is my parcel? it should have come on tuesday",
    "환불은 언제쯤 받을 수 있나요?",
    "the kettle is lovely, thank you!",
)


def demo_command(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="A new folder for all files.")] = Path("textrnn-demo"),
) -> None:
    """Train, evaluate and predict on demo data.

    Trains a tokenizer, an SRU and a GRU model, evaluates both, and labels three messages. Each command is printed
    before it runs. This takes a minute or two on two CPU cores. FOLDER must not exist yet.

    \b
      textrnn demo
    """
    if folder.exists():
        raise ConfigError(f"{folder}: already exists; name a new folder, as in: textrnn demo {folder}-2")
    start = time.monotonic()
    shutil.copytree(shipped("demo"), folder / "data")
    print_message(f"demo data: messages to a shop, in English and Korean; all files go to {folder}/")
    _run(folder, "spm-train --input data/corpus.txt --vocab-size 2000")
    rows = [["cell", "test accuracy %", "macro F1 %", "seconds to train"]]
    for cell in _CELLS:
        training_start = time.monotonic()
        data = "--train data/train.tsv --valid data/valid.tsv --tokenizer m.uni.model"
        _run(folder, f"train --cell {cell} {data} --out runs/{cell}")
        seconds = time.monotonic() - training_start
        page = _run(folder, f"evaluate -m runs/{cell} data/test.tsv").splitlines()
        accuracy, macro_f1 = (line.split("%")[0].split()[-1] for line in page[1:3])
        rows.append([cell.upper(), accuracy, macro_f1, f"{seconds:.0f}"])
    _run(folder, "predict -m runs/sru --with-text", text="".join(f"{message}\n" for message in _MESSAGES))
    write_data("\n" + "\n".join(format_table(rows)) + "\n")
    print_message(f"done in {time.monotonic() - start:.0f} s; the files are in {folder}/")


def _run(folder: Path, command: str, *, text: str = "") -> str:
    """Print a textrnn command, run it in ``folder`` with ``text`` as stdin, and print and return its stdout."""
    prefix = f"printf '%s\\n' {shlex.join(text.splitlines())} | " if text else ""
    print(f"\n$ {prefix}textrnn {command}", file=sys.stderr, flush=True)
    result = subprocess.run(
        [sys.executable, "-m", "textrnn", *shlex.split(command)],
        cwd=folder,
        input=text.encode("utf-8"),
        stdout=subprocess.PIPE,
        check=False,
    )
    output = result.stdout.decode("utf-8")
    if result.returncode != 0:
        raise TextrnnError(f"the demo stopped: 'textrnn {command}' failed with exit status {result.returncode}")
    write_data(output)
    return output
