"""Every YAML in configs/ is a valid config, opens with its command, and trains."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from command import Run
from samples import write_sets
from textrnn.config import Config, load_config

FOLDER = Path(__file__).resolve().parent.parent / "configs"
CONFIGS = sorted(FOLDER.rglob("*.yaml"))
SETS = ("trec", "sst2", "mr", "subj", "chatbot_ko")
TINY = ("--hidden", "4", "--epochs", "1", "--batch-size", "256", "--set", "model.embedding=8")


def test_there_is_one_for_each_set_and_cell() -> None:
    names = {path.name for path in CONFIGS}
    others = {"starter.yaml", "several-labels.yaml"}
    assert {f"{name}-{cell}.yaml" for name in SETS for cell in ("sru", "gru")} | others == names


def test_the_starter_holds_every_key_with_its_default() -> None:
    starter = FOLDER / "starter.yaml"
    assert load_config(starter) == Config()
    text = starter.read_text(encoding="utf-8")
    for section, values in Config().model_dump().items():
        body = text.split(f"\n{section}:\n")[1].split("\n\n")[0]
        assert [line.split(":")[0].strip() for line in body.splitlines()] == list(values)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_it_opens_with_its_command_and_trains(path: Path, textrnn: Run, tmp_path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    name = "textrnn.yaml" if path.name == "starter.yaml" else f"configs/{path.name}"
    assert first == f"# textrnn train {name}"
    config = load_config(path)
    folder = os.environ.get("TEXTRNN_TEST_DATA")
    if config.data.multi_label:
        rows = write_sets(tmp_path / "rows.tsv")
        data = [f"data.{part}={rows}" for part in ("train", "valid", "test")]
    elif folder and config.data.train != "demo":
        data = [
            f"data.{part}={folder}/{getattr(config.data, part).removeprefix('data/')}"
            for part in ("train", "valid", "test")
        ]
    else:
        data = ["data.train=demo", "data.valid=null", "data.test=null"]
    settings = [part for setting in data for part in ("--set", setting)]
    done = textrnn("train", path, *settings, *TINY)
    assert done.returncode == 0, done.stderr.decode()
    assert f"layers of {config.model.cell.upper()}" in done.stderr.decode()
