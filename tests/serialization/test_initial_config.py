"""Settings that training takes from the model that it continues from."""

from __future__ import annotations

from pathlib import Path

import pytest

from samples import MULTI_LABEL, make_config, make_model
from textrnn.errors import ConfigError, ModelError
from textrnn.serialization.initial_config import check_init_folder, inherit_settings
from textrnn.serialization.model_file import MODEL_NAME, save_model
from textrnn.tokenization.tokenizer import Tokenizer


@pytest.fixture
def run(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    """Return the folder of a multi-label model that reads windows."""
    config = make_config(**MULTI_LABEL, data__long_texts="windows", data__max_length=64, model__hidden=8)
    model = make_model(tokenizer, config)
    folder = tmp_path / "runs" / "old"
    folder.mkdir(parents=True)
    save_model(folder / MODEL_NAME, type(model)(**{**vars(model), "thresholds": (0.4, 0.5, 0.6)}))
    return folder


def test_without_an_initial_model_nothing_changes() -> None:
    config = make_config(train__lr=0.1)
    assert inherit_settings(config) is config


def test_what_the_user_did_not_set_is_taken_from_the_model(run: Path) -> None:
    filled = inherit_settings(make_config(train__init=str(run)))
    assert (filled.data.multi_label, filled.data.label_separator) == (True, "|")
    assert (filled.data.long_texts, filled.data.max_length, filled.model.hidden) == ("windows", 64, 8)
    assert filled.train.metric == "micro_f1"  # the default of multi-label data
    assert inherit_settings(filled) == filled


def test_what_the_user_set_stays(run: Path) -> None:
    values = {"data__max_length": 32, "train__distill_share": 0.2, "data__replay": "old.tsv"}
    filled = inherit_settings(make_config(train__init=str(run), **values))
    assert (filled.data.max_length, filled.train.distill_share) == (32, 0.2)


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        (
            "data__multi_label",
            False,
            "data.multi_label: is false, but that of train.init ({run}) is true; leave it out",
        ),
        ("data__target", "score", "data.target: is 'score', but that of train.init ({run}) is 'label'; leave it out"),
        ("model__cell", "gru", "model.cell: is 'gru', but that of train.init ({run}) is 'sru'; leave it out"),
    ],
)
def test_what_the_model_decides_cannot_be_another(run: Path, key: str, value: object, fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        inherit_settings(make_config(train__init=str(run), **{key: value}))
    assert error.value.faults == [fault.format(run=run)]


def test_keys_of_old_knowledge_need_a_model_with_labels() -> None:
    with pytest.raises(ConfigError, match=r"data\.replay: needs train\.init"):
        make_config(data__replay="old.tsv")


def test_the_pointer_becomes_the_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent.parent)
    with pytest.raises(ModelError, match="runs/latest"):
        inherit_settings(make_config(train__init="runs/latest"))
    Path("runs/latest").write_text("runs/old\n")
    assert inherit_settings(make_config(train__init="runs/latest")).train.init == "runs/old"


def test_the_run_is_not_written_over(run: Path) -> None:
    config = make_config(train__init=str(run))
    for out in (run, run / "..", run.parent):  # an experiment holds its runs
        with pytest.raises(ConfigError, match=r"holds the model of train\.init"):
            check_init_folder(config, out)
    with pytest.raises(ConfigError, match=r"holds the model of train\.init"):
        check_init_folder(make_config(train__init=str(run / MODEL_NAME)), run)
    check_init_folder(config, run.parent / "new")
    check_init_folder(config, run / "new")  # as beside a model file in the current folder
