"""The Typer application that is made from the declarations of commands."""

from __future__ import annotations

import os
import subprocess
from typing import Annotated, Literal

import pytest
from typer.testing import CliRunner

from command import Run, find_command
from textrnn.cli.parameters import Argument, Option
from textrnn.cli.terminal import write_data
from textrnn.cli.typer_app import make_app


def paint(
    file: Annotated[str, Argument(metavar="FILE", help="What to paint.")],
    color: Annotated[Literal["red", "blue"], Option("--color", "-c", help="The paint.")] = "red",
    layers: Annotated[int | None, Option(min=1, max=3, metavar="N", help="How thick.")] = None,
) -> int:
    """Paint a file.

    It is read first.
    """
    write_data(f"{file} {color} {layers}\n")
    return 3


def test_a_command_gets_its_values_and_returns_its_status(capfd: pytest.CaptureFixture[str]) -> None:
    app = make_app({"paint": paint})
    assert app(args=["paint", "wall", "-c", "blue", "--layers", "2"], standalone_mode=False) == 3
    assert app(args=["paint", "wall"], standalone_mode=False) == 3
    assert capfd.readouterr().out == "wall blue 2\nwall red None\n"


def test_the_help_is_that_of_the_declarations() -> None:
    shown = CliRunner().invoke(make_app({"paint": paint}), ["paint", "--help"], env={"COLUMNS": "80"}).output
    for words in (
        "Paint a file.",
        "It is read first.",
        "What to paint.",
        "-c, --color",
        "The paint.",
        "1<=x<=3",
    ):
        assert words in shown


def test_a_group_demands_a_command(invoke: Run) -> None:
    done = invoke("data")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"textrnn: data: name a command: textrnn data check or textrnn data split or ")


def test_completion_knows_the_options_of_a_command() -> None:
    variables = {"_TEXTRNN_COMPLETE": "complete_bash", "COMP_WORDS": "textrnn predict --to", "COMP_CWORD": "2"}
    done = subprocess.run([find_command()], env=os.environ | variables, capture_output=True, check=False)
    assert done.stdout.split() == [b"--top-k"]
