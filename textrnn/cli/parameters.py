"""Declarations of the parameters of commands, which :mod:`textrnn.cli.typer_app` turns into those of Typer.

A command is a function whose parameters are annotated with ``Annotated[TYPE, Option(...)]`` or ``Argument(...)``, and
perhaps have a default. Nothing here imports Typer: most command lines are understood without it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin

CommandFunction = Callable[..., Any]
"""The function of a command; it may return an exit status."""


class Argument:
    """A positional parameter; ``metavar`` names it in the help."""

    def __init__(self, *, metavar: str | None = None, help: str | None = None) -> None:  # noqa: A002 - as in Typer
        self.names: tuple[str, ...] = ()
        self.settings: dict[str, Any] = {"metavar": metavar, "help": help}


class Option:
    """A parameter with ``names`` such as ``--model`` and ``-m``, by default the name of the function's parameter.

    A number is at least ``min`` and at most ``max``. A parameter of type bool is a flag, which needs ``names``.
    """

    def __init__(
        self,
        *names: str,
        metavar: str | None = None,
        help: str | None = None,  # noqa: A002 - as in Typer
        min: float | None = None,  # noqa: A002 - as in Typer
        max: float | None = None,  # noqa: A002 - as in Typer
    ) -> None:
        self.names = names
        self.settings: dict[str, Any] = {"metavar": metavar, "help": help, "min": min, "max": max}


class Parameter(NamedTuple):
    """A parameter of a command: ``type`` is its whole type, ``default`` is ``inspect.Parameter.empty`` without one."""

    name: str
    declared: Argument | Option
    type: Any
    default: Any

    @property
    def is_required(self) -> bool:
        """True if the command line must have it."""
        return self.default is inspect.Parameter.empty

    @property
    def names(self) -> tuple[str, ...]:
        """The names of an option, by default that of the parameter; an argument has none."""
        default = (f"--{self.name.replace('_', '-')}",) if isinstance(self.declared, Option) else ()
        return self.declared.names or default

    @property
    def is_list(self) -> bool:
        """True if it collects several values."""
        return get_origin(self._plain_type) is list

    @property
    def item_type(self) -> Any:
        """The type of a value, without None and list."""
        return get_args(self._plain_type)[0] if self.is_list else self._plain_type

    @property
    def _plain_type(self) -> Any:
        parts = [part for part in get_args(self.type) if part is not NoneType]
        return parts[0] if NoneType in get_args(self.type) and len(parts) == 1 else self.type


def list_parameters(command: CommandFunction) -> list[Parameter]:
    """Return the parameters of ``command`` in their order."""
    found = inspect.signature(command, eval_str=True).parameters.values()
    return [Parameter(p.name, p.annotation.__metadata__[0], p.annotation.__origin__, p.default) for p in found]
