"""Cross-validated predictions."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from samples import make_config, small_config
from textrnn.data.reading.examples import read_examples
from textrnn.errors import DataError
from textrnn.experiments.held_out import fit_held_out
from textrnn.experiments.out_of_fold import read_out_of_fold
from textrnn.experiments.runs import run_experiment
from textrnn.experiments.variations import CrossValidation
from textrnn.inference.engine import Engine
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Reporter

tiny_config = partial(small_config, "rows.tsv", model__hidden=4, model__embedding=8, train__epochs=1)


def test_each_text_has_the_probabilities_of_the_model_that_did_not_see_it(rows: Path) -> None:
    experiment = CrossValidation(tiny_config(), 2)
    run_experiment(experiment, Path("out"))
    found = read_out_of_fold(Path("out"))
    assert [source.example for source in found.texts] == read_examples("rows.tsv", tiny_config().data)
    for name, config in experiment.variations.items():
        held = load_dataset(config, Reporter()).valid.rows
        assert held is not None
        assert len(held) == 20
        texts = [found.texts[row].example.text for row in held]
        expected = np.exp(Engine.load(Path("out", name)).predict_log_probabilities(texts))
        assert found.probabilities[held] == pytest.approx(expected, abs=1e-5)


def test_the_ngrams_alone_find_the_labels_of_several_files(rows: Path) -> None:
    lines = rows.read_text().splitlines(keepends=True)
    Path("a.tsv").write_text("".join(lines[:15]))
    Path("b.tsv").write_text("\n" + "".join(lines[15:]) + "water\tthe only text of its label\n")
    found = fit_held_out(CrossValidation(make_config(data__train=["a.tsv", "b.tsv"]), 4), reporter=Reporter())
    assert [(source.file, source.example.line_number) for source in found.texts][14:17] == [
        ("a.tsv", 15),
        ("b.tsv", 2),
        ("b.tsv", 3),
    ]
    assert len(found) == 40  # the only text of a label is always trained on
    assert found.labels == ("coffee", "tea", "water")
    assert (found.probabilities.argmax(axis=1) == found.true).all()
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(40))


def test_too_many_folds_are_refused(rows: Path) -> None:
    with pytest.raises(DataError, match="use fewer folds"):
        fit_held_out(CrossValidation(make_config(data__train="rows.tsv"), 41), reporter=Reporter())
