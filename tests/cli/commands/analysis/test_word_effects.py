"""``textrnn explain``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from command import Run, find_command
from pseudo_terminal import run_in_terminal

TEXT = "black coffee with milk today"


def test_a_pipe_gets_a_line_for_each_word(trained: Path, invoke: Run) -> None:
    done = invoke("explain", TEXT, cwd=trained)
    first, *words, end = done.stdout.decode().removesuffix("\n").split("\n")
    assert (done.returncode, done.stderr, end) == (0, b"", "")
    label, probability = first.split("\t")
    assert label == "coffee"
    assert 0.5 < float(probability) <= 1
    assert [word.split("\t")[0] for word in words] == TEXT.split()
    assert all(re.fullmatch(r"[+-]\d\.\d{6}", word.split("\t")[1]) for word in words)
    strongest = max(words, key=lambda word: abs(float(word.split("\t")[1])))
    assert strongest.split("\t")[0] in {"black", "coffee", "milk"}


def test_another_label_has_the_opposite_effects(trained: Path, invoke: Run) -> None:
    pages = [invoke("explain", TEXT, "-l", label, cwd=trained).stdout.decode() for label in ("tea", "coffee")]
    tea, coffee = ([float(line.split("\t")[1]) for line in page.splitlines() if line] for page in pages)
    assert tea[0] + coffee[0] == pytest.approx(1, abs=1e-5)
    assert tea[1:] == pytest.approx([-effect for effect in coffee[1:]], abs=1e-5)


def test_lines_of_stdin_and_json_as_predict_gives_it(trained: Path, invoke: Run) -> None:
    lines = f"{TEXT}\n\ngreen tea\n".encode()
    expected = invoke("predict", "--format", "jsonl", "--explain", cwd=trained, stdin=lines).stdout
    assert invoke("explain", "--json", cwd=trained, stdin=lines).stdout == expected
    assert invoke("explain", "--json", "-", cwd=trained, stdin=lines).stdout == expected
    blocks = invoke("explain", cwd=trained, stdin=lines).stdout.decode().removesuffix("\n\n").split("\n\n")
    assert [block.split("\t")[0] for block in blocks] == [json.loads(row)["label"] for row in expected.splitlines()]


def test_multi_label_models_explain_each_label(trained_multi_label: Path, invoke: Run) -> None:
    text = b"i want my money back, the parcel came late\n"
    expected = invoke("predict", "--format", "jsonl", "--explain", cwd=trained_multi_label, stdin=text).stdout
    assert invoke("explain", "--json", cwd=trained_multi_label, stdin=text).stdout == expected
    labels = json.loads(expected)["label"]
    blocks = invoke("explain", cwd=trained_multi_label, stdin=text).stdout.decode().strip().split("\n\n")
    assert [block.split("\t")[0] for block in blocks] == labels
    assert len(labels) > 1
    named = invoke("explain", "-l", "praise", "--json", cwd=trained_multi_label, stdin=text).stdout
    assert json.loads(named)["label"] == ["praise"]


def test_a_terminal_shows_colors(trained: Path) -> None:
    output = run_in_terminal([find_command(), "explain", TEXT], columns=80, cwd=trained)
    assert re.search(r"\x1b\[1;32m(black|coffee|milk)\x1b", output)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", output).splitlines()
    assert re.fullmatch(r"coffee \d+\.\d %", lines[0])
    assert lines[1] == TEXT
    assert re.match(r"strongest: (black|coffee|milk) \+0\.\d\d", lines[2])


def test_without_color_numbers_mark_the_words(trained: Path) -> None:
    output = run_in_terminal([find_command(), "explain", TEXT, "-l", "tea"], columns=80, color=False, cwd=trained)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", output)
    assert re.search(r"(black|coffee|milk)\(-0\.\d\d\)", output)


def test_an_unknown_label_is_an_error(trained: Path, invoke: Run) -> None:
    done = invoke("explain", "--label", "water", TEXT, cwd=trained)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"textrnn: --label water: the model has no such label; it has coffee, tea\n"


def test_the_name_of_a_file_is_no_text(trained: Path, invoke: Run) -> None:
    done = invoke("explain", "rows.tsv", cwd=trained)
    message = "rows.tsv: a file, but explain takes a text; explain its lines with: textrnn explain < rows.tsv"
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", f"textrnn: {message}\n")
    assert invoke("explain", "tea " * 2000, cwd=trained).returncode == 0
