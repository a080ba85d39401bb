"""The pointer to the latest run: what is pointed to is found, and what is not there is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from textrnn.errors import ModelError
from textrnn.serialization.latest_run import POINTER, find_latest, point_to


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def message_of_find() -> str:
    with pytest.raises(ModelError) as caught:
        find_latest()
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["runs/2024-05-01", "run", "a/b/c", "my run", "주문 모델", "runs/latest.d", " first", "last "]
)
@pytest.mark.parametrize("absolute", [False, True])
def test_a_run_in_this_folder_is_found_by_its_relative_path(here: Path, name: str, absolute: bool) -> None:
    folder = Path(name)
    folder.mkdir(parents=True)
    point_to(here / folder if absolute else folder)
    assert POINTER.read_bytes() == f"{name}\n".encode()
    assert find_latest() == folder


def test_a_run_elsewhere_is_found_by_its_whole_path(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    point_to(Path("..") / "elsewhere")
    assert POINTER.read_text() == f"{folder.resolve()}\n"
    assert find_latest() == folder.resolve()


def test_the_pointer_holds_when_the_folder_is_moved(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "run").mkdir()
    point_to(here / "run")
    moved = here.rename(tmp_path / "moved")
    monkeypatch.chdir(moved)
    assert find_latest().resolve() == moved / "run"


def test_the_last_one_counts(here: Path) -> None:
    for name in ("a", "b"):
        (here / name).mkdir()
        point_to(here / name)
    assert find_latest() == Path("b")
    assert [path.name for path in POINTER.parent.iterdir()] == ["latest"]


@pytest.mark.parametrize("folder", [None, "runs", "runs/latest"])
def test_no_run_yet(folder: str | None) -> None:
    if folder is not None:
        Path(folder).mkdir(parents=True)
    assert message_of_find() == "runs/latest: no model was trained in this folder; train one, or name one with -m"


@pytest.mark.parametrize("left", ["nothing", "a file"])
def test_the_run_is_gone(here: Path, left: str) -> None:
    (here / "run").mkdir()
    point_to(here / "run")
    (here / "run").rmdir()
    if left == "a file":
        (here / "run").write_text("x")
    assert message_of_find() == "runs/latest: points to run, which is gone; name a model with -m"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\n"])
def test_a_pointer_that_names_nothing(content: bytes) -> None:
    POINTER.parent.mkdir()
    POINTER.write_bytes(content)
    assert message_of_find().startswith("runs/latest: ")
