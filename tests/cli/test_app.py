"""Help, exit statuses, and the messages of errors."""

from __future__ import annotations

import errno
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from command import Run, find_command, list_loaded
from samples import write_rows
from textrnn.errors import BackendError, StoppedError

COMMANDS = (
    *("spm-train", "spm-encode", "spm-decode", "pretrain", "train", "distill", "tune"),
    *("evaluate", "report", "compare", "inspect", "card"),
    *("predict", "embed", "explain", "serve", "optimize", "filter"),
    *("demo", "init", "bench", "doctor"),
    *("data check", "data split", "data errors", "data suggest", "config schema"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_fits_a_terminal(command: str, invoke: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = invoke(*command.split(), "--help")
    lines = done.stdout.decode().splitlines()
    assert (done.returncode, done.stderr) == (0, b"")
    assert any(line.startswith("    ") and f"textrnn {command}" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_the_help_lists_every_command(invoke: Run) -> None:
    listed = invoke("--help").stdout.decode().partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == list(dict.fromkeys(command.split()[0] for command in COMMANDS))
    assert not any(line.endswith("...") for line in listed)


ANALYSES = ("evaluate", "report", "compare", "inspect", "card", "embed", "explain")


@pytest.mark.parametrize(
    "command", ["--help", "-h", "predict --help", "filter -h", *(f"{name} -h" for name in ANALYSES)]
)
def test_the_help_loads_little(command: str, trained: Path) -> None:
    modules = list_loaded(*command.split(), cwd=trained, stdin=b"")
    assert "typer" in modules
    assert not {"numpy", "pydantic", "rich", "torch", "yaml", "sentencepiece"} & modules


def test_garbage_is_collected_while_a_command_runs() -> None:
    code = """
import gc, platform, sys
sys.argv = ["textrnn", "doctor"]
platform.system = lambda: f"collects: {gc.isenabled()}"
from textrnn.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert b"collects: True" in done.stdout


def test_version_and_schema(invoke: Run) -> None:
    assert invoke("--version").stdout.startswith(b"textrnn ")
    schema = json.loads(invoke("config", "schema").stdout)
    assert schema["$defs"]["ModelConfig"]["properties"]["cell"]["enum"] == ["gru", "sru", "lstm"]
    assert invoke("config").stderr == b"textrnn: config: name a command: textrnn config schema\n"


def test_without_a_command_the_help_goes_to_stderr(invoke: Run) -> None:
    done = invoke()
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"textrnn demo" in done.stderr


def test_the_package_runs_as_a_module(trained: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "textrnn", "predict", "--format", "label"],
        cwd=trained,
        input=b"green tea\n",
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"tea\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("fly", "no such command 'fly'; see 'textrnn --help'"),
        ("train --fly", "no such option: --fly"),
        ("evaluate", "missing argument 'DATA'"),
        ("train --layers two", "'--layers'"),
        ("train --cell rnn", "'--cell'"),
    ],
)
def test_usage_errors_are_one_line_that_points_to_the_help(command: str, message: str, invoke: Run) -> None:
    done = invoke(*command.split())
    (line,) = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (2, b"")
    assert message in line
    assert line.endswith(" --help'")


def test_debug_prints_the_traceback(invoke: Run) -> None:
    done = invoke("predict", "--debug", "-m", "gone")
    assert done.returncode == 1
    assert b"Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith(b"textrnn: gone: ")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out.tsv"), 1, "out.tsv: No space left on device"),
        (MemoryError(), 1, "out of memory"),
        (BackendError("device cuda: none"), 2, "device cuda: none"),
        (StoppedError(15, "interrupted after 3 lines"), 143, "interrupted after 3 lines"),
        (
            ModuleNotFoundError("No module named 'yaml'", name="yaml.nodes"),
            2,
            "this needs the package pyyaml; pip install pyyaml",
        ),
        (ModuleNotFoundError("No module named", name="textrnn.gone"), 1, "internal error: ModuleNotFoundError"),
        (ZeroDivisionError("x"), 1, "internal error: ZeroDivisionError: x; run again with --debug"),
    ],
)
def test_every_exception_becomes_a_message_and_a_status(
    error: Exception, status: int, message: str, invoke: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> NoReturn:
        raise error

    monkeypatch.setattr(platform, "system", fail)  # doctor calls it
    done = invoke("doctor")
    assert (done.returncode, done.stdout) == (status, b"")
    assert done.stderr.decode().startswith(f"textrnn: {message}")
    assert done.stderr.count(b"\n") == 1


def test_a_missing_package_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("import gone_away")
    done = subprocess.run(
        [sys.executable, "-m", "textrnn", "train", "config.yaml"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"textrnn: this needs the package gone_away; pip install gone_away\n"


@pytest.mark.parametrize(("command", "status"), [("predict gone.txt", 1), ("filter --label fly", 2), ("", 2)])
def test_nothing_is_printed_if_stderr_is_closed(command: str, status: int, trained: Path) -> None:
    done = run_without_stderr(command, trained)
    assert (done.returncode, done.stdout) == (status, b"")


def test_a_run_without_stderr_prints_only_its_folder(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv", 12)
    done = run_without_stderr("train --train rows.tsv --epochs 1 --set ngrams.share=0 --out r", tmp_path)
    assert (done.returncode, done.stdout) == (0, b"r\n")
    done = run_without_stderr("spm-train --input rows.tsv --model-type char", tmp_path)
    assert (done.returncode, done.stdout) == (0, b"")


def run_without_stderr(command: str, path: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", f"exec {find_command()} {command} 2>&-"],
        cwd=path,
        stdout=subprocess.PIPE,
        timeout=300,
        check=False,
    )
