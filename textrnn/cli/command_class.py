"""The class of all commands: options that are given twice, and values of the wrong type."""

from __future__ import annotations

from collections import Counter
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperOption
from typer.models import ParameterInfo

from textrnn.errors import ConfigError


class Command(TyperCommand):
    """A command that refuses an option that is given twice, unless it is a flag or collects its values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse ``args``.

        Raises:
            ConfigError: an option would be overwritten.
            typer.BadParameter: the value of an option has the wrong type.
        """
        values, _, order = self.make_parser(ctx).parse_args(args=list(args))
        repeated = [param for param, count in Counter(order).items() if count > 1]
        faults = [
            f"{max(param.opts, key=len)}: given twice; keep one"
            for param in repeated
            if isinstance(param, TyperOption) and not (param.multiple or param.is_flag)
        ]
        if faults and not ctx.resilient_parsing:  # as in the completion by a shell
            raise ConfigError(faults)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            name = error.param.name if error.param else None
            if name is None or values.get(name) is None:  # a missing argument
                raise
            # the message of Typer has the words of pydantic
            reason = f"should be {_describe_type(self.callback, name)}, not {values[name]!r}"
            raise typer.BadParameter(reason, ctx, error.param) from error


def _describe_type(callback: Any, name: str) -> str:
    """Return what the value of the parameter ``name`` of a command should be."""
    from pydantic import TypeAdapter

    from textrnn.config.key_types import describe, list_types

    hint = get_type_hints(callback, include_extras=True)[name]
    info = next(data for data in hint.__metadata__ if isinstance(data, ParameterInfo))
    bounds = {name: bound for name, bound in (("minimum", info.min), ("maximum", info.max)) if bound is not None}
    types = [part for part in list_types(TypeAdapter(hint.__origin__).json_schema()) if part.get("type") != "null"]
    return describe({"anyOf": [{**part, **bounds} for part in types]})
