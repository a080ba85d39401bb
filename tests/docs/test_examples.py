"""The examples run on small data."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

import textrnn.api.training
from samples import write_rows

EXAMPLES = Path(__file__).resolve().parents[2] / "docs/examples"
SMALL = ("model.hidden=8", "model.embedding=8", "train.epochs=2", "tokenizer.vocab_size=60")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run an example in an empty folder, with small networks; return what it prints."""
    monkeypatch.chdir(tmp_path)
    own = textrnn.api.training.load_config

    def load_small(*, overrides: list[textrnn.config.Override]) -> textrnn.config.Config:
        return own(overrides=[*overrides, *map(textrnn.config.parse_override, SMALL)])

    monkeypatch.setattr(textrnn.api.training, "load_config", load_small)

    def run_example(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run_example


def test_sklearn_pipeline(run) -> None:
    output = run("sklearn_pipeline.py", write_rows(Path("train.tsv")))
    assert [line.split(":")[0] for line in output.splitlines()] == ["network", "linear", "prediction"]


def test_pandas_frame(run) -> None:
    pytest.importorskip("pandas")
    output = run("pandas_frame.py", write_rows(Path("train.tsv")), write_rows(Path("test.tsv")))
    assert output.startswith("accuracy: ")
    assert len(output.splitlines()) == 5


def test_datatrove_filter(run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filters = pytest.importorskip("datatrove.pipeline.filters")
    monkeypatch.setattr(filters.FastTextClassifierFilter, "_requires_dependencies", ["fasteners"])
    for name in ("fasttext", "fasttext.FastText"):
        monkeypatch.setitem(sys.modules, name, sys.modules.get(name))
    Path("texts.txt").write_text("green tea with lemon\nblack coffee\n" * 5, encoding="utf-8")
    output = run("datatrove_filter.py", trained / "runs/small/model.safetensors", "tea", "texts.txt")
    assert output == "".join(f"{number} green tea with lemon\n" for number in (1, 3, 5, 7, 9))


def test_fasttext_migration(run) -> None:
    rows = [line.split("\t", 1) for line in write_rows(Path("rows.tsv")).read_text(encoding="utf-8").splitlines()]
    for name in ("train.txt", "valid.txt"):
        Path(name).write_text("".join(f"__label__{label} {text}\n" for label, text in rows), encoding="utf-8")
    output = run("fasttext_migration.py", "train.txt", "valid.txt").splitlines()
    assert output[0].startswith(f"{len(rows)} texts, precision ")
    assert len(output) == 4
