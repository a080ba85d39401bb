"""The model card: metadata that the Hub accepts, and the facts of the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from command import Run


def read_metadata(card: str) -> dict[str, object]:
    _, header, _ = card.split("---\n", 2)
    return dict(yaml.safe_load(header))


def test_the_card_of_a_run(trained: Path, tmp_path: Path, invoke: Run) -> None:
    done = invoke("card", "-m", trained / "runs/small", "--license", "mit", "--language", "en", "--language", "ko")
    assert done.returncode == 0, done.stderr.decode()
    card = done.stdout.decode()
    records = [json.loads(line) for line in (trained / "runs/small/metrics.jsonl").read_text().splitlines()]
    best = [record for record in records if record["best"]][-1]
    metadata = read_metadata(card)
    assert [metadata[key] for key in ("library_name", "pipeline_tag", "license", "language")] == [
        *("textrnn", "text-classification", "mit"),
        ["en", "ko"],
    ]
    for text in ("# small\n", "Labels (2): `coffee`, `tea`", "Training set: `rows.tsv`", "## Use", "## Limits"):
        assert text in card
    assert f"| accuracy | {100 * best['accuracy']:.2f} % | - |" in card
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(card).data
    assert {result.metric_name: result.metric_value for result in data.eval_results} == {
        "accuracy": pytest.approx(best["accuracy"], abs=1e-6),
        "macro F1": pytest.approx(best["macro_f1"], abs=1e-6),
        "loss": pytest.approx(best["valid_loss"], abs=1e-6),
    }


def test_a_model_file_alone_has_no_metrics(trained: Path, tmp_path: Path, invoke: Run) -> None:
    shutil.copy(trained / "runs/small/model.safetensors", tmp_path / "drinks.safetensors")
    done = invoke("card", "-m", "drinks.safetensors", "-o", "README.md", "--title", "Drinks")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"textrnn: wrote README.md\n")
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "# Drinks\n" in card
    assert not read_metadata(card).keys() & {"license", "language", "model-index"}
    done = invoke("card", "-m", "drinks.safetensors", "-o", "drinks.safetensors")
    assert done.returncode == 2


def test_a_multi_label_model(trained_multi_label: Path, invoke: Run) -> None:
    done = invoke("card", "-m", trained_multi_label / "runs/small")
    card = done.stdout.decode()
    assert "multi-label" in str(read_metadata(card)["tags"])
    assert "a label is given from probability" in card
    assert "may get labels too" in card
