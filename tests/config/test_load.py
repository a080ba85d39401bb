"""Loading a config from a file and overrides, and the place of each fault."""

from __future__ import annotations

import pytest

from exp_yaml import faults_of, load
from textrnn.config import Config, Override, load_config, parse_override, parse_overrides
from textrnn.errors import ConfigError

SECTIONS = "the sections are data, tokenizer, embedding, model, ngrams, train; 'textrnn config schema' lists their keys"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        # unknown keys, with a suggestion
        ("model:\n  hiden: 3\n", ":2: model.hiden: unknown key, did you mean 'hidden'?"),
        ("modle: {}\n", ":1: modle: unknown key, did you mean 'model'?"),
        ("train:\n  lr: 1\n  hidden: 3\n", ":3: train.hidden: unknown key, did you mean 'model.hidden'?"),
        ("\n\nzzz: 1\n", f":3: zzz: unknown key; {SECTIONS}"),
        (
            "tokenizer:\n\n  zzz: 1\n",
            ":3: tokenizer.zzz: unknown key; tokenizer has model, vocab_size, model_type, alpha",
        ),
        ("train.lr: 1\n", ":1: train.lr: unknown key; write it as train: {lr: ...}"),
        ("foo.bar: 1\n", f":1: foo.bar: unknown key; {SECTIONS}"),
        # wrong types
        ("# a comment\ntrain:\n  lr: fast\n", ":3: train.lr: should be a number above 0, not 'fast'"),
        ("train:\n  epochs: 3.0\n", ":2: train.epochs: should be a whole number from 1 to 1,000,000, or null, not 3.0"),
        (
            "train:\n  seed: true\n",
            ":2: train.seed: should be a whole number of at least 0 and below 4,294,967,296, not true",
        ),
        ("train:\n  lr:\n", ":2: train.lr: should be a number above 0, not null"),
        (
            "data: {train: [[7]]}\n",
            ":1: data.train: should be text that is not empty, or a list such as [a, b], not [[7]]",
        ),
        (
            "data: {train: null}\n",
            ":1: data.train: should be text that is not empty, or a list such as [a, b], not null",
        ),
        ("model: {bidirectional: 1}\n", ":1: model.bidirectional: should be true or false, not 1"),
        ("model: {cell: rnn}\n", ":1: model.cell: should be gru, sru or lstm, not 'rnn'"),
        ("data: {}\nmodel: 3\n", ":2: model: should be a section with keys, not 3"),
        ("model: [1, 2]\n", ":1: model: should be a section with keys, not [1, 2]"),
        ("7: x\n", f":1: 7: unknown key; {SECTIONS}"),
        # impossible values
        ("train:\n  lr: 0\n", ":2: train.lr: should be a number above 0, not 0"),
        ("train: {lr: -1e-3}\n", ":1: train.lr: should be a number above 0, not -0.001"),
        ("train: {lr: .inf}\n", ":1: train.lr: should be a number above 0, not inf"),
        ("train: {warmup: 1.0}\n", ":1: train.warmup: should be a number of at least 0 and below 1, not 1.0"),
        (
            "train: {batch_size: 0}\n",
            ":1: train.batch_size: should be a whole number from 1 to 1,000,000, or null, not 0",
        ),
        (
            "train: {class_weights: {a: 0}}\n",
            ":1: train.class_weights: should be balanced, or {LABEL: a number above 0}, or null, not {'a': 0}",
        ),
        ("ngrams: {share: 1.5}\n", ":1: ngrams.share: should be a number from 0 to 1, or auto, not 1.5"),
        ("ngrams: {share: .nan}\n", ":1: ngrams.share: should be a number from 0 to 1, or auto, not nan"),
        ("ngrams: {share: true}\n", ":1: ngrams.share: should be a number from 0 to 1, or auto, not true"),
        ("ngrams: {penalty: 0}\n", ":1: ngrams.penalty: should be a number above 0 and up to 1,000,000, not 0"),
        (
            "train: {seed: 4294967296}\n",
            ":1: train.seed: should be a whole number of at least 0 and below 4,294,967,296, not 4294967296",
        ),
        ("model: {dropout: 1}\n", ":1: model.dropout: should be a number of at least 0 and below 1, not 1"),
        ("model: {layers: 65}\n", ":1: model.layers: should be a whole number from 1 to 64, not 65"),
        ("data: {valid_share: 1}\n", ":1: data.valid_share: should be a number of at least 0 and below 1, not 1"),
        ("data: {max_length: 0}\n", ":1: data.max_length: should be a whole number from 1 to 1,000,000, not 0"),
        ("data: {train: ''}\n", ":1: data.train: should be text that is not empty, or a list such as [a, b], not ''"),
        (
            "tokenizer: {vocab_size: 1}\n",
            ":1: tokenizer.vocab_size: should be a whole number from 2 to 10,000,000, not 1",
        ),
        ("train: {device: gpu}\n", ":1: train.device: should be auto, cpu, cuda, cuda:N or mps, not 'gpu'"),
        ("train: {device: 'cuda:'}\n", ":1: train.device: should be auto, cpu, cuda, cuda:N or mps, not 'cuda:'"),
        ("data:\n  format: tsv\n  valid: v.tsv\n", ":3: data.valid: needs data.train; name the training set too"),
        # a long value is shortened
        (f"train: {{lr: {'x' * 50}}}\n", f":1: train.lr: should be a number above 0, not '{'x' * 36}..."),
        (f"train: {{lr: {'x' * 38}}}\n", f":1: train.lr: should be a number above 0, not '{'x' * 38}'"),
        # not a tree of keys
        ("- a\n", f": contains no keys; {SECTIONS}"),
        ("just words\n", f": contains no keys; {SECTIONS}"),
        ("a: 1\nb: [1\n", ":3: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n\tb: 2\n", ":2: not YAML: found character '\\t' that cannot start any token"),
        ("a: 1\n---\nb: 2\n", ":2: not YAML: but found another document"),
        ("\n? [a]\n: b\n", ":2: not YAML: found unhashable key"),
        (b"\xff\xfed\x00", ": not a YAML file, because it is not UTF-8 text"),
        # written twice
        ("model: {}\ntrain: {}\nmodel: {}\n", ":3: model: written twice; keep one"),
        ("train:\n  lr: 1\n  seed: 1\n  lr: 1\n", ":4: train.lr: written twice; keep one"),
    ],
)
def test_a_fault_names_its_line_and_key(text: str | bytes, fault: str) -> None:
    assert faults_of(text) == [f"exp.yaml{fault}"]


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("train.lrr=2", "train.lrr: unknown key, did you mean 'lr'?"),
        ("train.lr=", "train.lr: should be a number above 0, not null"),
        ("ngrams.share=some", "ngrams.share: should be a number from 0 to 1, or auto, not 'some'"),
        ("train.lr=-1", "train.lr: should be a number above 0, not -1"),
        ("data.train=", "data.train: should be text that is not empty, or a list such as [a, b], not ''"),
        ("train.class_weights={a: 1, a: 2}", "train.class_weights.a: written twice; keep one"),
        ("train.lr=a: b: c", "train.lr: should be a number above 0, not 'a: b: c'"),
        ("train.lr=2024-13-45", "train.lr: should be a number above 0, not '2024-13-45'"),
        (
            "train.class_weights={a",
            "train.class_weights: should be balanced, or {LABEL: a number above 0}, or null, not '{a'",
        ),
        ("train.lr={a: 1}", "train.lr: should be a number above 0, not {'a': 1}"),
        ("data.valid=v.tsv", "data.valid: needs data.train; name the training set too"),
        ("trian.lr=3", f"trian.lr: not a key; {SECTIONS}"),
        ("train=3", f"train: not a key; {SECTIONS}"),
        ("train.=3", f"train.: not a key; {SECTIONS}"),
        (".lr=3", f".lr: not a key; {SECTIONS}"),
        ("train.lr.x=3", f"train.lr.x: not a key; {SECTIONS}"),
    ],
)
def test_a_fault_of_an_override_names_the_flag(override: str, fault: str) -> None:
    assert faults_of("train:\n  seed: 1\n", override) == [f"--set {override}: {fault}"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("train.lr", "write SECTION.KEY=VALUE, such as --set train.lr=0.001"),
        ("=3", "write SECTION.KEY=VALUE, such as --set train.lr=0.001"),
        (" =3", "write SECTION.KEY=VALUE, such as --set train.lr=0.001"),
    ],
)
def test_a_malformed_override_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_override(text)
    assert caught.value.faults == [f"--set {text}: {fault}"]


def test_all_faults_are_reported_at_once() -> None:
    text = "model:\n  hiden: 3\n  layers: 0\ntrain:\n  lr: fast\nmodle: {}\n"
    assert sorted(faults_of(text, "train.epochs=0", "nowhere=1")) == [
        f"--set nowhere=1: nowhere: not a key; {SECTIONS}",
        "--set train.epochs=0: train.epochs: should be a whole number from 1 to 1,000,000, or null, not 0",
        "exp.yaml:2: model.hiden: unknown key, did you mean 'hidden'?",
        "exp.yaml:3: model.layers: should be a whole number from 1 to 64, not 0",
        "exp.yaml:5: train.lr: should be a number above 0, not 'fast'",
        "exp.yaml:6: modle: unknown key, did you mean 'model'?",
    ]


def test_a_conflict_of_two_keys_is_reported_with_the_others() -> None:
    assert sorted(faults_of("data:\n  valid: v.tsv\ntrain:\n  lr: 0\n")) == [
        "exp.yaml:2: data.valid: needs data.train; name the training set too",
        "exp.yaml:4: train.lr: should be a number above 0, not 0",
    ]


def test_without_a_file_a_fault_names_the_origin_of_the_value() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[Override("train.lr", 0, "--lr 0"), Override("data.format", "xml", "--format xml")])
    assert caught.value.faults == [
        "--format xml: data.format: should be auto, tsv, csv, jsonl or fasttext, not 'xml'",
        "--lr 0: train.lr: should be a number above 0, not 0",
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "model:\ntrain:\n  # lr: 1\n", "{}\n"])
def test_an_empty_file_gives_the_defaults(text: str) -> None:
    assert load(text) == Config()


def test_an_override_fills_an_empty_section() -> None:
    config = load("model:\n", "model.hidden=7")
    assert config == Config.model_validate({"model": {"hidden": 7}})


def test_later_overrides_take_precedence() -> None:
    text = "train:\n  lr: 0.1\n  epochs: 3\n  seed: 1\n"
    config = load(text, "train.lr=0.2", "train.seed=5", "train.lr=0.3")
    expected = Config.model_validate({"train": {"lr": 0.3, "epochs": 3, "seed": 5}})
    assert config == expected


def test_the_fault_names_the_last_override() -> None:
    assert faults_of("train:\n  lr: 0.1\n", "train.lr=fast", "train.lr=-2") == [
        "--set train.lr=-2: train.lr: should be a number above 0, not -2"
    ]


def test_an_override_can_fix_a_fault_of_the_file() -> None:
    assert load("train:\n  lr: fast\n", "train.lr=0.1").train.lr == 0.1


def test_an_override_can_unset_a_value() -> None:
    assert load("data:\n  train: a.tsv\n  valid: v.tsv\n", "data.valid=null").data.valid is None


def test_an_override_does_not_hide_a_section_of_the_wrong_type() -> None:
    assert faults_of("train: {}\nmodel: 3\n", "model.hidden=4") == [
        "exp.yaml:2: model: should be a section with keys, not 3"
    ]


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("data.train=a=b.tsv", "data.train", "a=b.tsv"),
        (" train.lr =0.5", "train.lr", 0.5),
        ("model.bidirectional=no", "model.bidirectional", False),
        ("data.label='1'", "data.label", "'1'"),
        ("data.text= text", "data.text", " text"),
        ("data.label_separator=#", "data.label_separator", "#"),
        ("nowhere.key=[", "nowhere.key", "["),
        ("data.valid=", "data.valid", None),
    ],
)
def test_the_type_of_the_key_decides_how_a_value_is_read(text: str, key: str, value: object) -> None:
    assert parse_override(text) == Override(key, value, f"--set {text}")


def test_a_key_that_is_set_twice_is_a_fault() -> None:
    assert parse_overrides(["train.lr=1", "train.seed=1"])
    with pytest.raises(ConfigError) as caught:
        parse_overrides(["train.lr=1", "train.seed=1", " train.lr=1", "lr", "train.seed=2"])
    assert caught.value.faults == [
        "--set  train.lr=1: train.lr: given twice; keep one",
        "--set lr: write SECTION.KEY=VALUE, such as --set train.lr=0.001",
        "--set train.seed=2: train.seed: given twice; keep one",
    ]


@pytest.mark.parametrize("separator", ["|", ">", ",", "&", ";", " | ", "/", "#", "~", " ", "no"])
def test_a_separator_needs_no_quotes(separator: str) -> None:
    config = load("", "data.multi_label=true", f"data.label_separator={separator}")
    assert config.data.label_separator == separator
