"""YAML of configs: numbers, repeated keys, files that cannot be read, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from exp_yaml import faults_of, load
from textrnn.config import Config, Override, dump_yaml, load_config
from textrnn.config.key_types import Schema
from textrnn.config.yaml import NOT_YAML, parse_value
from textrnn.errors import ConfigError


def test_all_repeated_keys_are_reported_at_once() -> None:
    text = "train:\n  lr: 1\n  lr: 2\nmodel:\n  layers: 1\n  hidden: 1\n  layers: 1\n  layers: 1\n"
    assert faults_of(text) == [
        "exp.yaml:3: train.lr: written twice; keep one",
        "exp.yaml:7: model.layers: written twice; keep one",
        "exp.yaml:8: model.layers: written twice; keep one",
    ]


def test_two_sections_can_have_keys_of_the_same_name() -> None:
    config = load(
        "data:\n  train: a.tsv\n  test: model\ntokenizer:\n  model: m\nmodel:\n  layers: 1\ntrain:\n  lr: 1\n"
    )
    assert (config.data.train, config.tokenizer.model, config.model.layers) == ("a.tsv", "m", 1)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("data: {}\ntrain:\n  lr: 2024-13-45\n", "exp.yaml:3: "),  # resembles a date
        ("train: {lr: !!int abc}\n", "exp.yaml:1: "),
        (f"train: {{seed: {'9' * 5000}}}\n", "exp.yaml:1: "),
        ("model: &m {hidden: *m}\n", "exp.yaml:1: "),  # a tree that contains itself
    ],
)
def test_a_value_that_python_cannot_represent_is_a_fault(text: str, start: str) -> None:
    faults = faults_of(text)
    assert [fault[: len(start)] for fault in faults] == [start]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.yaml", "none.yaml: no such config file; create one with 'textrnn init'"),
        (".", ".: is a folder, not a config file"),
    ],
)
def test_a_file_that_cannot_be_read(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(Path(name))
    assert caught.value.faults == [message]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *(("1e-3", 0.001), ("1E-3", 0.001), ("1e3", 1000.0), ("+2.5e+1", 25.0), (".5e1", 5.0), ("2.e-1", 0.2)),
        *(("1_0e1", 100.0), ("1.0e-3", 0.001), ("3", 3.0)),
    ],
)
def test_numbers_are_numbers_in_file_and_override(written: str, value: float) -> None:
    assert load(f"train:\n  lr: {written}\n").train.lr == value
    assert load("", f"train.lr={written}").train.lr == value


@pytest.mark.parametrize("text", ["e3", "1e", "1e-", "e-3x", "v1e3", "1e3.tsv", "1-e3"])
def test_text_that_resembles_a_number_stays_text(text: str) -> None:
    assert load(f"data:\n  train: {text}\n").data.train == text


def test_a_byte_order_mark_is_ignored() -> None:
    assert load(b"\xef\xbb\xbftrain:\r\n  lr: 1\r\n").train.lr == 1.0


@pytest.mark.parametrize(
    "value",
    [
        *("yes", "null", "~", "true", "12", "007", "0x10", "1.5", "1e3", "1_0e5", "-1E-3", "2020-01-01", "=", "<<"),
        *("a: b", "#x", "- x", "[", "'", '"', "a\\nb", "  padded  ", "a\nb\n", "a\r\nb", "\t", "!x", "&a", "*a", "%"),
        *("주문 목록", "😀", "a\u2028b", "é\x85x", "\ufeffx", "a\x00b", "x" * 300 + " " + "y" * 300),
    ],
)
def test_any_text_survives_yaml(value: str) -> None:
    overrides = [Override(f"data.{key}", value, "here") for key in ("train", "valid", "label", "text")]
    config = load_config(overrides=overrides)
    assert config.data.label == value
    assert load(dump_yaml(config)) == config


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train": {"lr": 1e-05, "weight_decay": 1e-300, "clip_norm": 1e22, "seed": 2**32 - 1}},
        {"train": {"lr": 0.1 + 0.2, "device": "cuda:3", "metric": "macro_f1"}},
        {"model": {"bidirectional": False, "dropout": 0, "pooling": "max+mean", "highway_bias": -3}},
        {"tokenizer": {"model": "a b/주문.model", "model_type": "bpe"}, "data": {"train": "a.tsv", "valid": "b.tsv"}},
    ],
)
def test_dumped_and_loaded_is_the_same(changes: dict[str, Any]) -> None:
    config = Config.model_validate(changes)
    text = dump_yaml(config)
    assert load(text) == config
    assert dump_yaml(load(text)) == text


def test_a_dump_is_readable_and_in_order() -> None:
    text = dump_yaml(Config.model_validate({"data": {"train": "주문.tsv"}}))
    assert text.startswith("data:\n  train: 주문.tsv\n  valid: null\n")
    assert list(yaml.safe_load(text)) == ["data", "tokenizer", "embedding", "model", "ngrams", "train"]


TEXT: Schema = {"type": "string"}
OPTIONAL: Schema = {"anyOf": [TEXT, {"type": "null"}]}
LIST: Schema = {"type": "array", "items": TEXT}
TEXT_OR_LIST: Schema = {"anyOf": [TEXT, LIST]}
WEIGHTS: Schema = {
    "anyOf": [
        {"const": "balanced", "type": "string"},
        {"type": "object", "additionalProperties": {"type": "number"}},
        {"type": "null"},
    ]
}
LIKE_YAML = (
    "#",
    "~",
    "|",
    "- a",
    "a: b",
    "no",
    "1.0",
    "2024-01-01",
    "0x1F",
    "'1'",
    '"a"',
    " a ",
    "*x",
    "&x",
    "!x",
    "\t",
)


@pytest.mark.parametrize("text", [*LIKE_YAML, "{a: 1}", "a=b", "a # b"])
def test_text_on_the_command_line_is_taken_verbatim(text: str) -> None:
    for schema in (TEXT, OPTIONAL, TEXT_OR_LIST):
        assert parse_value(text, schema) == text


def test_null_and_the_empty_value_unset_a_key_that_may_be_null() -> None:
    assert [parse_value(text, OPTIONAL) for text in ("null", "", "Null", " null")] == [None, None, "Null", " null"]
    assert [parse_value(text, TEXT) for text in ("null", "", "[a]")] == ["null", "", "[a]"]
    assert parse_value("null", WEIGHTS) is None


def test_only_null_unsets_a_number() -> None:
    number: Schema = {"anyOf": [{"type": "number"}, {"type": "null"}]}
    assert [parse_value(text, number) for text in ("null", "", "~", "3")] == [None, None, None, 3]
    for text in ("#", "# 3", " "):
        with pytest.raises(NOT_YAML):
            parse_value(text, number)


@pytest.mark.parametrize("schema", [LIST, TEXT_OR_LIST])
def test_the_items_of_a_list_are_text(schema: Schema) -> None:
    items = "[no, 1.0, 'a, b', \"#\", 2024-01-01, null, x y]"
    assert parse_value(items, schema) == ["no", "1.0", "a, b", "#", "2024-01-01", None, "x y"]
    assert parse_value("[]", schema) == []
    with pytest.raises(NOT_YAML):
        parse_value("[a", schema)


def test_labels_in_a_mapping_are_text() -> None:
    labels = ("yes", "no", "1", "1.0", "null", "~", "2024-01-01", "2024-13-45", "0x1F", "on", "1e3", "=", "a b")
    text = f"{{{', '.join(f'{label}: 2' for label in labels)}, '': 3, \"#\": 0.5}}"
    assert parse_value(text, WEIGHTS) == {**dict.fromkeys(labels, 2), "": 3, "#": 0.5}
    assert load(f"train:\n  class_weights: {text}\n").train.class_weights == parse_value(text, WEIGHTS)
    assert load("", f"train.class_weights={text}").train.class_weights == parse_value(text, WEIGHTS)
    lines = "".join(f"    {label}: 2\n" for label in labels)
    config = load(f"train:\n  class_weights:\n{lines}")
    assert config.train.class_weights == dict.fromkeys(labels, 2.0)
    assert load(dump_yaml(config)) == config


@pytest.mark.parametrize("label", ["yes", "1", "1.0", "2024-01-01", "0x1F", "1_000", "off", "12:30:00", "=", "1e3"])
def test_a_value_of_a_text_key_in_a_file_is_its_own_text(label: str) -> None:
    config = load(f"data:\n  label: {label}\n  cache: {label}\n  text: '{label}'\n")
    assert (config.data.label, config.data.cache, config.data.text) == (label, label, label)


@pytest.mark.parametrize("null", ["", "~", "null", "Null"])
def test_null_in_a_file_is_none_unless_it_is_quoted(null: str) -> None:
    assert load(f"data:\n  cache: {null}\n").data.cache is None
    assert load(f"data:\n  cache: '{null or 'x'}'\n").data.cache == (null or "x")


def test_anchors_and_merges_still_work() -> None:
    config = load(
        "data: {label: &n 1}\nmodel: {layers: *n}\ntrain:\n  class_weights: {<<: [{yes: 2}, {no: 1}], 1: 3}\n"
    )
    assert (config.data.label, config.model.layers) == ("1", 1)
    assert config.train.class_weights == {"yes": 2.0, "no": 1.0, "1": 3.0}


def test_a_label_that_is_written_twice_is_a_fault() -> None:
    assert faults_of("train:\n  class_weights:\n    a: 1\n    b: 1\n    a: 2\n") == [
        "exp.yaml:5: train.class_weights.a: written twice; keep one"
    ]
