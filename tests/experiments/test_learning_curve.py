"""Learning curves."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from samples import Recorder, make_config, read_metrics, small_config, write_rows
from textrnn.errors import ConfigError, StoppedError
from textrnn.experiments.learning_curve import PowerLaw, fit_curve, fit_power_law
from textrnn.experiments.runs import resume_experiment, run_experiment
from textrnn.experiments.variations import LearningCurve
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Reporter

tiny_config = partial(small_config, "rows.tsv", model__hidden=4, model__embedding=8, train__epochs=1)


def test_the_law_behind_exact_errors_is_found() -> None:
    law = PowerLaw(limit=0.08, scale=2.5, rate=0.4)
    texts = [100, 200, 400, 800, 1600]
    found = fit_power_law(texts, [law.predict_error(n) for n in texts])
    assert found.predict_error(3200) == pytest.approx(law.predict_error(3200), abs=1e-4)
    assert (found.limit, found.rate) == (pytest.approx(0.08, abs=1e-3), pytest.approx(0.4, abs=1e-2))


@pytest.mark.parametrize("errors", [[0.0, 0.0, 0.0], [0.2, 0.2, 0.2], [0.1, 0.2, 0.3]])
def test_a_curve_that_does_not_fall_estimates_no_gain(errors: list[float]) -> None:
    law = fit_power_law([10, 20, 40], errors)
    assert law.predict_error(80) == pytest.approx(sum(errors) / 3, abs=0.01)


def test_points_are_means_with_deviations() -> None:
    curve = fit_curve({10: [0.5, 0.7], 20: [0.8, 0.8]})
    assert [(point.texts, point.deviation) for point in curve.points] == [(10, pytest.approx(0.2 / 2**0.5)), (20, 0)]
    assert curve.points[0].mean == pytest.approx(0.6)
    assert curve.doubled_texts == 40
    assert curve.doubled_accuracy > 0.8


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


def test_an_interrupted_curve_is_resumed_and_the_summary_compares_the_whole_set(
    rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LearningCurve, "PARTS", (4, 1))
    experiment = LearningCurve(tiny_config(), 6)
    with pytest.raises(StoppedError, match=r"^1 of 6 runs are done; resume with: textrnn train --resume out$"):
        run_experiment(experiment, Path("out"), reporter=Recorder(4))
    summary = resume_experiment(Path("out"), expected=experiment)
    assert [*summary.runs] == ["part-1-seed-42", "part-1-seed-43", "part-1-seed-44"]
    assert summary.best in summary.runs
    assert summary.curve is not None
    assert [point.texts for point in summary.curve.points] == [8, 36]
    accuracies = [read_metrics(Path("out", name))[0]["accuracy"] for name in summary.runs]
    assert summary.curve.points[-1].mean == pytest.approx(sum(accuracies) / 3)
    assert json.loads(Path("out/summary.json").read_text())["curve"]["doubled_texts"] == 72
    assert len([*Path("out").glob("part-*")]) == 6


def test_the_last_seed_must_be_valid() -> None:
    with pytest.raises(ConfigError, match="lower --seed"):
        LearningCurve(make_config(data__train="rows.tsv", train__seed=2**32 - 2), 15).check()
