"""Types of the config keys, from the JSON schema: which values are text, and what a value should be, in words."""

from __future__ import annotations

from functools import cache
from typing import Any

from textrnn.config.schema import PATTERNS, Config

Schema = dict[str, Any]
"""A JSON schema, as :meth:`pydantic.BaseModel.model_json_schema` returns it."""

_WORDS = {"string": "text", "boolean": "true or false", "null": "null"}
_BOUNDS = {"minimum": "of at least", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "below"}


@cache
def file_schema() -> Schema:
    """Return the JSON schema of a config file, with the sections instead of references to them."""
    schema = Config.model_json_schema()
    sections = {name: schema["$defs"][part["$ref"].rpartition("/")[2]] for name, part in schema["properties"].items()}
    return {"properties": sections}


def key_schema(key: str) -> Schema | None:
    """Return the JSON schema of the dotted ``key``; None if there is no such key."""
    section, _, name = key.partition(".")
    found: Schema | None = file_schema()["properties"].get(section, {}).get("properties", {}).get(name)
    return found


def list_types(schema: Schema) -> list[Schema]:
    """Return the schemas of the types that a value may have."""
    return [part for each in schema["anyOf"] for part in list_types(each)] if "anyOf" in schema else [schema]


def is_text(schema: Schema) -> bool:
    """Return whether every plain value except null is text."""
    return {part.get("type") for part in list_types(schema)} - {"null", "array", "object"} == {"string"}


def describe(schema: Schema) -> str:
    """Return what a value should be, such as ``a whole number from 1 to 64, or null``."""
    if "anyOf" in schema:
        return ", or ".join(map(describe, list_types(schema)))
    if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        *others, last = map(str, choices)
        return f"{', '.join(others)} or {last}" if others else last
    kind = schema["type"]
    if kind == "array":
        return "a list such as [a, b]"
    if kind == "object":
        return f"{{LABEL: {describe(schema['additionalProperties'])}}}"
    if kind in ("integer", "number"):
        return " ".join(["a whole number" if kind == "integer" else "a number", *_describe_bounds(schema)])
    if "pattern" in schema:
        return PATTERNS.get(schema["pattern"], f"text that matches {schema['pattern']}")
    return _WORDS[kind] + (" that is not empty" if schema.get("minLength") else "")


def _describe_bounds(schema: Schema) -> list[str]:
    if "minimum" in schema and "maximum" in schema:
        return [f"from {_format(schema['minimum'])} to {_format(schema['maximum'])}"]
    bounds = [f"{words} {_format(schema[name])}" for name, words in _BOUNDS.items() if name in schema]
    return [" and ".join(bounds)] if bounds else []


def _format(bound: float) -> str:
    return f"{int(bound):,}" if bound == int(bound) else f"{bound:g}"
