"""predict and filter in pipes: answers at once, order, what ends them, what they read and write."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import lzma
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from command import find_command, list_loaded, run_command
from samples import make_config, make_model
from textrnn.inference import Precision
from textrnn.inference.linear import missing_support
from textrnn.serialization.model_file import save_model
from textrnn.tokenization.tokenizer import Tokenizer

SECONDS = 60  # what hangs fails after so long; nothing else takes it
LINES = [
    f"{('green tea with lemon', 'black coffee with milk')[i % 3 == 0]} {'now ' * (i % 17)}{i}" for i in range(5000)
]
LABELS = ["coffee" if i % 3 == 0 else "tea" for i in range(5000)]
TEXT = "".join(f"{line}\n" for line in LINES).encode()


class Running:
    """A command with its three pipes; reading gives up after a while."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdin and process.stdout and process.stderr  # noqa: PT018
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr

    def send(self, data: bytes) -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def read_line(self) -> bytes:
        """Return what comes until a line end, without reading on."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.stdout, selectors.EVENT_READ)
            line = b""
            while not line.endswith(b"\n"):
                assert selector.select(SECONDS), "no answer"
                piece = os.read(self.stdout.fileno(), 1)
                assert piece, "the output ended"
                line += piece
        return line


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Running]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [find_command(), *arguments],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


@pytest.mark.parametrize("jobs", ["1", "3"])
@pytest.mark.parametrize("at_once", [1, 3])
def test_a_line_is_answered_before_the_next_is_written(trained: Path, jobs: str, at_once: int) -> None:
    with running(trained, "predict", "--jobs", jobs) as command:
        for start in range(0, 30, at_once):
            lines = LINES[start : start + at_once]
            command.send("".join(f"{line}\n" for line in lines).encode())
            for number in range(start, start + len(lines)):
                assert command.read_line().split(b"\t")[0].decode() == LABELS[number]


def test_the_last_of_a_flood_is_answered_while_the_input_is_open(trained: Path) -> None:
    with running(trained, "filter", "--jobs", "2", "--label", "tea", "--label", "coffee") as command:
        command.send(TEXT[: 1 << 15])  # ends within a line
        for line in TEXT[: 1 << 15].splitlines()[:-1]:
            assert command.read_line() == line + b"\n"
        command.send(TEXT[1 << 15 :].partition(b"\n")[0] + b"\n")
        assert command.read_line() in TEXT.splitlines(keepends=True)


@pytest.mark.parametrize("field", ["id,text\n", "x\ttext\n"])
def test_a_header_and_a_record_are_answered_at_once(trained: Path, field: str) -> None:
    with running(trained, "predict", "--field", "text") as command:
        command.send(field.encode())
        divider = "," if "," in field else "\t"
        assert command.read_line().decode() == divider.join(["label", "probability", field])
        command.send(f"1{divider}green tea\n".encode())
        assert command.read_line().startswith(b"tea")


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_order_is_kept_on_many_processors(trained: Path, jobs: int) -> None:
    done = run_command("predict", "--format", "label", "--with-text", "--jobs", jobs, cwd=trained, stdin=TEXT)
    wanted = [f"{label}\t{line}" for label, line in zip(LABELS, LINES, strict=True)]
    assert done.stdout.decode().splitlines() == wanted


def test_ctrl_c_says_how_many_lines_were_done(trained: Path) -> None:
    with running(trained, "predict") as command:
        for line in LINES[:3]:
            command.send(f"{line}\n".encode())
            command.read_line()
        command.process.send_signal(signal.SIGINT)
        assert command.process.wait(SECONDS) == 130
        assert command.stderr.read() == b"textrnn: interrupted after 3 lines\n"
        assert command.stdout.read() == b""


def test_ctrl_c_leaves_whole_lines(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_bytes(TEXT * 40)
    arguments = ("predict", "--with-text", str(tmp_path / "big.txt"))
    with running(trained, *arguments) as command:
        command.read_line()  # and then the pipe is full, in the middle of a line most likely
        command.process.send_signal(signal.SIGINT)
        output = command.stdout.read()
        assert command.process.wait(SECONDS) == 130
        assert output.endswith(b"\n")
        count = output.count(b"\n") + 1
        assert command.stderr.read().decode() == f"textrnn: interrupted after {count:,} lines\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_stopped_leaves_no_part_of_a_file(trained: Path, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "big.txt").write_bytes(TEXT * 40)
    folder = tmp_path / "out"
    with running(trained, "predict", str(tmp_path / "big.txt"), "--output", str(folder / "out.tsv")) as command:
        deadline = time.monotonic() + SECONDS
        while not (folder.exists() and any(folder.iterdir())):  # its temporary file
            assert time.monotonic() < deadline, "nothing is written"
            time.sleep(0.01)
        command.process.send_signal(number)
        command.process.send_signal(number)  # of somebody impatient
        assert command.process.wait(SECONDS) == 128 + number
        said = command.stderr.read().decode()
        assert re.fullmatch(r"textrnn: interrupted after [\d,]+ lines; .*out\.tsv was not written\n", said)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [("predict",), ("filter", "--label", "tea")])
def test_the_end_of_the_reader_ends_it_quietly(trained: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "big.txt").write_bytes(TEXT * 40)
    with running(trained, *arguments, "--jobs", "2", str(tmp_path / "big.txt")) as command:
        command.read_line()
        command.stdout.close()
        assert command.process.wait(SECONDS) == -signal.SIGPIPE
        assert command.stderr.read() == b""


def test_a_fault_comes_after_what_was_right_while_the_input_is_open(trained: Path) -> None:
    with running(trained, "predict", "--field", "t") as command:
        command.send(b'{"t": "green tea"}\n{"t": "black coffee"}\n{"t"\n')
        assert json.loads(command.read_line())["label"] == "tea"
        assert json.loads(command.read_line())["label"] == "coffee"
        assert command.process.wait(SECONDS) == 1
        assert command.stderr.read().startswith(b"textrnn: standard input:3: not JSON: ")


UNPACK = {
    "tsv": bytes,
    "tsv.gz": gzip.decompress,
    "tsv.xz": lzma.decompress,
    "tsv.zst": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@pytest.mark.parametrize("suffix", UNPACK)
def test_output_to_a_file(trained: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    path.write_bytes(b"old")
    done = run_command("predict", "-o", path, cwd=trained, stdin=TEXT)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert UNPACK[suffix](path.read_bytes()) == run_command("predict", cwd=trained, stdin=TEXT).stdout
    bad = run_command("predict", "--field", "1", "--input-format", "csv", "-o", path, cwd=trained, stdin=b'tea\n"x')
    assert bad.returncode == 1
    assert UNPACK[suffix](path.read_bytes()).count(b"\n") == len(LINES)  # what was there stays
    assert list(tmp_path.iterdir()) == [path]


def test_fields_of_all_formats(trained: Path, tmp_path: Path) -> None:
    texts = ["green tea", "black coffee"]
    (tmp_path / "a.tsv").write_text("".join(f"{i}\tx\t{text}\n" for i, text in enumerate(texts)))
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["label", "text"], *[["?", f"{text},\nplease"] for text in texts]])
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"id": i, "text": t}) + "\n" for i, t in enumerate(texts)))

    def predict(field: str, name: str) -> str:
        done = run_command("predict", "--field", field, tmp_path / name, cwd=trained)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    tsv = [line.split("\t") for line in predict("3", "a.tsv").splitlines()]
    assert [row[0] for row in tsv] == ["tea", "coffee"]
    assert [row[2:] for row in tsv] == [["0", "x", "green tea"], ["1", "x", "black coffee"]]
    rows = list(csv.DictReader(io.StringIO(predict("text", "a.csv"), newline="")))
    assert [(row["predicted_label"], row["label"], row["text"]) for row in rows] == [
        ("tea", "?", "green tea,\nplease"),
        ("coffee", "?", "black coffee,\nplease"),
    ]
    objects = [json.loads(line) for line in predict("text", "a.jsonl").splitlines()]
    assert [(row["label"], row["id"], row["text"]) for row in objects] == [
        ("tea", 0, "green tea"),
        ("coffee", 1, "black coffee"),
    ]


def test_filter_splits_what_predict_labels(trained: Path) -> None:
    kept = run_command("filter", "--label", "tea", cwd=trained, stdin=TEXT)
    dropped = run_command("filter", "--label", "tea", "-v", "-q", cwd=trained, stdin=TEXT)
    wanted = [f"{line}\n" for line, label in zip(LINES, LABELS, strict=True) if label == "tea"]
    assert kept.stdout.decode() == "".join(wanted)
    assert kept.stderr.decode() == f"textrnn: {len(wanted):,} kept, {len(LINES) - len(wanted):,} dropped\n"
    assert sorted((kept.stdout + dropped.stdout).splitlines()) == sorted(TEXT.splitlines())
    assert dropped.stderr == b""
    none = run_command("filter", "--label", "tea", "--min-prob", "1", cwd=trained, stdin=b"black coffee\n")
    assert (none.returncode, none.stdout, none.stderr) == (0, b"", b"textrnn: 0 kept, 1 dropped\n")


def test_one_line_starts_no_workers(trained: Path) -> None:
    modules = list_loaded("predict", cwd=trained, stdin=b"tea\n")
    assert "textrnn.pipeline.ordered_pool" in modules
    assert not {"concurrent.futures", "rich", "torch"} & modules


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="the system has no pseudo-terminals")
@pytest.mark.parametrize(
    ("arguments", "printing", "shown"),
    [
        (["lines.txt"], False, True),
        (["lines.txt"], True, False),
        (["lines.txt", "-o", "out"], True, True),
        ([], False, False),
    ],
)
def test_a_bar_is_shown_on_a_terminal_that_nothing_else_is_printed_on(
    trained: Path, tmp_path: Path, arguments: list[str], printing: bool, shown: bool
) -> None:
    (tmp_path / "lines.txt").write_bytes(b"green tea\n" * 20)  # few enough for the terminal to hold what is printed
    leader, terminal = os.openpty()
    with os.fdopen(leader, "rb", buffering=0) as screen, os.fdopen(terminal, "wb") as end:
        subprocess.run(
            [find_command(), "predict", "-m", str(trained / "runs" / "small"), *arguments],
            cwd=tmp_path,
            input=b"green tea\n",
            stdout=end if printing else subprocess.PIPE,
            stderr=end,
            check=True,
            timeout=SECONDS,
            env=os.environ | {"TERM": "xterm", "OMP_NUM_THREADS": "1"},
        )
        end.write(b"the end")
        end.flush()
        found = b""
        while not found.endswith(b"the end"):
            found += screen.read(1 << 16)
    assert (b"reading" in found) == shown


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_another_precision_gives_nearly_the_same(tokenizer: Tokenizer, tmp_path: Path, precision: Precision) -> None:
    if missing_support(precision):
        pytest.skip(f"this processor has no {precision}")
    save_model(tmp_path / "m.safetensors", make_model(tokenizer, make_config(model__hidden=8)))
    whole, narrow = (
        [float(line.split(b"\t")[1]) for line in done.stdout.splitlines()]
        for options in ((), ("--precision", precision))
        if (done := run_command("predict", "-m", "m.safetensors", *options, cwd=tmp_path, stdin=TEXT))
    )
    assert len(whole) == len(narrow) == len(LINES)
    assert 0 < max(abs(p - q) for p, q in zip(whole, narrow, strict=True)) < 0.02


def test_prediction_loads_no_torch(trained: Path) -> None:
    code = (
        "import sys; from textrnn.__main__ import main\n"
        "sys.argv = ['textrnn', 'predict', 'a.txt', '--format', 'jsonl', '--explain']\n"
        "try: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    (trained / "a.txt").write_bytes(TEXT[:2000])
    done = subprocess.run([sys.executable, "-c", code], cwd=trained, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == TEXT[:2000].count(b"\n") + 1
    assert not {"torch", "sklearn", "scipy", "rich"} & set(done.stderr.split())
    assert "textrnn.inference.explain" in done.stderr.split()


def test_a_table_that_is_labelled_by_lines_is_told_of(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"text\ntea\n"))
    said = b"every line is labelled as a whole; --field labels one column or key of a table"
    assert said in run_command("predict", tmp_path / "a.csv.gz", cwd=trained).stderr
    assert run_command("predict", "--field", "text", tmp_path / "a.csv.gz", cwd=trained).stderr == b""
