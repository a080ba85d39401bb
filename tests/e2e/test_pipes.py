"""``predict`` and ``filter`` in pipes: latency, order, signals and broken pipes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import Run, start_command
from samples import DRINK_LABELS, DRINKS

SECONDS = 60  # timeout of a command that hangs
LINES = DRINKS.decode().splitlines()


class Running:
    """A command with its three pipes; reads time out."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdin and process.stdout and process.stderr  # noqa: PT018
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr

    def send(self, data: bytes) -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def read_line(self) -> bytes:
        """Read up to the next line end, and not beyond."""
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
    with start_command(*arguments, cwd=folder) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


@pytest.mark.parametrize("jobs", ["1", "3"])
@pytest.mark.parametrize("at_once", [1, 3])
def test_each_line_is_answered_before_the_next_is_sent(trained: Path, jobs: str, at_once: int) -> None:
    with running(trained, "predict", "--jobs", jobs) as command:
        for start in range(0, 30, at_once):
            lines = LINES[start : start + at_once]
            command.send("".join(f"{line}\n" for line in lines).encode())
            for number in range(start, start + len(lines)):
                assert command.read_line().split(b"\t")[0].decode() == DRINK_LABELS[number]


def test_a_burst_is_answered_while_the_input_is_open(trained: Path) -> None:
    with running(trained, "filter", "--jobs", "2", "--label", "tea", "--label", "coffee") as command:
        command.send(DRINKS[: 1 << 15])  # ends within a line
        for line in DRINKS[: 1 << 15].splitlines()[:-1]:
            assert command.read_line() == line + b"\n"
        command.send(DRINKS[1 << 15 :].partition(b"\n")[0] + b"\n")
        assert command.read_line() in DRINKS.splitlines(keepends=True)


@pytest.mark.parametrize("field", ["id,text\n", "x\ttext\n"])
def test_a_header_and_a_record_are_answered_at_once(trained: Path, field: str) -> None:
    with running(trained, "predict", "--field", "text") as command:
        command.send(field.encode())
        divider = "," if "," in field else "\t"
        assert command.read_line().decode() == divider.join(["label", "probability", field])
        command.send(f"1{divider}green tea\n".encode())
        assert command.read_line().startswith(b"tea")


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_order_is_kept_on_many_processors(trained: Path, jobs: int, invoke: Run) -> None:
    done = invoke("predict", "--format", "label", "--with-text", "--jobs", jobs, cwd=trained, stdin=DRINKS)
    expected = [f"{label}\t{line}" for label, line in zip(DRINK_LABELS, LINES, strict=True)]
    assert done.stdout.decode().splitlines() == expected


def test_ctrl_c_reports_the_number_of_lines(trained: Path) -> None:
    with running(trained, "predict") as command:
        for line in LINES[:3]:
            command.send(f"{line}\n".encode())
            command.read_line()
        command.process.send_signal(signal.SIGINT)
        assert command.process.wait(SECONDS) == 130
        assert command.stderr.read() == b"textrnn: interrupted after 3 lines\n"
        assert command.stdout.read() == b""


def test_ctrl_c_leaves_whole_lines(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_bytes(DRINKS * 40)
    arguments = ("predict", "--with-text", str(tmp_path / "big.txt"))
    with running(trained, *arguments) as command:
        command.read_line()  # then the pipe fills up, probably within a line
        command.process.send_signal(signal.SIGINT)
        output = command.stdout.read()
        assert command.process.wait(SECONDS) == 130
        assert output.endswith(b"\n")
        count = output.count(b"\n") + 1
        assert command.stderr.read().decode() == f"textrnn: interrupted after {count:,} lines\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_leaves_no_partial_file(trained: Path, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "big.txt").write_bytes(DRINKS * 40)
    folder = tmp_path / "out"
    with running(trained, "predict", str(tmp_path / "big.txt"), "--output", str(folder / "out.tsv")) as command:
        deadline = time.monotonic() + SECONDS
        while not (folder.exists() and any(folder.iterdir())):  # its temporary file
            assert time.monotonic() < deadline, "nothing is written"
            time.sleep(0.01)
        command.process.send_signal(number)
        command.process.send_signal(number)  # an impatient user
        assert command.process.wait(SECONDS) == 128 + number
        message = command.stderr.read().decode()
        assert re.fullmatch(r"textrnn: interrupted after [\d,]+ lines; .*out\.tsv was not written\n", message)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [("predict",), ("filter", "--label", "tea")])
def test_a_broken_pipe_ends_it_quietly(trained: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "big.txt").write_bytes(DRINKS * 40)
    with running(trained, *arguments, "--jobs", "2", str(tmp_path / "big.txt")) as command:
        command.read_line()
        command.stdout.close()
        assert command.process.wait(SECONDS) == -signal.SIGPIPE
        assert command.stderr.read() == b""


def test_a_fault_comes_after_the_output_of_earlier_lines(trained: Path) -> None:
    with running(trained, "predict", "--field", "t") as command:
        command.send(b'{"t": "green tea"}\n{"t": "black coffee"}\n{"t"\n')
        assert json.loads(command.read_line())["label"] == "tea"
        assert json.loads(command.read_line())["label"] == "coffee"
        assert command.process.wait(SECONDS) == 1
        assert command.stderr.read().startswith(b"textrnn: standard input:3: ")
