"""Files at addresses."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from textrnn.errors import ConfigError, DataError
from textrnn.integrations.addresses import list_inputs, open_atomically, open_input, remove_temporary


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n")


def test_folders_are_searched_without_hidden_files(tmp_path: Path) -> None:
    write(tmp_path, "b.txt", "a/c.txt", ".hidden", "_SUCCESS", "_temporary/d.txt")
    found = list_inputs([str(tmp_path)])
    assert [(each.name, each.size) for each in found] == [("a/c.txt", 2), ("b.txt", 2)]
    assert found[1].address == str(tmp_path / "b.txt")
    assert [each.name for each in list_inputs([str(tmp_path / "*.txt")])] == ["b.txt"]


def test_another_filesystem_keeps_its_address() -> None:
    with open_atomically("memory://in/a.jsonl.gz") as file:
        file.write(b"{}\n")
    (found,) = list_inputs(["memory://in"])
    assert found.address == "memory:///in/a.jsonl.gz"
    with open_input(found.address) as file:
        assert file.read() == b"{}\n"
    assert fsspec.filesystem("memory").cat("/in/a.jsonl.gz")[:2] == b"\x1f\x8b"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nothing.txt", "nothing.txt: no such file"),
        ("nowhere://a/b", "nowhere://a/b: cannot be opened"),
        ("empty", "empty: no files there"),
    ],
)
def test_a_wrong_address_is_named(address: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        list_inputs([address])


def test_two_files_with_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "one/a.csv", "two/a.jsonl.gz")
    with pytest.raises(ConfigError, match="has the name of"):
        list_inputs([str(tmp_path / "one"), str(tmp_path / "two")])


def test_a_failed_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError), open_atomically(str(tmp_path / "a")) as file:
        file.write("no bytes")
    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_leave_is_removed(tmp_path: Path) -> None:
    write(tmp_path, "a", "sub/.a.123.tmp")
    remove_temporary(str(tmp_path))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a"]
