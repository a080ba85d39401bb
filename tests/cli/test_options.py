"""Options that several commands share."""

from __future__ import annotations

import pytest

from textrnn.cli.commands.distill import distill_command
from textrnn.cli.commands.train import train_command
from textrnn.cli.options import FLAG_KEYS, collect_overrides, make_data_config, parse_data_settings
from textrnn.cli.parameters import list_parameters
from textrnn.config import DataConfig, Override
from textrnn.errors import ConfigError


def test_the_label_settings_of_the_model_are_defaults() -> None:
    trained = DataConfig(multi_label=True, label_separator="|", text="body")
    config = make_data_config([], trained)
    assert (config.multi_label, config.label_separator, config.text) == (True, "|", "body")
    overrides = parse_data_settings(["data.label_separator=;", "data.label=class"], command="evaluate")
    config = make_data_config(overrides, trained)
    assert (config.label, config.label_separator, config.text) == ("class", ";", "body")


def test_a_single_label_model_has_no_separator() -> None:
    overrides = parse_data_settings(["data.label_separator=;"], command="evaluate")
    with pytest.raises(ConfigError, match=r"data\.label_separator"):
        make_data_config(overrides, DataConfig())


def test_every_wrong_key_is_reported() -> None:
    with pytest.raises(ConfigError) as error:
        parse_data_settings(["data.train=x", "model.hidden=3"], command="optimize")
    assert [fault.split(":")[0] for fault in error.value.faults] == ["--set data.train=x", "--set model.hidden=3"]


def test_columns_of_probabilities_are_read_as_in_training_unless_a_label_is_named() -> None:
    trained = DataConfig(label_columns=["a", "b"], weight="w")
    assert make_data_config([], trained).label_columns == ["a", "b"]
    assert make_data_config([], trained).weight is None
    named = make_data_config([Override("data.label", "class", "--set")], trained)
    assert (named.label, named.label_columns) == ("class", None)


NOTHING = dict.fromkeys([*FLAG_KEYS, "settings"])


def test_commands_that_train_have_all_flags_of_config_keys() -> None:
    for command in (train_command, distill_command):
        lacking = {"replay"} if command is distill_command else set()  # its rows are old text and new
        assert {*FLAG_KEYS, "settings"} - lacking <= {parameter.name for parameter in list_parameters(command)}


def test_flags_of_config_keys_follow_the_settings() -> None:
    given = {"settings": ["train.lr=0.1"], "train": ["a.tsv", "b.tsv"], "batch_size": 8, "tensorboard": False}
    assert collect_overrides(NOTHING | given) == [
        Override("train.lr", 0.1, "--set train.lr=0.1"),
        Override("data.train", ["a.tsv", "b.tsv"], "--train ['a.tsv', 'b.tsv']"),
        Override("train.batch_size", 8, "--batch-size 8"),
    ]
    assert collect_overrides(NOTHING | {"train": ["a.tsv"]}) == [Override("data.train", "a.tsv", "--train a.tsv")]


def test_a_training_file_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="--train a: given twice"):
        collect_overrides(NOTHING | {"train": ["a", "a"]})
