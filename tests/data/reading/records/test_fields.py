"""The labels and the text in one record."""

from __future__ import annotations

import pytest

from textrnn.config import DataConfig
from textrnn.data.reading.layout import Layout
from textrnn.data.reading.records.fields import RecordFields, parse_object, split_fasttext
from textrnn.data.reading.records.selection import FaultError, Selection


@pytest.mark.parametrize(
    ("line", "labels", "text"),
    [
        ("__label__a one", ["a"], "one"),
        (" \t__label__a\tone  two ", ["a"], "one  two "),
        ("one __label__a two", ["a"], "one two"),
        ("one __label__a __label__b", ["a", "b"], "one "),
        ("__label__a\x0bx", ["a"], "x"),
        ("__label__a\x0cx", ["a"], "x"),
        ("__label__a\rx", ["a"], "x"),
        ("__label__a\0x", ["a"], "x"),
        ("__label__a\u00a0x", ["a\u00a0x"], ""),  # fastText knows ASCII only
        ("__label__ x", [""], "x"),
        ("x__label__a", [], "x__label__a"),
        ("", [], ""),
    ],
)
def test_a_line_in_fasttext_s_format(line: str, labels: list[str], text: str) -> None:
    assert split_fasttext(line) == (labels, text)


def select_text(row: str, name: str) -> str:
    fields = RecordFields(Layout("json"), DataConfig(text=name), labelled=False)
    return fields.select(parse_object(row))[0]


@pytest.mark.parametrize(
    ("row", "name", "value"),
    [
        ('{"a": "x"}', "a", "x"),
        ('{"a": 1.50, "b": 2}', "a", "1.50"),
        ('{"a": 123456789012345678901234567890}', "a", "123456789012345678901234567890"),
        ('{"a": true}', "a", "true"),
        ('{"a": {"b": {"c": "x"}}}', "a.b.c", "x"),
        ('{"a.b": "x", "a": {"b": "y"}}', "a.b", "x"),
        ('{" A ": "x"}', "a", "x"),
        ('{"A": "x", "a": "y"}', "a", "y"),
        ('{"a": "x\\r\\ny\\nz\\rw"}', "a", "x y z w"),
        ('{"a": "\\ud800"}', "a", "?"),
    ],
)
def test_the_value_of_a_key(row: str, name: str, value: str) -> None:
    assert select_text(row, name) == value


@pytest.mark.parametrize(
    ("row", "name", "fault"),
    [
        ("{}", "a", "no key 'a'; the keys are none"),
        ('{"A": 1, " a": 2}', "a", "no key 'a'; the keys are A,  a"),
        ('{"a": {"b": 1}}', "a.c", "no key 'a.c'"),
        ('{"a": 1}', "a.b", "no key 'a.b'"),
        ('{"a": {"b": 1}}', "a", "'a' is an object"),
        ('{"a": [1]}', "a", "'a' is a list"),
        ('{"a": NaN}', "a", "'a' is null"),
        ("[1]", "a", "not a JSON object"),
        ('{"a": 1', "a", "not JSON: "),
        ('{"a": ' + "[" * 100_000, "a", "not JSON: nested too deeply"),
    ],
)
def test_a_value_that_is_no_text(row: str, name: str, fault: str) -> None:
    with pytest.raises(FaultError) as caught:
        select_text(row, name)
    assert caught.value.reason.startswith(fault)


def test_the_fields_of_a_table() -> None:
    layout = Layout("table", is_quoted=True, header=("a", "b", "c", "d"), text=(3, 0), label=(1,), group=(2,), width=4)
    fields = RecordFields(layout, DataConfig(text=["d", "a"], label="b", group="c"), labelled=True)
    assert fields.select(["x\ny", "l", "g", ""]) == Selection(" x y", ["l"], "g")


def select(layout: Layout, fields: list[str]) -> None:
    RecordFields(layout, DataConfig(), labelled=True).select(fields)


@pytest.mark.parametrize(
    ("layout", "width", "fault"),
    [
        (Layout("table", is_pair=True), 1, "no tab; write label<TAB>text"),
        (Layout("table", is_exact=False, width=3), 2, "has 2 columns, but needs 3"),
        (Layout("table", is_exact=False, width=3), 4, None),
        (Layout("table", header=("a", "b")), 3, "has 3 columns, but the header has 2"),
        (Layout("table", header=("a", "b")), 1, "has 1 column, but the header has 2"),
    ],
)
def test_a_record_has_the_columns_of_its_table(layout: Layout, width: int, fault: str | None) -> None:
    if fault is None:
        select(layout, ["x"] * width)
        return
    with pytest.raises(FaultError) as caught:
        select(layout, ["x"] * width)
    assert caught.value.reason == fault


def test_quotes_hint_at_quoting() -> None:
    for is_quoted in (False, True):
        with pytest.raises(FaultError) as caught:
            select(Layout("table", header=("a", "b"), is_quoted=is_quoted), ["a", '"x', 'y"'])
        assert ("data.quoting" in caught.value.reason) != is_quoted


def test_labels_are_checked() -> None:
    for labels, is_valid in ((["a", "b"], True), ([], True), (["a", "a"], False)):
        fields = RecordFields(Layout("fasttext"), DataConfig(multi_label=True), labelled=True)
        if is_valid:
            assert fields.select((labels, "x")) == Selection("x", labels)
        else:
            with pytest.raises(FaultError):
                fields.select((labels, "x"))
