"""Parsing of plain command lines without Typer, whose import takes longer than predicting a line.

The parser accepts what Typer accepts, with the same meaning, or leaves the decision to Typer: help, errors, and values
that could be read in several ways.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from textrnn.cli.parameters import CommandFunction, Option, Parameter, list_parameters

_NUMBERS = {int: re.compile(r"[0-9]{1,9}"), float: re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")}


class _NotPlainError(Exception):
    """A command line that Typer has to read."""


def parse(command: CommandFunction, arguments: Sequence[str]) -> dict[str, Any] | None:
    """Return the values of the parameters of ``command``, or None if only Typer can tell what ``arguments`` mean."""
    parameters = list_parameters(command)
    try:
        given, rest = _split(arguments, {name: parameter for parameter in parameters for name in parameter.names})
        for parameter in parameters:
            if not isinstance(parameter.declared, Option) and rest:
                given[parameter.name], rest = (rest, []) if parameter.is_list else (rest[:1], rest[1:])
        if rest:
            raise _NotPlainError
        return {parameter.name: _convert(parameter, given.get(parameter.name, [])) for parameter in parameters}
    except _NotPlainError:
        return None


def _split(arguments: Sequence[str], options: dict[str, Parameter]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the texts given for each of ``options``, by parameter name (a flag's are empty), and the other words."""
    given: dict[str, list[str]] = {}
    rest: list[str] = []
    words = deque(arguments)
    while words:
        word = words.popleft()
        if word == "--":
            return given, [*rest, *words]
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        name, has_value, value = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
        if name not in options:
            raise _NotPlainError
        parameter = options[name]
        texts = given.setdefault(parameter.name, [])
        if parameter.type is bool:
            if has_value and (word.startswith("--") or value.startswith("-")):
                raise _NotPlainError
            if has_value:
                words.appendleft(f"-{value}")  # options written together, as in -vq
            texts.append("")
        elif has_value or words:
            texts.append(value if has_value else words.popleft())
        else:
            raise _NotPlainError
    return given, rest


def _convert(parameter: Parameter, texts: list[str]) -> Any:
    """Return the value of ``parameter`` that is given as ``texts``."""
    if parameter.type is bool:
        if texts and not parameter.declared.names:  # Typer adds --no-NAME, and the last one counts
            raise _NotPlainError
        return bool(texts) or parameter.default
    if not texts:
        if parameter.is_required:
            raise _NotPlainError
        return parameter.default
    values = [_read(text, parameter) for text in texts]
    if parameter.is_list:
        return values
    if len(values) > 1:
        raise _NotPlainError
    return values[0]


def _read(text: str, parameter: Parameter) -> Any:
    kind = parameter.item_type
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):  # not UTF-8
        raise _NotPlainError
    if kind is str:
        return text
    if kind is Path and (os.access(text, os.R_OK) or not os.path.exists(text)):  # noqa: PTH110 - Typer checks the text
        return Path(text)
    if get_origin(kind) is Literal and text in get_args(kind):
        return text
    if kind in _NUMBERS and _NUMBERS[kind].fullmatch(text):
        number = kind(text)
        low, high = (parameter.declared.settings.get(name) for name in ("min", "max"))
        if (low is None or number >= low) and (high is None or number <= high):
            return number
    raise _NotPlainError
