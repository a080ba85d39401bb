"""Which rows of a training file are trained on, and which are held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samples import make_config
from textrnn.data.cache import Cache
from textrnn.data.reading.source import LabelledFile
from textrnn.errors import DataError
from textrnn.preparation.label_encoder import make_label_encoder
from textrnn.preparation.row_division import RowDivision, divide_rows, draw_part

ROWS = [f"{'ab'[n % 2]}\ttext {n}" for n in range(40)]


def divide(folder: Path, lines: list[str], *, has_valid: bool = False, known: Any = (), **values: Any) -> RowDivision:
    path = folder / "rows.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    replayed = values.pop("replayed", 0)
    config = make_config(data__train=str(path), **values)
    marks = np.isin(np.arange(len(lines)), known)
    with LabelledFile(str(path), config.data, Cache(folder)) as file:
        encoder = make_label_encoder(file, config.data)
        division = divide_rows(file, encoder, config, has_valid=has_valid, known=marks, replayed=replayed)
        if config.data.train_share == 1:
            return division
        part = draw_part(file, encoder, division, config=config)
        return RowDivision(part, division.held, division.new, division.count, division.note)


def test_known_texts_are_validated_and_never_trained_on(tmp_path: Path) -> None:
    division = divide(tmp_path, ROWS, known=(3, 30), replayed=20)
    assert division.held is not None
    assert division.kept is not None
    assert set(division.held) == {*division.new, 3, 30}
    assert len(division.new) == 2
    assert max(division.new) < 20
    assert len(division.kept) == 36
    assert division.note == "no validation set given: 2 of 20 texts held out (seed 42), and 2 old texts"
    given = divide(tmp_path, ROWS, known=(3, 30), replayed=20, has_valid=True)
    assert (given.held, len(given.kept if given.kept is not None else ())) == (None, 38)
    assert given.note == "2 texts of the validation set of train.init left out of training"


def test_a_fold_holds_out_new_texts_alone(tmp_path: Path) -> None:
    folds = [divide(tmp_path, ROWS, known=(3, 30), replayed=20, data__fold=f"{n}/3") for n in (1, 2, 3)]
    assert sorted(np.concatenate([fold.held for fold in folds])) == [n for n in range(20) if n != 3]
    assert all(not {3, 30} & {*fold.kept} for fold in folds)


def test_replayed_texts_are_held_out_if_none_of_them_is_known(tmp_path: Path) -> None:
    division = divide(tmp_path, ROWS, replayed=20)
    assert (len(division.held), len(division.new), len(division.kept)) == (4, 2, 36)


def test_equal_texts_of_both_months_are_on_one_side(tmp_path: Path) -> None:
    lines = ROWS[:20] + [line.upper().replace("A\t", "a\t").replace("B\t", "b\t") for line in ROWS[:20]]
    division = divide(tmp_path, lines, replayed=20)
    texts = [lines[row].split("\t")[1].lower() for row in range(40)]
    assert not {texts[row] for row in division.held} & {texts[row] for row in division.kept}


def test_a_part_of_the_new_texts_is_drawn(tmp_path: Path) -> None:
    division = divide(tmp_path, ROWS, replayed=20, known=(30,), data__train_share=0.5)
    assert division.kept is not None
    assert (division.kept < 20).sum() == 10
    assert (division.kept >= 20).sum() == 19


def test_a_final_model_is_trained_on_all(tmp_path: Path) -> None:
    division = divide(tmp_path, ROWS, known=(3,), replayed=5, train__refit="runs/x", data__valid_share=0.0)
    assert (division.kept, len(division.held), len(division.new)) == (None, 0, 0)


def test_text_must_be_left(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text is left to train on"):
        divide(tmp_path, ROWS, known=range(40))
    with pytest.raises(DataError, match=r"no text is left to train on: all are validation texts of train\.init"):
        divide(tmp_path, ROWS, known=range(40), has_valid=True)
