"""Declarations of the parameters of commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from textrnn.cli.parameters import Argument, Option, list_parameters


def command(
    file: Annotated[str, Argument(metavar="FILE")],
    more: Annotated[list[Path] | None, Argument(help="More files.")] = None,
    top_k: Annotated[int | None, Option(min=1)] = None,
    names: Annotated[list[str], Option("--name", "-n")] = (),  # type: ignore[assignment]
    kind: Annotated[Literal["a", "b"], Option(metavar="KIND")] = "a",
    mixed: Annotated[int | str | None, Option()] = None,
) -> None:
    del file, more, top_k, names, kind, mixed


PARAMETERS = {parameter.name: parameter for parameter in list_parameters(command)}


@pytest.mark.parametrize(
    ("name", "names", "item_type", "is_list", "is_required"),
    [
        ("file", (), str, False, True),
        ("more", (), Path, True, False),
        ("top_k", ("--top-k",), int, False, False),
        ("names", ("--name", "-n"), str, True, False),
        ("kind", ("--kind",), Literal["a", "b"], False, False),
        ("mixed", ("--mixed",), int | str | None, False, False),
    ],
)
def test_a_parameter_has_names_and_a_type(
    name: str, names: tuple[str, ...], item_type: Any, is_list: bool, is_required: bool
) -> None:
    found = PARAMETERS[name]
    assert (found.names, found.item_type, found.is_list) == (names, item_type, is_list)
    assert found.is_required == is_required


def test_settings_are_those_of_typer() -> None:
    assert PARAMETERS["file"].declared.settings == {"metavar": "FILE", "help": None}
    assert PARAMETERS["top_k"].declared.settings == {"metavar": None, "help": None, "min": 1, "max": None}
