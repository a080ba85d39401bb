"""The plain parser against Typer: the same values, or none."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer import Typer

from textrnn.cli import plain_parser
from textrnn.cli.commands import COMMANDS, load_command
from textrnn.cli.parameters import list_parameters
from textrnn.cli.typer_app import make_app

PLAIN = (
    ("predict", ""),
    ("predict", "a.txt b.txt"),
    ("predict", "-m run -k3 --min-prob 0.5 --with-text -- --model -x"),
    ("predict", "--model=run --top-k=2 - --format jsonl --explain"),
    ("predict", "--field a -f b -fc --field=d --set data.encoding=cp949"),
    ("predict", "--score -1 -o=x --rejects="),
    ("filter", "-l a -ql b -vq --label=c --threshold 1 FILE"),
    ("filter", "-vqlLABEL --label --label"),
    ("evaluate", "--json test.tsv"),
    ("train", "--lr 0.1 --epochs 3 config.yaml --seeds 5"),
    ("data check", "a.tsv b.tsv --show 3"),
    ("data split", "a.tsv --out x --test-share 0.25"),
    ("config schema", ""),
    ("spm-decode", "-m m.model"),
)
LEFT_TO_TYPER = (
    ("predict", "--help"),
    ("predict", "-h"),
    ("predict", "--mod run"),
    ("predict", "-m"),
    ("predict", "--top-k"),
    ("predict", "-m a --model b"),
    ("predict", "-k 0"),
    ("predict", "-k 1_0"),
    ("predict", "-k -1"),
    ("predict", "-1"),
    ("predict", "--min-prob nan"),
    ("predict", "--min-prob 1.01"),
    ("predict", "--min-prob -0.5"),
    ("predict", "--with-text=yes"),
    ("predict", "--format TSV"),
    ("predict", "--install-completion"),
    ("filter", "-q-label a -l b"),
    ("filter", "-qx -l b"),
    ("filter", "-q=l -l b"),
    ("evaluate", ""),
    ("evaluate", "a b"),
)
WORDS = (
    *("", "-", "--", "a", "b.tsv", "run=1", "-1", "0", "1", "007", "3", "0.5", "1e-3", ".5", "1.", "+1", " 1", "1_0"),
    *("nan", "inf", "tsv", "TSV", "jsonl", "fp32", "cpu", "-x", "-=", "-m=", "--x", "--help", "data.encoding=cp949"),
    *("99999999999999999999", "\u0661", "환불", "\udcff", "sub", "with space", "-k3", "-vq", "-qv", "--no-quiet"),
)


VALUES = (
    "--model",
    "-m",
    "--top-k",
    "-k",
    "--min-prob",
    "--format",
    "--score",
    "--field",
    "-f",
    "--set",
    "--jobs",
    "-j",
)
FLAGS = ("--with-text", "--explain", "--quiet", "-q", "-v", "--json", "--invert", "--overwrite")


@functools.cache
def make_recording_app(name: str) -> tuple[Typer, list[dict[str, Any]]]:
    """Return an application whose command ``name`` appends its values to the list."""
    called: list[dict[str, Any]] = []
    command = functools.wraps(load_command(name))(lambda **values: called.append(values))
    return make_app({name: command}), called


def parse_with_typer(name: str, words: Sequence[str]) -> dict[str, Any] | None:
    """Return the values that Typer gives to the command, None if it refuses ``words`` or prints help."""
    app, called = make_recording_app(name)
    with contextlib.suppress(Exception):  # of usage
        app(args=[*name.split(), *words], standalone_mode=False)
    return called.pop() if called else None


def draw_words(draw: random.Random, name: str) -> list[str]:
    """Draw options of the command with and without values, words that may be values, and some of another command."""
    own = [each for parameter in list_parameters(load_command(name)) for each in parameter.names]
    words: list[str] = []
    for _ in range(draw.randrange(6)):
        option, value = draw.choice([*own, *own, *VALUES, *FLAGS]), draw.choice(WORDS)
        words += draw.choice(
            [[option], [option, value], [f"{option}={value}"], [f"{option}{value}"], [value], [option, value]]
        )
    return words


@pytest.mark.parametrize(("name", "words"), PLAIN)
def test_a_plain_line_gives_the_values_of_typer(name: str, words: str) -> None:
    values = plain_parser.parse(load_command(name), shlex.split(words))
    assert values is not None
    assert values == parse_with_typer(name, shlex.split(words))


@pytest.mark.parametrize(("name", "words"), LEFT_TO_TYPER)
def test_help_faults_and_unusual_values_are_left_to_typer(name: str, words: str) -> None:
    assert plain_parser.parse(load_command(name), words.split()) is None


@pytest.mark.parametrize("name", COMMANDS)
def test_random_lines_never_get_other_values_than_from_typer(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.tsv").touch()
    draw, command = random.Random(name), load_command(name)
    for _ in range(500 if name in ("predict", "filter") else 100):
        words = draw_words(draw, name)
        values = plain_parser.parse(command, words)
        if values is not None:
            assert (words, values) == (words, parse_with_typer(name, words))


def test_most_valid_random_lines_are_plain() -> None:
    draw = random.Random(1)
    lines = [draw_words(draw, "predict") for _ in range(500)]
    valid = [words for words in lines if parse_with_typer("predict", words) is not None]
    plain = [words for words in valid if plain_parser.parse(load_command("predict"), words) is not None]
    assert len(plain) > 0.8 * len(valid) > 25


def test_a_path_that_cannot_be_read_is_left_to_typer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read all files
    assert plain_parser.parse(load_command("predict"), ["-m", str(tmp_path / "m")]) is None
    assert plain_parser.parse(load_command("predict"), ["-m", str(tmp_path / "gone")]) is not None
