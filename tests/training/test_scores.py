"""Scores as the target: the anchors, what is learned, and faults."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import textrnn
from samples import Recorder, make_config
from textrnn.config import Config
from textrnn.errors import ConfigError, DataError
from textrnn.experiments.results import format_score
from textrnn.experiments.runs import run_experiment
from textrnn.experiments.variations import CrossValidation, LearningCurve, vary
from textrnn.inference.engine import Engine
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Reporter
from textrnn.training.train import train

WORDS = {"awful": 1.0, "weak": 2.5, "fair": 3.0, "good": 4.0, "great": 5.0}


def write(path: Path, scores: dict[str, float] | None = None) -> str:
    rows = [f"{score}\tthe film was {word} {n}\n" for n in range(30) for word, score in (scores or WORDS).items()]
    path.write_text("".join(rows), encoding="utf-8")
    return str(path)


def make_score_config(path: str, **values: object) -> Config:
    return make_config(
        data__target="score",
        data__train=path,
        model__hidden=8,
        model__embedding=8,
        tokenizer__vocab_size=60,
        train__batch_size=8,
        train__epochs=12,
        train__lr=0.02,
        train__report=False,
        **values,
    )


def test_scores_are_learned(tmp_path: Path) -> None:
    recorder = Recorder()
    outcome = train(make_score_config(write(tmp_path / "rows.tsv")), tmp_path / "run", reporter=recorder)
    engine = Engine.load(outcome.folder)
    assert engine.labels == ("-0.5", "1", "2.5", "3", "4", "5", "6")  # one more on each side
    found = engine.predict_scores(["the film was awful 3", "the film was good 7", "the film was great 2"])
    assert found == pytest.approx([1, 4, 5], abs=0.5)
    assert outcome.best.mae is not None
    assert outcome.best.mae < 0.3
    assert "scores from 1 to 5, on average 3.1" in "".join(recorder.notes)


def test_many_scores_have_quantiles_as_anchors(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    scores = {f"w{n}": float(score) for n, score in enumerate(rng.exponential(10, 40))}
    dataset = load_dataset(make_score_config(write(tmp_path / "rows.tsv", scores)), Reporter())
    assert dataset.anchors is not None
    assert len(dataset.anchors) == 21 + 2
    assert (dataset.anchors[1], dataset.anchors[-2]) == pytest.approx((min(scores.values()), max(scores.values())))
    assert (np.diff(dataset.anchors) > 0).all()


def test_errors_are_those_of_the_true_scores(tmp_path: Path) -> None:
    valid = write(tmp_path / "valid.tsv", {"awful": -99.0})  # beyond all anchors
    config = vary(make_score_config(write(tmp_path / "rows.tsv"), data__valid=valid), {"train.epochs": 2})
    best = train(config, tmp_path / "run", reporter=Recorder()).best
    assert best.mae is not None
    assert best.mae > 99


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("1\ta\n2\tb\nx\tc\n", r":3: 'label' should be a number, not 'x'"),
        ("1\ta\n1\tb\n", "every text has the score 1"),
    ],
)
def test_bad_scores_are_refused(tmp_path: Path, rows: str, reason: str) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text(rows, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        load_dataset(make_score_config(str(path)), Reporter())
    assert reason.lstrip(":") in str(caught.value)


@pytest.mark.parametrize(
    "key",
    ["data.multi_label=true", "train.class_weights=balanced", "train.metric=accuracy", "data.label_columns=[a,b]"],
)
def test_keys_for_labels_are_refused(key: str) -> None:
    name, _, value = key.partition("=")
    with pytest.raises(ConfigError, match=f"{name}: is for labels, but data.target is score"):
        make_config(
            **{"data__target": "score", name.replace(".", "__"): {"true": True, "[a,b]": ["a", "b"]}.get(value, value)}
        )


def test_experiments_are_compared_by_the_error(tmp_path: Path) -> None:
    config = make_score_config(write(tmp_path / "rows.tsv"), data__test=write(tmp_path / "test.tsv"))
    config = vary(config, {"train.epochs": 2})
    summary = run_experiment(CrossValidation(vary(config, {"data.fold": "1/2"}), 2), tmp_path / "folds")
    assert [*summary.valid] == ["loss", "mae", "rmse"]
    assert summary.test is not None
    assert [*summary.test] == ["mae", "rmse"]
    with pytest.raises(ConfigError, match="curve of accuracy"):
        run_experiment(LearningCurve(config, 15), tmp_path / "curve")
    shown = format_score("mae", summary.valid["mae"].mean, summary.valid["mae"].deviation)
    assert re.fullmatch(r"MAE \d\.\d{4} ± \d\.\d{4}", shown)


def test_numbers_in_memory_are_learned() -> None:
    texts = [f"{word} {n}" for n in range(40) for word in ("good", "bad")]
    scores = [np.float32(4.5) if text.startswith("good") else -1 for text in texts]
    small = {"model__hidden": 8, "model__embedding": 8, "tokenizer__vocab_size": 40, "train__epochs": 2}
    model = textrnn.train(texts, scores, data__target="score", **small)
    assert model.predict_scores(["good 3", "bad 4"]) == pytest.approx([4.5, -1], abs=1.5)
    with pytest.raises(ValueError, match=r"'labels\[0\]' should be a number"):
        textrnn.train(texts, ["x"] * len(texts), data__target="score", **small)
