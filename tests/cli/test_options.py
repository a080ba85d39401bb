"""Options that several commands share."""

from __future__ import annotations

import pytest

from textrnn.cli.options import make_data_config, parse_data_settings
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
