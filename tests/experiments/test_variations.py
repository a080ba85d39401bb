"""The configs of the runs of a study."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from samples import make_config, write_rows
from textrnn.config import Config, load_config
from textrnn.errors import ConfigError
from textrnn.experiments.variations import Study, vary


def test_folds_and_seeds_are_values_of_the_config() -> None:
    config = make_config(data__train="a/train.tsv", train__seed=7)
    folds = Study("fold", 3, config)
    assert {name: run.data.fold for name, run in folds.variations.items()} == {
        "fold-1": "1/3",
        "fold-2": "2/3",
        "fold-3": "3/3",
    }
    assert {run.train.seed for run in folds.variations.values()} == {7}
    seeds = Study("seed", 2, config)
    assert {name: run.train.seed for name, run in seeds.variations.items()} == {"seed-7": 7, "seed-8": 8}
    assert (folds.title, folds.default_folder()) == ("3 folds", Path("runs/a-sru-3-folds"))
    assert seeds.default_folder() == Path("runs/a-sru-2-seeds")


def test_varying_changes_what_is_named_alone() -> None:
    config = make_config(model__hidden=4)
    found = vary(config, {"model.layers": 3, "train.lr": 0.5})
    assert (found.model.layers, found.train.lr, found.model.hidden) == (3, 0.5, 4)
    assert vary(found, {"model.layers": 2, "train.lr": config.train.lr}) == config != found


@pytest.mark.parametrize("kind", ["fold", "seed"])
def test_pipes_and_several_processes_are_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(**values: object) -> None:
        Study(kind, 2, make_config(**values)).check()  # type: ignore[arg-type]

    check()
    check(data__train=str(write_rows(tmp_path / "rows.tsv")), data__valid="gone.tsv")
    with pytest.raises(ConfigError, match=r"s?(kfold|seeds) 2: - is a pipe, and each run reads it anew"):
        check(data__train="-")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ConfigError, match="pipe is a pipe"):
            check(data__train=str(tmp_path / "rows.tsv"), data__valid=str(tmp_path / "pipe"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="trains in one process; leave torchrun out"):
        check()


def test_seeds_end_where_seeds_do() -> None:
    last = load_config().train.model_copy(update={"seed": 2**32 - 2})
    Study("seed", 2, Config(train=last)).check()
    with pytest.raises(ConfigError, match="--seeds 3: the last seed would be above 4294967295"):
        Study("seed", 3, Config(train=last)).check()
