"""The record of the validation set in a model file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from samples import make_config, make_model
from textrnn.errors import ModelError
from textrnn.serialization.model_file import SavedModel, format_model, parse_model
from textrnn.serialization.validation_record import ValidationRecord
from textrnn.tokenization.tokenizer import Tokenizer

HASHES = np.array([3, 5, 2**64 - 1], np.uint64)


@pytest.fixture
def model(tokenizer: Tokenizer) -> SavedModel:
    record = ValidationRecord(4, {"loss": 0.5, "accuracy": 0.75}, HASHES)
    return replace(make_model(tokenizer, make_config(model__hidden=8)), validation=record)


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_a_model_file_keeps_the_record(model: SavedModel, storage: str) -> None:
    record = parse_model(format_model(model, storage=storage), name="m").validation  # type: ignore[arg-type]
    assert record is not None
    assert (record.texts, record.figures) == (4, {"loss": 0.5, "accuracy": 0.75})
    assert record.hashes.tolist() == HASHES.tolist()
    assert parse_model(format_model(replace(model, validation=None)), name="m").validation is None


@pytest.mark.parametrize(
    ("texts", "figures", "hashes"),
    [
        (2, {}, HASHES),
        (True, {}, HASHES[:1]),
        (4, {}, HASHES[::-1].copy()),
        (4, {}, HASHES.astype(np.int64)),
        (4, {}, HASHES[:, None]),
        (4, {"loss": "low"}, HASHES),
        (4, {"loss": float("nan")}, HASHES),
    ],
)
def test_a_damaged_record_is_refused(model: SavedModel, texts: int, figures: object, hashes: object) -> None:
    damaged = replace(model, validation=ValidationRecord(texts, figures, hashes))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="damaged"):
        parse_model(format_model(damaged), name="m")
