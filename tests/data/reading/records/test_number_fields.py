"""Weights and probabilities in records, as text of a table or values of JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from textrnn.config import DataConfig
from textrnn.data.reading.layout import Layout
from textrnn.data.reading.records.fields import RecordFields, parse_object
from textrnn.data.reading.records.number_fields import read_number
from textrnn.data.reading.records.selection import FaultError, Selection


def select(row: str, **settings: Any) -> Selection:
    return RecordFields(Layout("json"), DataConfig(**settings), labelled=True).select(parse_object(row))


@pytest.mark.parametrize(
    ("value", "number"), [("0.5", 0.5), (" 2 ", 2), ("0", 0), ("1e-3", 0.001), (3, 3), (np.float32(0.5), 0.5)]
)
def test_numbers(value: Any, number: float) -> None:
    assert read_number(value, "w") == number


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "'w' is missing"),
        (" ", "'w' is missing"),
        (None, "'w' is missing"),
        ("x", "should be a number, not 'x'"),
        ("nan", "should be a number, not 'nan'"),
        (float("inf"), "'w' is larger than numbers can be here"),
        (10**400, "'w' is larger than numbers can be here"),
        ("1e39", "'w' is larger than numbers can be here"),
        ("1_000", "should be a number, not '1_000'"),
        (True, "should be a number, not 'bool'"),
        ({}, "should be a number, not 'dict'"),
        ("-0.1", "'w' is -0.1; it cannot be negative"),
    ],
)
def test_bad_numbers(value: Any, reason: str) -> None:
    with pytest.raises(FaultError, match=reason):
        read_number(value, "w")


def test_an_object_of_probabilities() -> None:
    found = select('{"text": "x", "label": {"b": 0.333, "a": 0.667, "c": 0}, "w": 2}', weight="w")
    assert (found.labels, found.weight) == (["a"], 2)
    assert found.distribution == {"b": pytest.approx(0.333), "a": pytest.approx(0.667)}
    assert sum(found.distribution.values()) == pytest.approx(1, abs=1e-12)


def test_columns_of_probabilities() -> None:
    found = select('{"text": "x", "a": "0.5", "b": 0.5}', label_columns=["a", "b"])
    assert (found.labels, found.distribution) == (["a"], {"a": 0.5, "b": 0.5})


def test_probabilities_of_several_labels() -> None:
    found = select('{"text": "x", "label": {"a": 0.9, "b": 0.5, "c": 0.1}}', multi_label=True)
    assert (found.labels, found.distribution) == (["a", "b"], {"a": 0.9, "b": 0.5, "c": 0.1})
    assert select('{"text": "x", "label": {}}', multi_label=True).labels == []


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ('{"a": 0.5, "b": 0.4}', "sum to 0.9, not to 1"),
        ("{}", "sum to 0, not to 1"),
        ('{"a": 1.5, "b": -0.5}', "'b' is -0.5; it cannot be negative"),
        ('{"a": 1.5, "b": 0}', "the probability of 'a' is 1.5; it cannot be above 1"),
        ('{"a": null, "b": 1}', "'a' is missing"),
        ('{"a": {"b": 1}}', "'a' should be a number, not 'dict'"),
        ('{" ": 1}', "the label is empty"),
    ],
)
def test_bad_probabilities(label: str, reason: str) -> None:
    with pytest.raises(FaultError, match=reason):
        select(f'{{"text": "x", "label": {label}}}')


def test_a_missing_text_leaves_the_rest() -> None:
    with pytest.raises(FaultError) as caught:
        select('{"text": null, "label": {"a": 1}, "w": 3}', weight="w")
    assert caught.value.rest == Selection("", ["a"], "", {"a": 1.0}, 3.0)
