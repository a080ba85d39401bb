"""Calibration from the command line: train fits a temperature, predict uses it, evaluate tells with and without."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from command import Run, run_command, small
from samples import write_rows
from textrnn.serialization.model_file import load_model, save_model


def mislabel(path: Path, *, seed: int) -> None:
    """Give a fifth of the texts the other label."""
    rng = random.Random(seed)
    other = {"tea": "coffee", "coffee": "tea"}
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    path.write_text("".join(f"{other[a] if rng.random() < 0.2 else a}\t{text}\n" for a, text in rows))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model in runs/plain that learned 40 texts by heart, a fifth of them with a wrong label."""
    folder = tmp_path_factory.mktemp("calibration")
    for seed, (name, rows) in enumerate({"rows": 40, "valid": 400, "test": 400}.items()):
        mislabel(write_rows(folder / f"{name}.tsv", rows), seed=seed)
    done = run_command(
        *("train", "--train", "rows.tsv", "--valid", "valid.tsv", "--out", "runs/plain"),
        *(*small(epochs=20, lr=0.03), "--set", "train.patience=20"),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr.decode()
    return folder


def test_evaluate_prints_both_errors(folder: Path, invoke: Run) -> None:
    model = load_model(folder / "runs" / "plain")
    assert model.temperature != 1.0
    for name in ("valid.tsv", "test.tsv"):
        found = json.loads(invoke("evaluate", "-m", folder / "runs/plain", folder / name, "--json").stdout)
        assert found["temperature"] == model.temperature
        assert found["loss"] < found["loss_uncalibrated"]
        assert found["calibration_error"] < found["calibration_error_uncalibrated"]


def test_predict_prints_calibrated_probabilities(folder: Path, invoke: Run, tmp_path: Path) -> None:
    model = load_model(folder / "runs" / "plain")
    save_model(tmp_path / "uncalibrated.safetensors", replace(model, temperature=1.0))
    save_model(tmp_path / "other.safetensors", replace(model, temperature=2 * model.temperature))
    line = b"green tea with lemon please 0\n"
    odds = []
    for path in (folder / "runs/plain", "other.safetensors"):
        _, likely, _, other = invoke("predict", "-m", path, "--top-k", 2, stdin=line).stdout.split()
        odds.append(float(likely) / float(other))
    assert odds[0] > 1.1
    assert odds[0] == pytest.approx(odds[1] ** 2, rel=1e-3)  # logits are log odds
    found = json.loads(invoke("evaluate", "-m", "uncalibrated.safetensors", folder / "test.tsv", "--json").stdout)
    assert found["calibration_error"] == found["calibration_error_uncalibrated"]


def test_a_perfect_validation_set_makes_no_probability_1(trained: Path, invoke: Run) -> None:
    assert load_model(trained / "runs" / "small").temperature > 0.05
    texts = "".join(line.split("\t")[1] + "\n" for line in (trained / "rows.tsv").read_text().splitlines()).encode()
    lines = invoke("predict", cwd=trained, stdin=texts).stdout.decode().splitlines()
    assert len(lines) == 40
    assert all(float(line.split("\t")[1]) < 1 for line in lines)
