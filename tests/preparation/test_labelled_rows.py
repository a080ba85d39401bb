"""The labelled rows of a run as texts."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from samples import make_config, write_rows
from textrnn.errors import DataError
from textrnn.preparation.dataset import load_dataset
from textrnn.preparation.labelled_rows import read_labelled_rows
from textrnn.reporter import Reporter


def test_the_rows_that_a_run_holds_out_are_held_out(rows: Path) -> None:
    config, notes = make_config(data__train=str(rows), train__seed=5), []
    found = read_labelled_rows(config, note=notes.append)
    held = load_dataset(config, Reporter()).valid.rows
    assert held is not None
    assert [example.line_number - 1 for example in found.valid] == held.tolist()
    both = [example.line_number - 1 for example in (*found.train, *found.valid)]
    assert sorted(both) == np.arange(40).tolist()
    assert notes == ["no validation set given: 4 of 40 texts held out (seed 5)"]


def test_a_validation_set_may_have_labels_instead_of_probabilities(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,tea,coffee\ngreen,0.75,0.25\n")
    (tmp_path / "valid.csv").write_text("label,text\ncoffee,black\n")
    names = {"data__train": str(tmp_path / "train.csv"), "data__valid": str(tmp_path / "valid.csv")}
    found = read_labelled_rows(make_config(**names, data__label_columns=["tea", "coffee"]), note=lambda _: None)
    assert found.train[0].distribution == {"tea": 0.75, "coffee": 0.25}
    assert [example.label for example in found.valid] == ["coffee"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    config = make_config(data__train=str(write_rows(tmp_path / "rows.tsv")), data__valid=str(tmp_path / "pipe"))
    with pytest.raises(DataError, match="is a pipe"):
        read_labelled_rows(config, note=lambda _: None)
