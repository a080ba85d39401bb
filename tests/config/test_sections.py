"""Sections against the pydantic models of the same declarations."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from textrnn.config import Config, DataConfig, TrainConfig
from textrnn.config.sections import make_model

KEYS = [(name, key) for name, section in Config() for key in section.model_fields]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, 2, 64, 65, 65537, -1, 2**32 - 1, 2**32, 10**30, 0.0, -0.0, 0.1, 0.999, 1.0, 1.5, -20.0),
    *(
        5e-324,
        1e308,
        float("nan"),
        float("inf"),
        float("-inf"),
        "",
        " ",
        "a",
        "auto",
        "demo",
        "환불",
        "\ud800",
        "a\ud800",
    ),
    *("sru", "SRU", "max+mean", "csv", "skip", "bpe", "cosine", "loss", "balanced", "fp32", "float32", "fp16", "int8"),
    *("cpu", "cuda", "cuda:13", "cuda:1234", "cuda:1\n", "1/2", "1/2\n", " 1/2", "0/5", "1/\u0661", "1/12345", "utf-8"),
    *("cp949", "UTF8", "utf-16", "utf-7", "no such", "tab", "\\t", "\t", ";", ";;", '"', "\n", b"a", object(), (1, 2)),
    *(
        [],
        [1],
        ["a"],
        ["a", ""],
        [None],
        [["a"]],
        ["\ud800"],
        {},
        {"a": 1},
        {"a": 0.5},
        {"a": 0.0},
        {"a": float("nan")},
    ),
    *({"a": None}, {"a": "b"}, {1: 1.0}, {"a": 1.0, "b": 2.0}, {"\ud800": 1.0}),
]


def outcome(validate: Any, values: Any) -> Any:
    """Return the values and the keys that were given, with all types, or that the values are refused."""
    try:
        section = validate(values)
    except ValidationError:
        return "refused"
    return repr(section.model_dump()), set(section.model_fields_set)


@pytest.mark.parametrize(("name", "key"), KEYS)
def test_a_key_takes_the_values_that_pydantic_takes(name: str, key: str) -> None:
    section = type(getattr(Config(), name))
    for value in VALUES:
        values = {key: value}
        assert outcome(section.model_validate, values) == outcome(make_model(section).model_validate, values), value


@pytest.mark.parametrize(
    "values",
    [
        *(
            {},
            {"data": {}},
            {"data": None},
            {"data": DataConfig(text="a")},
            {"data": TrainConfig()},
            {"data": {"x": 1}},
        ),
        *(
            {"x": {}},
            {1: {}},
            {"model": {1: 2}},
            {"model": []},
            [],
            None,
            "model",
            {"model": {"layers": 3}, "train": {}},
        ),
    ],
)
def test_a_config_takes_the_sections_that_pydantic_takes(values: Any) -> None:
    plain = values
    if isinstance(values, dict):
        plain = {name: part.model_dump() if isinstance(part, DataConfig) else part for name, part in values.items()}
    taken, expected = outcome(Config.model_validate, values), outcome(make_model(Config).model_validate, plain)
    assert taken == expected


def test_the_values_of_a_model_file_need_no_pydantic() -> None:
    code = """
import sys
from textrnn.config import Config, check_config, load_config, parse_override
values = Config().model_dump()
values["data"] |= {"text": ["a", "b"], "encoding": "cp949", "delimiter": "\\t", "multi_label": True, "train": "주문"}
values["train"] |= {"class_weights": {"a": 2.0}, "metric": "micro_f1", "device": "cuda:1"}
config = check_config(values)
assert config.model_dump() == values and config != Config() and load_config() == Config()
assert check_config({"data": {"multi_label": True}}).train.metric == "micro_f1"
assert not {"pydantic", "pydantic_core", "yaml"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_section_is_frozen_hashable_and_pickled() -> None:
    config = Config(train={"lr": 0.5})
    with pytest.raises(AttributeError):
        config.train.lr = 1.0
    with pytest.raises(AttributeError):
        del config.train.lr
    assert pickle.loads(pickle.dumps(config)) == config != Config()
    assert len({config, Config(), Config()}) == 2
    assert pickle.loads(pickle.dumps(config)).train.model_fields_set == {"lr"}


def test_a_section_shares_no_list_with_others() -> None:
    texts = ["a"]
    config = DataConfig(text=texts)
    texts.append("b")
    config.model_dump()["text"].append("c")
    assert config.text == ["a"]


def test_a_copy_has_other_values_and_the_keys_that_were_given() -> None:
    config = DataConfig(text="a").model_copy(update={"label": "b"})
    assert (config.text, config.label, config.model_fields_set) == ("a", "b", {"text", "label"})
    assert config.is_set("label")
    assert not DataConfig(max_length=512).is_set("max_length")
    assert not DataConfig().model_copy(update={"text": "a"}).is_set("label")
