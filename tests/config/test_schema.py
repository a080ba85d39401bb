"""Keys of a config: bounds, defaults that depend on other keys, and descriptions."""

from __future__ import annotations

import pytest

from exp_yaml import faults_of, load
from textrnn.config import Config, Override, dump_yaml, load_config


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("tokenizer.vocab_size", 2), ("model.layers", 1), ("model.layers", 64), ("model.highway_bias", -20)),
        *(("model.dropout", 0), ("model.dropout", 0.999), ("data.valid_share", 0.999), ("data.max_length", 1)),
        *(("ngrams.share", 0), ("ngrams.share", 1), ("ngrams.share", "auto"), ("train.device", "cuda:13")),
        *(("train.r_drop", 0), ("train.ema", 0), ("train.seed", 0), ("train.seed", 2**32 - 1)),
        *(("train.weight_decay", 0), ("train.warmup", 0), ("train.device", "mps")),
    ],
)
def test_the_bounds_are_inclusive_where_allowed(key: str, value: object) -> None:
    config = load_config(overrides=[Override(key, value, "here")])
    section, name = key.split(".")
    assert getattr(getattr(config, section), name) == value


@pytest.mark.parametrize(("section", "key", "value"), [("train", "lr", 1.0), ("data", "label", "x")])
def test_a_config_cannot_be_changed(section: str, key: str, value: object) -> None:
    config = Config()
    with pytest.raises(AttributeError):
        setattr(getattr(config, section), key, value)
    assert config == Config()


def test_the_default_metric_of_multi_label_data_is_micro_f1() -> None:
    assert load("").train.metric == "loss"
    assert load("data:\n  multi_label: true\n").train.metric == "micro_f1"
    assert load("", "data.multi_label=true", "train.lr=0.1").train.metric == "micro_f1"
    assert load("", "data.multi_label=true", "train.metric=accuracy").train.metric == "accuracy"
    config = load("", "data.multi_label=true")
    assert load(dump_yaml(config)) == config


def test_the_ngram_share_is_auto_or_a_number() -> None:
    assert load("").ngrams.share == "auto"
    assert load("", "ngrams.share=0.3").ngrams.share == 0.3
    assert load("ngrams:\n  share: 0.3\n", "ngrams.share=auto").ngrams.share == "auto"
    whole = load("ngrams:\n  share: 1\n")
    assert isinstance(whole.ngrams.share, float)
    for config in (load(""), whole, load("", "ngrams.share=0.3")):
        assert load(dump_yaml(config)) == config


def test_the_old_spelling_of_fp32_is_accepted() -> None:
    assert load("train:\n  precision: float32\n").train.precision == "fp32"
    assert load("", "train.precision=float32").train.precision == "fp32"
    assert faults_of("train: {precision: float64}\n") == [
        "exp.yaml:1: train.precision: should be auto, fp32, bf16 or fp16, not 'float64'"
    ]


def test_every_key_has_a_description() -> None:
    keys = [(name, key, field) for name, section in Config() for key, field in type(section).model_fields.items()]
    assert len(keys) > 50
    assert [(name, key) for name, key, field in keys if not field.description] == []
