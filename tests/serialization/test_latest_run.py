"""The pointer to the latest run."""

from __future__ import annotations

from pathlib import Path

import pytest

from textrnn.errors import ModelError
from textrnn.reporter import Reporter
from textrnn.serialization.latest_run import POINTER, find_latest, make_latest


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "name", ["runs/2024-05-01", "run", "a/b/c", "my run", "주문 모델", "runs/latest.d", " first", "last "]
)
@pytest.mark.parametrize("absolute", [False, True])
def test_a_run_in_this_folder_is_found_by_its_relative_path(here: Path, name: str, absolute: bool) -> None:
    folder = Path(name)
    folder.mkdir(parents=True)
    make_latest(here / folder if absolute else folder, Reporter())
    assert POINTER.read_bytes() == f"{name}\n".encode()
    assert find_latest() == folder


def test_a_run_elsewhere_is_found_by_its_absolute_path(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    make_latest(Path("..") / "elsewhere", Reporter())
    assert POINTER.read_text() == f"{folder.resolve()}\n"
    assert find_latest() == folder.resolve()


def test_the_pointer_survives_a_move_of_the_folder(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "run").mkdir()
    make_latest(here / "run", Reporter())
    moved = here.rename(tmp_path / "moved")
    monkeypatch.chdir(moved)
    assert find_latest().resolve() == moved / "run"


def test_the_last_run_counts(here: Path) -> None:
    for name in ("a", "b"):
        (here / name).mkdir()
        make_latest(here / name, Reporter())
    assert find_latest() == Path("b")
    assert [path.name for path in POINTER.parent.iterdir()] == ["latest"]


@pytest.mark.parametrize("folder", [None, "runs", "runs/latest"])
def test_without_a_run_the_message_asks_for_one(folder: str | None) -> None:
    if folder is not None:
        Path(folder).mkdir(parents=True)
    with pytest.raises(ModelError, match="no model was trained in this folder; train one, or name one with -m"):
        find_latest()


@pytest.mark.parametrize("left", ["nothing", "a file"])
def test_a_run_that_is_gone_is_reported(here: Path, left: str) -> None:
    (here / "run").mkdir()
    make_latest(here / "run", Reporter())
    (here / "run").rmdir()
    if left == "a file":
        (here / "run").write_text("x")
    with pytest.raises(ModelError, match="points to run, which is gone; name a model with -m"):
        find_latest()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\n"])
def test_a_pointer_without_a_name_is_refused(content: bytes) -> None:
    POINTER.parent.mkdir()
    POINTER.write_bytes(content)
    with pytest.raises(ModelError, match="runs/latest: "):
        find_latest()
