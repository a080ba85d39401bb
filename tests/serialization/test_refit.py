"""What a final model takes from a run or an experiment, and its config."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from samples import read_metrics, small_config, small_multi_label_config, write_rows, write_sets
from textrnn.config import Override
from textrnn.errors import ConfigError, ModelError
from textrnn.experiments.runs import run_experiment
from textrnn.experiments.variations import CrossValidation, SeedRuns
from textrnn.models.cascade import Cascade
from textrnn.serialization.model_file import load_model, save_model
from textrnn.serialization.refit import Refit, make_refit_config
from textrnn.training.model_setup import resolve_precision
from textrnn.training.train import train

RUN, OUT = Path("run"), Path("out")


def test_a_run_gives_the_place_of_its_best_epoch_and_its_calibration(rows: Path) -> None:
    train(small_config(rows), RUN)
    records = read_metrics(RUN)
    for record in records:
        record["best"] = record["epoch"] <= 3
    (RUN / "metrics.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    model, refit = load_model(RUN), Refit.read(RUN, out=OUT)
    assert refit.progress == 3 / 4
    assert (refit.temperature, refit.ngram_share) == pytest.approx((model.temperature, model.ngram_share))
    assert refit.ngram_scale == pytest.approx(model.ngram_scale)
    assert refit.thresholds is None
    assert refit.cascade is not None
    assert (refit.cascade.margins, refit.cascade.agreements) == (model.cascade.margins, model.cascade.agreements)
    assert Refit.restore(json.loads(json.dumps(asdict(refit)))) == refit


@pytest.mark.usefixtures("rows")
def test_an_experiment_gives_the_largest_margin() -> None:
    run_experiment(CrossValidation(small_config("rows.tsv", train__epochs=1), 2), RUN)
    folders = [RUN / "fold-1", RUN / "fold-2"]
    for folder, margin in zip(folders, (1.0, 2.0), strict=True):
        path = folder / "model.safetensors"
        save_model(path, replace(load_model(path), cascade=Cascade(1.0, (margin,), (0.9,))))
    assert Refit.read(RUN, out=OUT).cascade == Cascade(1.0, (2.0,), (0.9,))
    save_model(path, replace(load_model(path), cascade=None))
    assert Refit.read(RUN, out=OUT).cascade is None


def test_steps_that_max_steps_cuts_count_as_the_whole_schedule(rows: Path) -> None:
    for steps, epochs in ((5, 1), (12, 2)):
        train(small_config(rows, train__max_steps=steps), RUN, overwrite=True)
        records = read_metrics(RUN)
        assert [record["epoch"] for record in records] == list(range(1, epochs + 1))
        best = next(record for record in reversed(records) if record["best"])
        assert Refit.read(RUN, out=OUT).progress == best["step"] / steps


@pytest.mark.usefixtures("rows")
def test_an_experiment_gives_means() -> None:
    write_sets(Path("sets.tsv"))
    run_experiment(CrossValidation(small_multi_label_config("sets.tsv", train__epochs=2), 3), RUN)
    models = [load_model(RUN / f"fold-{fold}") for fold in (1, 2, 3)]
    refit = Refit.read(RUN, out=OUT)
    assert refit.temperature == pytest.approx(np.exp(np.mean([np.log(model.temperature) for model in models])))
    assert refit.ngram_share == pytest.approx(np.mean([model.ngram_share for model in models]))
    thresholds = np.mean([model.thresholds for model in models], axis=0)
    assert refit.list_thresholds((*models[0].labels, "new")) == pytest.approx((*thresholds, 0.5))


def test_all_texts_of_a_run_are_one_training_set(rows: Path) -> None:
    write_rows(Path("valid.tsv"))
    train(small_config(rows, data__valid="valid.tsv", train__epochs=1), RUN)
    config = make_refit_config(RUN, [Override("train.seed", 7, "--seed 7")])
    assert (config.data.train, config.data.valid, config.data.valid_share) == (["rows.tsv", "valid.tsv"], None, 0)
    assert (config.train.seed, config.train.refit, config.train.batch_size) == (7, "run", 4)


def test_the_config_of_an_experiment_has_no_fold(rows: Path) -> None:
    config = small_config(rows, train__epochs=1, train__seed=5)
    for experiment in (CrossValidation(config, 2), SeedRuns(config, 2)):
        run_experiment(experiment, RUN, overwrite=True)
        resolved = make_refit_config(RUN, []).model_dump()
        assert resolved["data"]["fold"] is None
        assert resolved["train"] == resolve_precision(config).model_dump()["train"] | {"refit": "run"}


def test_what_cannot_be_refitted_is_refused(rows: Path) -> None:
    train(small_config(rows, train__epochs=1), RUN)

    def find_fault(run: Path = RUN) -> str:
        with pytest.raises(ModelError) as error:
            Refit.read(run, out=OUT)
        return str(error.value)

    with pytest.raises(ConfigError, match="--out run/final"):
        Refit.read(RUN, out=RUN / "final")
    assert find_fault(Path("gone")).startswith("gone: ")
    train(make_refit_config(RUN, []), Path("final"))
    assert "name the run that it comes from: run" in find_fault(Path("final"))
    shutil.copytree(RUN, "unfinished")
    Path("unfinished/checkpoint.safetensors").touch()
    assert "textrnn train --resume unfinished" in find_fault(Path("unfinished"))
    Path("alone").mkdir()
    shutil.copy(RUN / "model.safetensors", "alone")
    assert "contains no metrics.jsonl" in find_fault(Path("alone"))
    for content in ("", "{}\n", "[1]\n", '{"best": true, "step": 0}\n', '{"best": true, "step": "x"}\n'):
        (RUN / "metrics.jsonl").write_text(content)
        assert "metrics.jsonl" in find_fault()


def test_an_unfinished_or_damaged_experiment_is_refused(rows: Path) -> None:
    run_experiment(SeedRuns(small_config(rows, train__epochs=1), 1), RUN)
    (RUN / "summary.json").write_text("{}")
    with pytest.raises(ModelError, match=r"summary\.json: damaged"):
        make_refit_config(RUN, [])
    (RUN / "summary.json").unlink()
    with pytest.raises(ModelError, match="textrnn train --resume run"):
        make_refit_config(RUN, [])


def test_a_model_without_the_scale_of_its_ngrams_is_refused(rows: Path) -> None:
    train(small_config(rows, train__epochs=1), RUN)
    model = load_model(RUN)
    save_model(RUN / "model.safetensors", replace(model, ngram_share=0.5, ngram_scale=None))
    with pytest.raises(ModelError, match="earlier version"):
        Refit.read(RUN, out=OUT)
