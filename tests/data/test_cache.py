"""The cache folder: whole entries or none, whatever happens, and nothing old."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from textrnn.data.cache import Cache, find_cache_folder, make_key, measure_cache, take_stat
from textrnn.errors import DataError

DAY = 24 * 3600
KEY = make_key("content")


def put(store: Cache, key: str = KEY, data: bytes = b"ids") -> Path:
    with store.draft() as draft:
        draft.write("ids", data)
        return draft.commit("tokens", key, {"rows": 3}).folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"CACHEDIR.TAG"}


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache.open(str(tmp_path / "cache"), pytest.fail)


def test_what_was_committed_is_found(store: Cache) -> None:
    assert store.find("tokens", KEY) is None
    folder = put(store)
    entry = store.find("tokens", KEY)
    assert entry is not None
    assert (entry.folder, entry.meta["rows"], (folder / "ids").read_bytes()) == (folder, 3, b"ids")
    assert store.find("tokens", make_key("other")) is None
    assert store.find("rows", KEY) is None
    assert names(store.folder) == {f"tokens-{KEY}"}


def test_keys_differ_with_every_part() -> None:
    assert make_key("a", 1) == make_key("a", 1)
    assert len({make_key("a", 1), make_key("a", 2), make_key("a1"), make_key("a", "1"), make_key("a", 1, None)}) == 5


def test_a_draft_that_is_not_committed_leaves_nothing(store: Cache) -> None:
    with store.draft() as draft:
        draft.write("ids", b"half")
    assert names(store.folder) == set()


@pytest.mark.parametrize("harm", ["cut", "turned", "no meta", "no file", "no json", "list"])
def test_a_damaged_entry_is_no_entry(harm: str, store: Cache) -> None:
    folder = put(store)
    if harm == "cut":
        (folder / "ids").write_bytes(b"i")
    elif harm == "turned":
        (folder / "ids").write_bytes((folder / "ids").read_bytes()[::-1])
    elif harm == "no meta":
        (folder / "meta.json").unlink()
    elif harm == "no file":
        (folder / "ids").unlink()
    else:
        (folder / "meta.json").write_text("{" if harm == "no json" else "[]")
    assert store.find("tokens", KEY) is None
    assert names(store.folder) == set()
    put(store)
    assert store.find("tokens", KEY) is not None


def test_of_two_writers_both_have_the_entry(store: Cache) -> None:
    with store.draft() as first, store.draft() as second:
        for draft in (first, second):
            draft.write("ids", b"ids")
        entries = [draft.commit("tokens", KEY, {"rows": 3}) for draft in (first, second)]
        assert entries[0].folder == entries[1].folder
    assert names(store.folder) == {f"tokens-{KEY}"}
    assert store.find("tokens", KEY) is not None


def test_a_writer_takes_the_place_of_a_damaged_entry(store: Cache) -> None:
    with store.draft() as draft:
        draft.write("ids", b"ids")
        (store.folder / f"tokens-{KEY}").mkdir()
        (store.folder / f"tokens-{KEY}" / "ids").write_bytes(b"half")
        draft.commit("tokens", KEY, {})
    assert store.find("tokens", KEY) is not None


KILLED = """
import os, sys
from pathlib import Path
from textrnn.data.cache import Store
store = Store(Path(sys.argv[1]))
draft = store.draft()
draft.write("ids", b"half")
draft.flush()
if sys.argv[2] == "fsync":  # the last thing before the rename
    os.fsync = lambda descriptor: os.kill(os.getpid(), 9)
    draft.commit("tokens", "key", {})
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals are sent as POSIX does")
@pytest.mark.parametrize("when", ["write", "fsync"])
def test_a_writer_that_was_killed_leaves_no_entry_and_is_swept_up(when: str, store: Cache) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(store.folder), when], check=False)
    assert done.returncode == -9
    (left,) = names(store.folder)
    assert left.startswith("textrnn-draft-")
    assert store.find("tokens", "key") is None
    put(store)
    assert left in names(store.folder)  # it may be at work
    for path in [*(store.folder / left).iterdir(), store.folder / left]:
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    put(store, make_key("more"))
    assert left not in names(store.folder)


def test_a_writer_at_work_for_days_is_left_alone(store: Cache) -> None:
    with store.draft() as draft:
        draft.write("ids", b"i")
        os.utime(draft.folder, (time.time() - 5 * DAY,) * 2)  # made then, but the file is new
        put(store)
        draft.commit("tokens", make_key("long"), {})
    assert store.find("tokens", make_key("long")) is not None


def test_what_is_not_used_goes_when_something_is_added(store: Cache) -> None:
    old, used = put(store, make_key("old")), put(store, make_key("used"))
    (store.folder / "files").mkdir()
    digest = store.folder / "files" / f"{'a' * 32}.json"
    digest.write_text("{}")
    others = [store.folder / "mine-own.txt", store.folder / "files" / "notes.json", *make_strangers(store.folder)]
    for path in others[:2]:
        path.write_text("not an entry")
    for path in (old, used, digest, *others):
        os.utime(path, (time.time() - 31 * DAY,) * 2)
    assert store.find("tokens", make_key("used")) is not None
    assert old.exists()
    put(store)
    assert not old.exists()
    assert not digest.exists()
    assert used.exists()
    assert all(path.exists() for path in others)


def make_strangers(folder: Path) -> list[Path]:
    """Make folders that a user may have in the one that is named as the cache."""
    found = [folder / "en_core-3.7", folder / "tmp-thesis", folder / "tokens-old"]
    for path in found:
        path.mkdir()
        (path / "meta.json").write_text("{}")
    return found


@pytest.mark.parametrize("name", ["files", "models"])
def test_a_folder_of_the_users_own_loses_nothing(name: str, tmp_path: Path) -> None:
    store = Cache(tmp_path / name)
    store.folder.mkdir()
    (store.folder / "corpus.txt").write_text("years of work")
    mine = [store.folder / "corpus.txt", *make_strangers(store.folder)]
    for path in [*mine, *(file for folder in mine[1:] for file in folder.iterdir())]:
        os.utime(path, (time.time() - 400 * DAY,) * 2)
    put(store)
    assert all(path.exists() for path in mine)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_an_entry_is_for_all_that_the_umask_lets_in(store: Cache) -> None:
    before = os.umask(0o022)
    try:
        assert put(store).stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(before)


def test_a_digest_is_remembered_as_long_as_the_file_stays(store: Cache, tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("one")
    stat = take_stat(path)
    assert stat is not None
    assert store.recall(path) is None
    store.remember(path, stat, "digest")
    assert store.recall(path) == "digest"
    other = tmp_path / "copy.tsv"
    other.write_text("one")
    assert store.recall(other) is None
    times = path.stat()
    path.write_text("two")  # as long, and with the same time of change
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert store.recall(path) is None


def test_another_file_in_its_place_is_another(store: Cache, tmp_path: Path) -> None:
    path, other = tmp_path / "rows.tsv", tmp_path / "other.tsv"
    for file in (path, other):
        file.write_text("one")
        os.utime(file, ns=(10**18, 10**18))
    stat = take_stat(path)
    assert stat is not None
    store.remember(path, stat, "digest")
    other.replace(path)
    assert store.recall(path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stat": 3}'])
def test_a_damaged_memory_is_none(content: str, store: Cache, tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("one")
    stat = take_stat(path)
    assert stat is not None
    store.remember(path, stat, "digest")
    (file,) = (store.folder / "files").iterdir()
    file.write_text(content)
    assert store.recall(path) is None


def test_what_is_no_file_has_no_stat(tmp_path: Path) -> None:
    assert take_stat(tmp_path) is None


def test_a_folder_that_cannot_be_written_gives_way_to_a_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    notes: list[str] = []
    store = Cache.open(str(tmp_path / "file" / "cache"), notes.append)
    (note,) = notes
    assert note.startswith(
        f"{tmp_path / 'file' / 'cache'}: cannot be written (Not a directory), so token ids are not kept"
    )
    folder = put(store)
    assert store.find("tokens", KEY) is not None
    assert not folder.is_relative_to(tmp_path)
    del store
    assert not folder.exists()


def test_a_full_disk_is_told_with_a_way_out(store: Cache) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("the system has no full device")
    with store.draft() as draft:
        (draft.folder / "meta.json").symlink_to("/dev/full")
        draft._files["meta.json"] = Path("/dev/full").open("wb")  # noqa: SIM115 - the draft closes it
        draft.write("ids", b"ids")
        with pytest.raises(DataError) as caught:
            draft.commit("tokens", KEY, {})
    assert str(caught.value) == (
        f"{store.folder}: cannot be written (No space left on device); "
        "name a folder with room by --set data.cache=FOLDER"
    )


def test_the_cache_is_measured(store: Cache) -> None:
    assert measure_cache(store.folder / "none") == (0, 0)
    folder = put(store, data=b"x" * 1000)
    size = (store.folder / "CACHEDIR.TAG").stat().st_size + (folder / "meta.json").stat().st_size
    assert measure_cache(store.folder) == (1, 1000 + size)
    assert json.loads((folder / "meta.json").read_text())["files"] == {"ids": [1000, zlib.crc32(b"x" * 1000)]}


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert find_cache_folder() == tmp_path / "textrnn"
    assert find_cache_folder("~/x") == tmp_path / "home" / "x"
    assert find_cache_folder("here") == Path.cwd() / "here"
    for value in ("", "not/absolute"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        for system, folder in (("linux", ".cache"), ("darwin", "Library/Caches")):
            monkeypatch.setattr(sys, "platform", system)
            assert find_cache_folder() == tmp_path / "home" / folder / "textrnn"
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.setattr(sys, "platform", "win32")
    assert find_cache_folder() == tmp_path / "local" / "textrnn"
