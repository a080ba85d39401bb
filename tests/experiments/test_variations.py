"""The configs of the runs of an experiment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from samples import make_config, write_rows
from textrnn.errors import ConfigError
from textrnn.experiments.variations import CrossValidation, Experiment, LearningCurve, SeedRuns, vary
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Reporter


def test_folds_and_seeds_are_values_of_the_config() -> None:
    config = make_config(data__train="a/train.tsv", train__seed=7)
    folds, seeds = CrossValidation(config, 3), SeedRuns(config, 2)
    assert [(name, run.data.fold, run.train.seed) for name, run in folds.variations.items()] == [
        ("fold-1", "1/3", 7),
        ("fold-2", "2/3", 7),
        ("fold-3", "3/3", 7),
    ]
    assert {name: run.train.seed for name, run in seeds.variations.items()} == {"seed-7": 7, "seed-8": 8}
    assert folds.default_folder() == Path("runs/a-sru-3-folds")
    assert seeds.default_folder() == Path("runs/a-sru-2-seeds")


def test_a_learning_curve_varies_the_share_of_the_training_set_and_the_seed() -> None:
    curve = LearningCurve(make_config(data__train="a/train.tsv", train__seed=7), 15)
    runs = {name: (run.data.train_share, run.train.seed) for name, run in curve.variations.items()}
    assert [*runs.values()] == [(1 / part, seed) for part in (16, 8, 4, 2, 1) for seed in (7, 8, 9)]
    assert runs["part-16-seed-8"] == (1 / 16, 8)
    assert curve.compared == ["part-1-seed-7", "part-1-seed-8", "part-1-seed-9"]
    assert curve.default_folder() == Path("runs/a-sru-learning-curve")


def test_vary_changes_only_the_given_keys() -> None:
    config = make_config(model__hidden=4)
    varied = vary(config, {"model.layers": 3, "train.lr": 0.5})
    assert (varied.model.layers, varied.train.lr, varied.model.hidden) == (3, 0.5, 4)
    assert vary(varied, {"model.layers": 2, "train.lr": config.train.lr}) == config != varied


@pytest.mark.parametrize(
    ("kind", "flag"),
    [(CrossValidation, "--kfold 2"), (SeedRuns, "--seeds 2"), (LearningCurve, "--learning-curve")],
)
def test_pipes_and_several_processes_are_refused(
    kind: type[Experiment], flag: str, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind(make_config(), 2).check()
    kind(make_config(data__train=str(rows), data__valid="gone.tsv"), 2).check()
    with pytest.raises(ConfigError, match=f"{flag}: - is a pipe"):
        kind(make_config(data__train="-"), 2).check()
    if hasattr(os, "mkfifo"):
        os.mkfifo("fifo")
        with pytest.raises(ConfigError, match="fifo is a pipe"):
            kind(make_config(data__train=str(rows), data__valid="fifo"), 2).check()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="torchrun"):
        kind(make_config(), 2).check()


def test_seeds_have_an_upper_limit() -> None:
    config = make_config(train__seed=2**32 - 2)
    SeedRuns(config, 2).check()
    with pytest.raises(ConfigError, match=r"--seeds 3: .* 4294967295"):
        SeedRuns(config, 3).check()


def test_the_last_seed_must_be_valid() -> None:
    with pytest.raises(ConfigError, match="lower --seed"):
        LearningCurve(make_config(data__train="rows.tsv", train__seed=2**32 - 2), 15).check()


def test_a_share_of_the_training_set_leaves_the_validation_set_as_it_is(rows: Path) -> None:
    write_rows(rows, 200)
    rows.write_text(rows.read_text() + "water\tthe only text of its label\n")
    whole = load_dataset(make_config(data__train="rows.tsv"), Reporter())
    part = load_dataset(make_config(data__train="rows.tsv", data__train_share=0.25), Reporter())
    assert part.valid.rows is not None
    assert whole.valid.rows is not None
    assert part.valid.rows.tolist() == whole.valid.rows.tolist()
    assert part.labels == ("coffee", "tea", "water")
    assert part.count_labels() == pytest.approx([count / 4 for count in whole.count_labels()[:2]] + [1], abs=1)
    assert set(part.train.rows.tolist()) <= set(whole.train.rows.tolist())
    again = load_dataset(make_config(data__train="rows.tsv", data__train_share=0.25), Reporter())
    assert again.train.rows.tolist() == part.train.rows.tolist()
    Path("valid.tsv").write_text(rows.read_text())
    config = make_config(data__train="rows.tsv", data__valid="valid.tsv", data__train_share=0.5)
    given = load_dataset(config, Reporter())
    assert (len(given.train), len(given.valid)) == (101, 201)
