"""Types of keys in words: every bad value of every key gets a message in the schema's words."""

from __future__ import annotations

from typing import Any

import pytest

from textrnn.config import Config, Override, check_config, load_config
from textrnn.config.key_types import Schema, describe, file_schema, is_text, key_schema
from textrnn.errors import ConfigError

KEYS = [f"{name}.{key}" for name, section in Config() for key in type(section).model_fields]
BAD_VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 10**30, 0.5, 1.5, -2.5, float("nan"), float("inf"), "", " ", "no", "1", "x" * 99),
    *([], [1], ["a"], [[]], [None], {}, {"a": 1}, {"a": 0}, {"a": "b"}, {"a": None}, {"a": True}, {"a": {}}, {1: 1}),
    *(b"bytes", "\ud800", object(), (1, 2), {1, 2}),
]


def find_fault(values: Any) -> str:
    try:
        check_config(values)
    except ValueError as error:
        return str(error)
    return "none"


FOREIGN = (
    "Input",
    "a valid",
    "Value error",
    "String",
    "List",
    "Dict",
    "greater than",
    "less than",
    "Extra",
    "required",
)

OWN = {
    "data.encoding": "should be auto, or an encoding such as utf-8, utf-16, cp949, cp1252 or shift_jis",
    "data.delimiter": "should be one character, such as ; or tab",
}  # words of validators


@pytest.mark.parametrize("key", KEYS)
def test_no_message_of_a_bad_value_is_in_words_of_pydantic(key: str) -> None:
    refused = 0
    schema = key_schema(key)
    assert schema is not None
    for value in BAD_VALUES:
        try:
            load_config(overrides=[Override(key, value, "here")])
        except ConfigError as error:
            refused += 1
            for fault in error.faults:
                reason, _, shown = fault.removeprefix(f"here: {key}: ").partition(", not ")
                assert not any(phrase in reason for phrase in FOREIGN), fault
                assert not shown or reason in (
                    f"should be {describe(schema)}",
                    OWN.get(key),
                )  # else it needs another key
        section, _, name = key.partition(".")
        assert find_fault({section: {name: value}}).startswith((f"{key}: should be ", "none"))
    assert refused > len(BAD_VALUES) / 3


@pytest.mark.parametrize("values", [None, 3, [], {"model": 3}, {"modle": {}}, {"model": {"hiden": 1}}, {3: 4}])
def test_plain_values_that_are_no_config_are_refused_in_one_line(values: Any) -> None:
    fault = find_fault(values)
    assert "unknown key" in fault or "should be a section" in fault
    assert "\n" not in fault


@pytest.mark.parametrize(
    ("schema", "text", "words"),
    [
        ({"type": "string"}, True, "text"),
        ({"type": "string", "minLength": 1}, True, "text that is not empty"),
        ({"enum": ["a", "b", "c"], "type": "string"}, True, "a, b or c"),
        ({"const": "a", "type": "string"}, True, "a"),
        ({"pattern": "^x$", "type": "string"}, True, "text that matches ^x$"),
        ({"anyOf": [{"anyOf": [{"type": "string"}, {"type": "array", "items": {}}]}, {"type": "null"}]}, True, None),
        ({"anyOf": [{"type": "number", "minimum": 0}, {"const": "auto", "type": "string"}]}, False, None),
        ({"type": "array", "items": {"type": "string"}}, False, "a list such as [a, b]"),
        ({"type": "boolean"}, False, "true or false"),
        ({"type": "integer"}, False, "a whole number"),
        ({"type": "number", "minimum": 0.5}, False, "a number of at least 0.5"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1e6}, False, "a number above 0 and up to 1,000,000"),
    ],
)
def test_a_type_in_words(schema: Schema, text: bool, words: str | None) -> None:
    assert is_text(schema) is text
    assert describe(schema) == words or words is None


def test_every_key_has_a_schema_and_others_have_none() -> None:
    assert [key for key in KEYS if key_schema(key) is None] == []
    assert [key_schema(key) for key in ("model", "model.", "model.hiden", "modle.hidden", ".hidden", "")] == [None] * 6
    assert list(file_schema()["properties"]) == list(Config.model_fields)
