"""The Typer application: help, completion, usage errors, and all that :mod:`textrnn.cli.plain_parser` leaves to it."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

import textrnn
from textrnn.cli.command_class import Command
from textrnn.cli.commands import COMMANDS, GROUPS
from textrnn.cli.parameters import CommandFunction, Option, list_parameters
from textrnn.cli.terminal import write_data
from textrnn.errors import ConfigError

EXIT_USAGE = 2


def make_app(commands: Mapping[str, CommandFunction]) -> typer.Typer:
    """Return the application with ``commands`` by name, such as ``data check``.

    Only one with all commands has options of its own for help and completion: Typer imports pydantic to read that they
    are not given.
    """
    is_whole = len(commands) == len(COMMANDS)
    app = typer.Typer(
        name="textrnn",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=is_whole,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True, add_help_option=is_whole)(_root)
    groups: dict[str, typer.Typer] = {}
    for name, command in commands.items():
        group, _, own = name.rpartition(" ")
        if group and group not in groups:
            groups[group] = _make_group(group)
        part = groups[group] if group else app
        part.command(own, cls=Command)(_convert(command))
    for group, part in groups.items():
        app.add_typer(part, name=group)
    return app


def _make_group(name: str) -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None)
    commands = " or ".join(f"textrnn {command}" for command in COMMANDS if command.startswith(f"{name} "))

    @group.callback(invoke_without_command=True, help=GROUPS[name])
    def demand_command(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            raise ConfigError(f"{name}: name a command: {commands}")

    return group


def _convert(command: CommandFunction) -> CommandFunction:
    """Return ``command`` with its parameters declared as Typer reads them."""
    parameters = list_parameters(command)
    annotations = {
        name: Annotated[
            kind,
            typer.Option(*declared.names, **declared.settings)
            if isinstance(declared, Option)
            else typer.Argument(**declared.settings),
        ]
        for name, declared, kind, _ in parameters
    }

    @functools.wraps(command)
    def converted(**values: Any) -> Any:
        return command(**values)

    converted.__annotations__ = annotations
    converted.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotations[name])
            for name, _, _, default in parameters
        ]
    )
    return converted


def _show_version(value: bool) -> None:
    if value:
        write_data(f"textrnn {textrnn.__version__}\n")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of an error; allowed anywhere in the command.")
    ] = False,
) -> None:
    """Classify text with SRU, GRU and LSTM networks.

    \b
      textrnn demo                                try everything on demo data
      textrnn spm-train --input corpus.txt        train a tokenizer
      textrnn train --train train.tsv             train a classifier
      textrnn tune config.yaml --trials 30        search for better settings
      textrnn evaluate test.tsv                   evaluate the latest model
      textrnn optimize -o small.safetensors v.tsv make it smaller
      zcat crawl.txt.gz | textrnn predict         label each line
      textrnn filter --label refund < mails.txt   print the lines with a label

    Exit status: 0 success, 1 error in data or model, 2 error in command or config, 130 interrupted.
    """
    del version, debug  # handled by _show_version and textrnn.cli.app.main
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(EXIT_USAGE)
