"""What the help of ``train`` says of defaults is what they are."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from textrnn.cli.commands import train
from textrnn.config import Config


@pytest.mark.parametrize(
    ("option", "field"),
    [
        (train.CellName, "model.cell"),
        (train.Layers, "model.layers"),
        (train.Hidden, "model.hidden"),
        (train.Rate, "train.lr"),
    ],
)
def test_defaults_in_the_help_are_those_of_the_config(option: object, field: str) -> None:
    said = re.search(r"\[default: (.*)\]", get_args(option)[1].help)
    section, name = field.split(".")
    assert said
    assert said[1] == str(getattr(getattr(Config(), section), name))
