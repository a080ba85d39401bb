"""Teachers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samples import make_config, make_model
from textrnn.distillation.teacher import Teacher
from textrnn.errors import ConfigError, ModelError
from textrnn.inference.engine import Engine
from textrnn.serialization.model_file import save_model
from textrnn.tokenization.tokenizer import Tokenizer


def save(path: Path, tokenizer: Tokenizer, labels: tuple[str, ...] = ("a", "b", "c"), **values: object) -> Path:
    save_model(path, make_model(tokenizer, make_config(model__hidden=8, **values), labels))
    return path


def test_several_models_give_the_mean_of_their_probabilities(tmp_path: Path, tokenizer: Tokenizer) -> None:
    paths = [save(tmp_path / f"{size}.safetensors", tokenizer, model__embedding=size) for size in (8, 16)]
    teacher, texts = Teacher.load(paths), ["tea", "", "black coffee"]
    each = [np.exp(Engine.load(path).predict_log_probabilities(texts)) for path in paths]
    assert teacher.predict(texts) == pytest.approx((each[0] + each[1]) / 2, abs=1e-6)
    assert teacher.predict(texts).sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert (len(teacher), teacher.labels) == (2, ("a", "b", "c"))


def test_an_experiment_gives_all_its_models(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for name in ("seed-1", "seed-2"):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "model.safetensors", tokenizer)
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(ModelError, match="not finished"):
        Teacher.load([tmp_path])
    (tmp_path / "summary.json").write_text('{"runs": {"seed-1": {}, "seed-2": {}}}')
    assert len(Teacher.load([tmp_path])) == 2


def test_other_kinds_of_models_and_other_labels_are_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    first, other = save(tmp_path / "a.safetensors", tokenizer), save(tmp_path / "b.safetensors", tokenizer, ("a", "b"))
    with pytest.raises(ModelError, match="has other labels than"):
        Teacher.load([first, other])
    scores = save(tmp_path / "s.safetensors", tokenizer, ("1", "2", "3"), data__target="score")
    with pytest.raises(ConfigError, match="the model predicts scores; a teacher needs one label"):
        Teacher.load([scores])
    labels = replace(make_model(tokenizer, make_config(data__multi_label=True)), thresholds=(0.5, 0.5, 0.5))
    save_model(tmp_path / "m.safetensors", labels)
    with pytest.raises(ConfigError, match="the model is multi-label; a teacher needs one label"):
        Teacher.load([tmp_path / "m.safetensors"])
