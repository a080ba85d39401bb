"""``textrnn demo``: the whole job on the demo data."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from textrnn.cli.commands.evaluate import format_table
from textrnn.cli.terminal import say, write_data
from textrnn.errors import ConfigError, TextrnnError
from textrnn.files import shipped

_CELLS = ("sru", "gru")
_MESSAGES = (
    "where is my parcel? it should have come on tuesday",
    "환불은 언제쯤 받을 수 있나요?",
    "the kettle is lovely, thank you!",
)


def demo_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the demo's files.")] = Path(
        "textrnn-demo"
    ),
) -> None:
    """Do the whole job on the demo data.

    Trains a tokenizer, an SRU and a GRU, evaluates them and predicts; each command is shown before it runs. Takes a
    minute or two on two cores. The folder must not exist yet; it is left for you to play with.

    \b
      textrnn demo
    """
    if folder.exists():
        raise ConfigError(f"{folder}: exists; name a new folder, as in: textrnn demo {folder}-2")
    start = time.monotonic()
    shutil.copytree(shipped("demo"), folder / "data")
    say(f"messages to a shop, in English and Korean; everything goes to {folder}/")
    _run(folder, "spm-train --input data/corpus.txt --vocab-size 2000")
    rows = [["cell", "test accuracy %", "macro F1 %", "seconds to train"]]
    for cell in _CELLS:
        before = time.monotonic()
        data = "--train data/train.tsv --valid data/valid.tsv --tokenizer m.uni.model"
        _run(folder, f"train --cell {cell} {data} --out runs/{cell}")
        seconds = time.monotonic() - before
        page = _run(folder, f"evaluate -m runs/{cell} data/test.tsv").splitlines()
        accuracy, macro_f1 = (line.split("%")[0].split()[-1] for line in page[1:3])
        rows.append([cell.upper(), accuracy, macro_f1, f"{seconds:.0f}"])
    _run(folder, "predict -m runs/sru --with-text", text="".join(f"{message}\n" for message in _MESSAGES))
    write_data("\n" + "\n".join(format_table(rows)) + "\n")
    say(f"done in {time.monotonic() - start:.0f} s; the files are in {folder}/")


def _run(folder: Path, command: str, *, text: str | None = None) -> str:
    """Show a textrnn command, run it in ``folder`` with ``text`` as stdin, show its stdout, and return that."""
    prefix = f"printf '%s\\n' {shlex.join(text.splitlines())} | " if text else ""
    print(f"\n$ {prefix}textrnn {command}", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "textrnn", *shlex.split(command)],
        cwd=folder,
        input=(text or "").encode("utf-8"),
        stdout=subprocess.PIPE,
        check=False,
    )
    output = done.stdout.decode("utf-8")
    if done.returncode != 0:
        raise TextrnnError(f"the demo stopped: 'textrnn {command}' did not end well (status {done.returncode})")
    write_data(output)
    return output
