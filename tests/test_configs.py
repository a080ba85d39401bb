"""Every YAML file in configs/ is a valid config, starts with its command, and trains."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from command import Run
from samples import write_sets
from textrnn.config import Config, load_config

FOLDER = Path(__file__).resolve().parent.parent / "configs"
SPACE = FOLDER / "space.yaml"
CHECK = FOLDER / "data-check.yaml"
CONFIGS = sorted(set(FOLDER.rglob("*.yaml")) - {SPACE, CHECK})
SETS = ("trec", "sst2", "mr", "subj", "chatbot_ko")
OTHERS = ("trec-vectors.yaml", "several-labels.yaml")
TINY = ("model.hidden=4", "train.epochs=1", "train.batch_size=256", "model.embedding=8")
FEWER = {"--kfold": "2", "--seeds": "2", "--trials": "1"}


def test_each_data_set_and_cell_has_a_config() -> None:
    names = {path.name for path in CONFIGS if path.parent == FOLDER}
    assert {f"{name}-{cell}.yaml" for name in SETS for cell in ("sru", "gru")} | {"starter.yaml", *OTHERS} == names


def test_data_check_config_starts_with_its_command(invoke: Run) -> None:
    first = CHECK.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# textrnn data check --config configs/data-check.yaml"
    assert invoke("data", "check", "--config", CHECK).returncode == 0


def test_starter_has_every_key_with_its_default() -> None:
    starter = FOLDER / "starter.yaml"
    assert load_config(starter) == Config()
    text = starter.read_text(encoding="utf-8")
    for section, values in Config().model_dump().items():
        body = text.split(f"\n{section}:\n")[1].split("\n\n")[0]
        assert [line.split(":")[0].strip() for line in body.splitlines()] == list(values)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_config_starts_with_its_command_and_trains(path: Path, invoke: Run, tmp_path: Path) -> None:
    words = read_command(path)
    name = "textrnn.yaml" if path.name == "starter.yaml" else f"configs/{path.relative_to(FOLDER).as_posix()}"
    assert words[1] == name
    config = load_config(path)
    folder = os.environ.get("TEXTRNN_TEST_DATA")
    if config.data.multi_label:
        rows = write_sets(tmp_path / "rows.tsv")
        data = [f"data.{part}={rows}" for part in ("train", "valid", "test")]
    elif folder and config.data.train != "demo":
        parts = {part: getattr(config.data, part).removeprefix("data/") for part in ("train", "valid", "test")}
        data = [f"data.{part}={write_sample(Path(folder) / name, tmp_path)}" for part, name in parts.items()]
    else:
        data = ["data.train=demo", "data.valid=null", "data.test=null"]
    if config.embedding.vectors is not None:
        (tmp_path / "words.txt").write_text("the 0.5 1\n. 1 0.25\n", encoding="utf-8")
        data.append("embedding.vectors=words.txt")
    run_smaller(words, path, data, invoke)


def test_search_space_starts_with_its_command_and_is_searched(invoke: Run) -> None:
    words = read_command(SPACE)
    assert words[1:] == ["configs/starter.yaml", "--trials", "20", "--space", "configs/space.yaml"]
    run_smaller(
        [str(SPACE) if word == "configs/space.yaml" else word for word in words], FOLDER / "starter.yaml", [], invoke
    )


def write_sample(source: Path, folder: Path) -> Path:
    """Write about 500 lines from all parts of ``source`` to a file of its name, and return it."""
    lines = source.read_bytes().splitlines(keepends=True)
    (folder / source.name).write_bytes(b"".join(lines[:: max(1, len(lines) // 500)]))
    return folder / source.name


def read_command(path: Path) -> list[str]:
    """Return the words after ``# textrnn`` in the first line."""
    words = shlex.split(path.read_text(encoding="utf-8").splitlines()[0])
    assert words[:2] == ["#", "textrnn"]
    assert words[2] in ("train", "tune")
    return words[2:]


def run_smaller(words: list[str], path: Path, settings: list[str], invoke: Run) -> None:
    """Run the command with the config at ``path``, other settings, a tiny network and fewer runs."""
    if words[0] == "tune":
        pytest.importorskip("optuna", reason="the extra tune is not installed")
    rest = [FEWER.get(flag, word) for flag, word in zip(words[1:], words[2:], strict=False)]
    tiny = TINY[1:] if words[0] == "tune" else TINY  # the search space varies the hidden size
    more = [part for setting in (*settings, *tiny) for part in ("--set", setting)]
    done = invoke(words[0], path, *rest, *more)
    assert done.returncode == 0, done.stderr.decode()
    if words[0] == "train":
        assert f"{load_config(path).model.cell.upper()} layer" in done.stderr.decode()
