"""The search space: its content and its faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from textrnn.config import Config, Override, parse_overrides
from textrnn.errors import ConfigError
from textrnn.experiments.search_space import Choice, Range, read_space
from textrnn.files import shipped


def read(tmp_path: Path, text: str, **options: object) -> list[Range | Choice]:
    (tmp_path / "space.yaml").write_text(text)
    return read_space(tmp_path / "space.yaml", None, **options)  # type: ignore[arg-type]


def test_ranges_and_choices(tmp_path: Path) -> None:
    text = """
train.lr: {low: 1e-4, high: 1e-2, log: true}
model.dropout: {low: 0, high: 0.5}
model.layers:
  low: 1
  high: 3
train.batch_size: {choices: [null, 8, 32]}
model.bidirectional: {choices: [true, false]}
"""
    assert read(tmp_path, text) == [
        Range("train.lr", 1e-4, 1e-2, log=True),
        Range("model.dropout", 0, 0.5),
        Range("model.layers", 1, 3, whole=True),
        Choice("train.batch_size", (None, 8, 32)),
        Choice("model.bidirectional", (True, False)),
    ]


def test_choices_of_a_text_key_are_text(tmp_path: Path) -> None:
    assert read(tmp_path, "tokenizer.model: {choices: [no, 1.0, 'a', null]}") == [
        Choice("tokenizer.model", ("no", "1.0", "a", None))
    ]


def test_a_key_that_varies_cannot_be_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "model.layers: {low: 1, high: 3}", overrides=parse_overrides(["model.layers=2", "train.lr=0.1"]))
    (fault,) = caught.value.faults
    assert fault == f"--set model.layers=2: {tmp_path}/space.yaml varies model.layers; leave it out, or change --space"


def test_integer_bounds_of_a_real_key_stay_real(tmp_path: Path) -> None:
    assert read(tmp_path, "train.clip_norm: {low: 1, high: 3}") == [Range("train.clip_norm", 1, 3)]


def test_the_default_space_contains_the_default_values() -> None:
    space = read_space(shipped("space.yaml"), None)
    assert {part.key for part in space} >= {"train.lr", "model.dropout", "model.hidden", "model.layers"}
    for part in space:
        section, _, name = part.key.partition(".")
        value = getattr(getattr(Config(), section), name)
        assert value in part.values if isinstance(part, Choice) else part.low <= value <= part.high


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("model.hiden: {low: 1, high: 3}", "model.hiden: unknown key, did you mean 'hidden'?"),
        ("lr: {low: 0.1, high: 0.3}", "lr: not a key; the sections are data, "),
        ("model.layers: {low: 0, high: 3}", "model.layers: should be a whole number from 1 to 64, not 0"),
        ("model.layers: {low: 1, high: 2.5}", "model.layers: should be a whole number from 1 to 64, "),
        ("model.cell: {choices: [sru, rnn]}", "model.cell: should be gru, sru or lstm, not 'rnn'"),
        ("model.cell: {low: 1, high: 2}", "model.cell: should be gru, sru or lstm, not 1"),
        ("model.bidirectional: {low: 0, high: 1}", "model.bidirectional: should be true or false, not 0"),
        ("train.lr: 0.1", "train.lr: should hold low and high, or choices, not 0.1"),
        ("train.lr:", "train.lr: should hold low and high, or choices, not None"),
        ("train.lr: {low: 0.1}", "train.lr: should hold low and high, or choices"),
        ("train.lr: {low: 0.1, high: 1, step: 2}", "train.lr: unknown key 'step'; it holds low, high and log"),
        ("train.lr: {low: 0.3, high: 0.1}", "train.lr: low should be below high, and 0.3 is not below 0.1"),
        ("train.lr: {low: .nan, high: 0.1}", "train.lr: low should be below high"),
        ("train.lr: {low: a, high: 0.1}", "train.lr: low should be a number, not 'a'"),
        ("train.lr: {low: 0.1, high: 0.2, log: 1}", "train.lr: log should be true or false, not 1"),
        ("model.dropout: {low: 0, high: 0.5, log: true}", "model.dropout: with log, low should be above 0, not 0"),
        ("model.hidden: {choices: []}", "model.hidden: choices should be a list of values, not []"),
        ("model.hidden: {choices: [1, 2, 1]}", "model.hidden: 1 is listed twice in choices"),
        ("model.hidden: {choices: [[1]]}", "model.hidden: choices should be plain values, not [1]"),
        ("model.hidden: {choices: [1], low: 1}", "model.hidden: choices cannot be combined"),
        ("train.seed: {low: 1, high: 9}", "train.seed: must be the same in all trials"),
        ("data.valid: {choices: [a, b]}", "data.valid: must be the same in all trials"),
    ],
)
def test_faults_name_their_line(line: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"\nmodel.embedding: {{low: 8, high: 16}}\n{line}\n")
    assert caught.value.faults[0].startswith(f"{tmp_path}/space.yaml:3: {fault}")
    assert len(caught.value.faults) <= 2  # low and high may both be wrong


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "model.layers: {low: -2, high: 0}\nmodel.layers: {low: 1, high: 2}\nmodel.x: 1\n")
    assert [fault.split("space.yaml")[1].split(":")[1] for fault in caught.value.faults] == ["2", "2", "2", "3"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- a", "contains no keys"),
        ("a: [", "not YAML"),
        ("", "has no keys; add lines such as 'model.layers: {low: 1, high: 3}'"),
        (
            "train.batch_size: {choices: [8]}\ntrain.batch_tokens: {choices: [99]}",
            "train.batch_tokens: cannot be combined with train.batch_size",
        ),
    ],
)
def test_a_file_without_a_search_space_is_refused(text: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert fault in str(caught.value)
    with pytest.raises(ConfigError, match=r"gone\.yaml: no such file"):
        read_space(tmp_path / "gone.yaml", None)


def test_values_are_checked_with_the_config(tmp_path: Path) -> None:
    given = [Override("train.batch_tokens", 99, "--set train.batch_tokens=99")]
    with pytest.raises(ConfigError, match=r"train\.batch_tokens: cannot be combined with train\.batch_size"):
        read(tmp_path, "train.batch_size: {choices: [8, 16]}", overrides=given)
    with pytest.raises(ConfigError, match=r"^--set a=b"):  # a fault of the config itself is reported alone
        read(tmp_path, "train.batch_size: {choices: [x]}", overrides=[Override("a", 1, "--set a=b")])
