"""The run folder: its files, earlier runs, and other files that must not be touched."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import torch

from samples import make_config, make_model, make_record
from textrnn.config import load_config
from textrnn.errors import ConfigError, ModelError
from textrnn.serialization.checkpoint import Checkpoint
from textrnn.serialization.latest_run import CHECKPOINT_NAME
from textrnn.serialization.model_file import SavedModel, load_model
from textrnn.serialization.run_folder import RunFolder, default_folder, find_checkpoint, keep_rows, making_rows
from textrnn.tokenization.tokenizer import Tokenizer

CONFIG = make_config(model__hidden=4, model__embedding=6)


@pytest.fixture
def model(tokenizer: Tokenizer) -> SavedModel:
    return make_model(tokenizer, CONFIG)


@pytest.mark.parametrize(
    ("train", "name"),
    [
        ("demo", "runs/demo-sru"),
        ("data/trec/train.tsv", "runs/trec-sru"),
        ("reviews.tsv.gz", "runs/reviews-sru"),
        ("-", "runs/stdin-sru"),
    ],
)
def test_the_default_folder_is_named_after_the_data(train: str, name: str) -> None:
    assert default_folder(make_config(data__train=train)) == Path(name)


def test_nothing_is_written_before_the_first_model(tmp_path: Path, model: SavedModel) -> None:
    run = RunFolder(tmp_path / "run", command="textrnn train 'a b'")
    assert list(tmp_path.iterdir()) == []
    assert run.claim(CONFIG) is None
    run.write(make_record(1), model)
    assert load_config(run.path / "config.yaml") == CONFIG
    assert (run.path / "command.txt").read_text() == "textrnn train 'a b'\n"
    assert run.claim(CONFIG) is None
    run.write(make_record(2), None)
    assert len((run.path / "metrics.jsonl").read_text().splitlines()) == 2
    assert load_model(run.path).config == CONFIG


@pytest.mark.parametrize("name", ["thesis.txt", "train.tsv", ".git"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_other_files_is_refused(name: str, overwrite: bool, tmp_path: Path, model: SavedModel) -> None:
    (tmp_path / "config.yaml").write_text("mine")
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match=f"contains {name}, which is not part of a run"):
        RunFolder(tmp_path, overwrite=overwrite)


def test_the_current_folder_can_be_the_run(tmp_path: Path, model: SavedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for kept in (None, tmp_path / "here.1"):
        run = RunFolder(Path())
        assert run.claim(CONFIG) == kept
        run.write(make_record(1), model)
    assert load_model(tmp_path / "here.1").labels == load_model(Path()).labels


def test_earlier_runs_are_numbered(tmp_path: Path, model: SavedModel) -> None:
    for number in range(3):
        run = RunFolder(tmp_path / "run", command=str(number))
        run.claim(CONFIG)
        run.write(make_record(1), model)
    assert (tmp_path / "run" / "command.txt").read_text() == "2\n"
    assert (tmp_path / "run.1" / "command.txt").read_text() == "0\n"
    assert (tmp_path / "run.2" / "command.txt").read_text() == "1\n"


def test_the_first_of_two_runs_in_one_folder_stops(tmp_path: Path, model: SavedModel) -> None:
    first = RunFolder(tmp_path / "run", command="first")
    second = RunFolder(tmp_path / "run", command="second")
    first.claim(CONFIG)
    first.write(make_record(1), model)
    assert second.claim(CONFIG) == tmp_path / "run.1"
    second.write(make_record(1), model)
    with pytest.raises(ConfigError, match="another run"):
        first.claim(CONFIG)
    assert (tmp_path / "run.1" / "command.txt").read_text() == "first\n"
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1


def test_an_interrupted_run_continues_after_its_checkpoint(tmp_path: Path, model: SavedModel) -> None:
    run = RunFolder(tmp_path / "run", command="first")
    run.claim(CONFIG)
    run.write_checkpoint(Checkpoint({"a": torch.ones(2)}, {"n": 1}))
    for epoch in (1, 2):
        run.write(make_record(epoch), model)  # the checkpoint is from before the second
    (run.path / ".model.safetensors.x1.tmp").write_bytes(b"cut short")
    checkpoint = find_checkpoint(run.path)
    assert (checkpoint.state, checkpoint.tensors["a"].tolist()) == ({"n": 1}, [1, 1])
    again = RunFolder(run.path, resumes=[make_record(1)])
    assert len((run.path / "metrics.jsonl").read_text().splitlines()) == 2  # unchanged so far
    again.reopen(CONFIG)
    assert len((run.path / "metrics.jsonl").read_text().splitlines()) == 1
    assert again.claim(CONFIG) is None
    assert not list(run.path.glob(".*.tmp"))
    again.remove_checkpoint()
    with pytest.raises(ModelError, match="the run is finished"):
        find_checkpoint(run.path)
    with pytest.raises(ModelError, match=f"contains no {CHECKPOINT_NAME}"):
        find_checkpoint(tmp_path)
    with pytest.raises(ModelError, match="no such folder"):
        find_checkpoint(tmp_path / "nowhere")


def test_temporary_files_of_a_killed_process_are_ignored(tmp_path: Path, model: SavedModel) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".checkpoint.safetensors.abc.tmp").write_bytes(b"cut short")
    run = RunFolder(tmp_path / "run")
    assert run.claim(CONFIG) is None  # there is no earlier run


def test_rows_that_were_made_for_a_run_stay_and_those_of_an_earlier_one_move(tmp_path: Path, model: SavedModel) -> None:
    with making_rows(tmp_path / "run") as made:
        (made / "train.jsonl").write_text("{}\n")
        rows = keep_rows(made) / "train.jsonl"
    own = make_config(data__train=str(rows.parent.parent / "." / rows.parent.name / rows.name))
    run = RunFolder(tmp_path / "run")
    assert run.claim(own) is None
    run.write(make_record(), model)
    assert rows.exists()
    assert RunFolder(tmp_path / "run").claim(own) == tmp_path / "run.1"
    assert rows.exists()
    assert RunFolder(tmp_path / "run").claim(CONFIG) == tmp_path / "run.2"
    assert not rows.exists()
    assert (tmp_path / "run.2" / rows.parent.name / "train.jsonl").exists()


def test_overwriting_a_run_deletes_its_rows_and_no_folder_of_another_name(tmp_path: Path, model: SavedModel) -> None:
    with making_rows(tmp_path / "run") as made:
        (made / "train.jsonl").write_text("{}\n")
        rows = keep_rows(made)
    RunFolder(tmp_path / "run", overwrite=True).claim(CONFIG)
    assert not rows.exists()
    (tmp_path / "run" / "rows").mkdir()
    with pytest.raises(ConfigError, match="contains rows, which is not part of a run"):
        RunFolder(tmp_path / "run", overwrite=True)


def test_rows_that_fail_leave_nothing(tmp_path: Path) -> None:
    with suppress(ValueError), making_rows(tmp_path / "run") as made:
        (made / "train.jsonl").write_text("{}\n")
        raise ValueError("no rows")
    assert not (tmp_path / "run").exists()
