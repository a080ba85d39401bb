"""Messages of errors."""

from __future__ import annotations

import pickle

import pytest

from textrnn.errors import ConfigError, DataError, ModelError, OtherRankError, StoppedError, TextrnnError, pluralize
from textrnn.tokenization.spm_trainer import VocabularyError


@pytest.mark.parametrize(
    ("path", "line", "message"),
    [("a.tsv", 3, "a.tsv:3: bad"), ("a.tsv", None, "a.tsv: bad"), ("-", 3, "standard input:3: bad")],
)
def test_a_data_error_names_file_and_line(path: str, line: int | None, message: str) -> None:
    assert str(DataError(path, line, "bad")) == message


def test_a_config_error_has_one_line_per_fault() -> None:
    assert (str(ConfigError(["a", "b"])), ConfigError("a").faults) == ("a\nb", ["a"])


def test_pluralize() -> None:
    assert [pluralize(count, "text", "texts") for count in (0, 1, 2000)] == ["0 texts", "1 text", "2,000 texts"]


@pytest.mark.parametrize(
    "error",
    [
        *(TextrnnError("a"), ConfigError(["a", "b"]), DataError("a.tsv", 3, "bad"), ModelError("m", "damaged")),
        *(StoppedError(15, "stopped"), OtherRankError(1), VocabularyError(9, 5)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_process_can_send_an_error_to_another(error: TextrnnError) -> None:
    found = pickle.loads(pickle.dumps(error))
    assert (type(found), str(found), vars(found)) == (type(error), str(error), vars(error))
