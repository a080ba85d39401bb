"""Delimiters, quoting, headers and columns of tables."""

from __future__ import annotations

import pytest

from row_texts import fault_of, notes_of, open_rows
from textrnn.config import DataConfig
from textrnn.data.reading.detection import find_layout
from textrnn.data.reading.layout import Layout
from textrnn.errors import ConfigError, DataError

CURE = "name yours with --set data.label=NAME --set data.text=NAME, or by number in a file without a header"
UNKNOWN = "unknown format; write label<TAB>text, or set the format with --set data.format=tsv|csv|jsonl|fasttext"


@pytest.mark.parametrize(
    ("first", "label", "text", "start"),
    [
        ("label\ttext", 0, 1, 1),
        ("Label\tText", 0, 1, 1),
        ("text\tlabel", 1, 0, 1),
        ("id\tTEXT\tx\t Label ", 3, 1, 1),
        ("\n \nid\tlabel\ttext", 1, 2, 3),
        ('"text"\t"label"', 1, 0, 1),
        ("\ufefflabel\ttext", 0, 1, 1),
        ("label\tLABEL\ttext", 0, 2, 1),
        # no header
        ("labels\ttext", 0, 1, 0),
        ("label\tmore\tx", 0, 1, 0),
    ],
)
def test_a_header_names_columns_in_any_order_and_case(first: str, label: int, text: int, start: int) -> None:
    layout = find_layout("d.tsv", [*first.split("\n"), "a\tone"], DataConfig())
    assert (layout.label, layout.text, layout.start) == ((label,), (text,), start)
    assert (layout.header is None) == (start == 0)


@pytest.mark.parametrize(
    ("name", "head", "delimiter", "is_quoted"),
    [
        ("d.csv", "label,text", ",", True),
        ("d.csv", "label;text", ";", True),
        ("d.csv", "text|label", "|", True),
        ("d.csv", "label\ttext", "\t", False),
        ("d.txt", '"label"\t"text"', "\t", True),
        ("d.txt", 'a\tx\nb\t"say ""y"""', "\t", True),
        ("d.txt", 'a\tx\nb\t"y"', "\t", False),
        ("d.txt", 'a\t"x" and ""', "\t", False),
    ],
)
def test_the_delimiter_and_quoting_are_detected(name: str, head: str, delimiter: str, is_quoted: bool) -> None:
    layout = find_layout(name, head.split("\n"), DataConfig())
    assert (layout.delimiter, layout.is_quoted) == (delimiter, is_quoted)


def test_an_unusual_delimiter_is_reported() -> None:
    assert notes_of("label;text\na;b\n", "d.csv") == ["d.csv: fields are divided by ';'"]
    assert notes_of("label\ttext\na\tb\n", "d.csv") == ["d.csv: fields are divided by tabs"]
    assert notes_of("label;text\na;b\n", "d.csv", delimiter=";") == []
    assert notes_of("label,text\na,b\n", "d.csv") == []


LONG = "x" * 30_000


@pytest.mark.parametrize(
    ("name", "content", "options", "fault"),
    [
        ("d.txt", "one\na\ttwo\n", {}, f"d.txt:1: {UNKNOWN}"),
        ("d.txt", "label,texts\na,b\n", {}, f"d.txt:1: {UNKNOWN}"),
        ("d.txt", "[1]\n", {}, f"d.txt:1: {UNKNOWN}"),
        ("d.csv", "kind,text\na,b\n", {}, f"d.csv:1: no column 'label'; the columns are kind, text; {CURE}"),
        (
            "d.csv",
            "label;body\n",
            {},
            f"d.csv:1: fields are divided by ';'; no column 'text'; the columns are label, body; {CURE}",
        ),
        (
            "d.csv",
            "\n\nlabel,text\na,b\n",
            {"text": "body"},
            f"d.csv:3: no column 'body'; the columns are label, text; {CURE}",
        ),
        (
            "d.tsv",
            "label\ttext\na\tb\n",
            {"label": "3", "text": "text"},
            f"d.tsv:1: no column '3'; the columns are label, text; {CURE}",
        ),
        ("d.csv", f"{LONG},label\n", {}, f"d.csv:1: no column 'text'; the columns are {'x' * 20}..., label; {CURE}"),
        (
            "d.csv",
            ",".join("abcdefghijklm"),
            {},
            f"d.csv:1: no column 'label'; the columns are a, b, c, d, e, f, g, h, i, j, and 3 more; {CURE}",
        ),
        ("d.csv", 'label,"text\na,b\n', {}, "d.csv:1: not CSV: unexpected end of data"),
        ("d.csv", "a\rb,c\n", {}, "d.csv:1: not CSV: a CR inside a record"),
        # options without effect
        (
            "d.jsonl",
            "{}",
            {"delimiter": ";"},
            "data.delimiter: no effect on d.jsonl, whose format is jsonl; leave it out",
        ),
        (
            "d.txt",
            "__label__a b",
            {"text": "x"},
            "data.text: no effect on d.txt, whose format is fasttext; leave it out",
        ),
        (
            "d.tsv",
            "a\tb",
            {"format": "tsv", "delimiter": ";"},
            "data.delimiter ';': the format tsv has tabs; use data.format=csv",
        ),
        (
            "d.csv",
            "b\nx\n",
            {"text": "a", "labelled": False},
            "d.csv:1: no column 'a'; the columns are b; choose one with --field NAME, "
            "or --field N in a file without a header",
        ),
    ],
)
def test_a_layout_that_does_not_fit(name: str, content: str, options: dict[str, object], fault: str) -> None:
    assert fault_of(content, name, **options).startswith(fault)
    error = ConfigError if fault.startswith("data.") else DataError
    with pytest.raises(error):
        open_rows(content, name, **options)  # type: ignore[arg-type]


def test_a_layout_has_a_width() -> None:
    assert find_layout("d", ["x\ty\tz"], DataConfig()) == Layout("table", is_pair=True)
    numbered = find_layout("d", ["x\ty\tz"], DataConfig(text="1", label="3"))
    assert (numbered.width, numbered.is_exact, numbered.start) == (3, False, 0)
    named = find_layout("d", ["x\ty\tz"], DataConfig(text="x", label="3", group="y"))
    assert (named.width, named.is_exact, named.text, named.label, named.group) == (3, True, (0,), (2,), (1,))
