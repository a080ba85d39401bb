"""The cache folder: complete entries or none, whatever happens, and no old ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from textrnn.data.cache import Cache, find_cache_folder, make_key, measure_cache, read_stat
from textrnn.errors import DataError

DAY = 24 * 3600
KEY = make_key("content")


def put(cache: Cache, key: str = KEY, data: bytes = b"ids") -> Path:
    with cache.draft() as draft:
        draft.write("ids", data)
        return draft.commit("tokens", key, {"rows": 3}).folder


def put_digest(cache: Cache, path: Path) -> None:
    stat = read_stat(path)
    assert stat is not None
    cache.put_digest(path, stat, "digest")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"CACHEDIR.TAG"}


def test_a_committed_entry_is_found(cache: Cache) -> None:
    assert cache.get("tokens", KEY) is None
    folder = put(cache)
    entry = cache.get("tokens", KEY)
    assert entry is not None
    assert (entry.folder, entry.meta["rows"], (folder / "ids").read_bytes()) == (folder, 3, b"ids")
    assert cache.get("tokens", make_key("other")) is None
    assert cache.get("rows", KEY) is None
    assert names(cache.folder) == {f"tokens-{KEY}"}


def test_keys_depend_on_every_part() -> None:
    assert make_key("a", 1) == make_key("a", 1)
    assert len({make_key("a", 1), make_key("a", 2), make_key("a1"), make_key("a", "1"), make_key("a", 1, None)}) == 5


def test_a_draft_that_is_not_committed_leaves_nothing(cache: Cache) -> None:
    with cache.draft() as draft:
        draft.write("ids", b"half")
    assert names(cache.folder) == set()


@pytest.mark.parametrize("harm", ["cut", "turned", "no meta", "no file", "no json", "list"])
def test_a_damaged_entry_is_removed(harm: str, cache: Cache) -> None:
    folder = put(cache)
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
    assert cache.get("tokens", KEY) is None
    assert names(cache.folder) == set()
    put(cache)
    assert cache.get("tokens", KEY) is not None


def test_two_writers_share_one_entry(cache: Cache) -> None:
    with cache.draft() as first, cache.draft() as second:
        for draft in (first, second):
            draft.write("ids", b"ids")
        entries = [draft.commit("tokens", KEY, {"rows": 3}) for draft in (first, second)]
        assert entries[0].folder == entries[1].folder
    assert names(cache.folder) == {f"tokens-{KEY}"}
    assert cache.get("tokens", KEY) is not None


def test_a_writer_replaces_a_damaged_entry(cache: Cache) -> None:
    with cache.draft() as draft:
        draft.write("ids", b"ids")
        (cache.folder / f"tokens-{KEY}").mkdir()
        (cache.folder / f"tokens-{KEY}" / "ids").write_bytes(b"half")
        draft.commit("tokens", KEY, {})
    assert cache.get("tokens", KEY) is not None


KILLED = """
import os, sys
from pathlib import Path
from textrnn.data.cache import Cache
cache = Cache(Path(sys.argv[1]))
draft = cache.draft()
draft.write("ids", b"half")
draft.flush()
if sys.argv[2] == "fsync":  # the last thing before the rename
    os.fsync = lambda descriptor: os.kill(os.getpid(), 9)
    draft.commit("tokens", "key", {})
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals are sent as POSIX does")
@pytest.mark.parametrize("when", ["write", "fsync"])
def test_the_draft_of_a_killed_writer_is_evicted(when: str, cache: Cache) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(cache.folder), when], check=False)
    assert done.returncode == -9
    (left,) = names(cache.folder)
    assert left.startswith("textrnn-draft-")
    assert cache.get("tokens", "key") is None
    put(cache)
    assert left in names(cache.folder)  # it may still be written
    for path in [*(cache.folder / left).iterdir(), cache.folder / left]:
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    put(cache, make_key("more"))
    assert left not in names(cache.folder)


def test_the_draft_of_a_slow_writer_is_kept(cache: Cache) -> None:
    with cache.draft() as draft:
        draft.write("ids", b"i")
        os.utime(draft.folder, (time.time() - 5 * DAY,) * 2)  # an old folder with a new file
        put(cache)
        draft.commit("tokens", make_key("long"), {})
    assert cache.get("tokens", make_key("long")) is not None


def test_unused_entries_are_evicted_when_one_is_added(cache: Cache) -> None:
    old, used = put(cache, make_key("old")), put(cache, make_key("used"))
    (cache.folder / "files").mkdir()
    digest = cache.folder / "files" / f"{'a' * 32}.json"
    digest.write_text("{}")
    others = [cache.folder / "mine-own.txt", cache.folder / "files" / "notes.json", *make_strangers(cache.folder)]
    for path in others[:2]:
        path.write_text("not an entry")
    for path in (old, used, digest, *others):
        os.utime(path, (time.time() - 31 * DAY,) * 2)
    assert cache.get("tokens", make_key("used")) is not None
    assert old.exists()
    put(cache)
    assert not old.exists()
    assert not digest.exists()
    assert used.exists()
    assert all(path.exists() for path in others)


def make_strangers(folder: Path) -> list[Path]:
    """Make folders that a user may keep beside the entries."""
    folders = [folder / "en_core-3.7", folder / "tmp-thesis", folder / "tokens-old"]
    for path in folders:
        path.mkdir()
        (path / "meta.json").write_text("{}")
    return folders


@pytest.mark.parametrize("name", ["files", "models"])
def test_foreign_files_are_never_removed(name: str, tmp_path: Path) -> None:
    cache = Cache(tmp_path / name)
    cache.folder.mkdir()
    (cache.folder / "corpus.txt").write_text("not an entry")
    mine = [cache.folder / "corpus.txt", *make_strangers(cache.folder)]
    for path in [*mine, *(file for folder in mine[1:] for file in folder.iterdir())]:
        os.utime(path, (time.time() - 400 * DAY,) * 2)
    put(cache)
    assert all(path.exists() for path in mine)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_an_entry_has_the_permissions_of_the_umask(cache: Cache) -> None:
    before = os.umask(0o022)
    try:
        assert put(cache).stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(before)


def test_a_digest_is_kept_until_the_file_changes(cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("one")
    assert cache.get_digest(path) is None
    put_digest(cache, path)
    assert cache.get_digest(path) == "digest"
    other = tmp_path / "copy.tsv"
    other.write_text("one")
    assert cache.get_digest(other) is None
    times = path.stat()
    path.write_text("two")  # of the same length and modification time
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert cache.get_digest(path) is None


def test_a_digest_is_dropped_when_another_file_takes_the_path(cache: Cache, tmp_path: Path) -> None:
    path, other = tmp_path / "rows.tsv", tmp_path / "other.tsv"
    for file in (path, other):
        file.write_text("one")
        os.utime(file, ns=(10**18, 10**18))
    put_digest(cache, path)
    other.replace(path)
    assert cache.get_digest(path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stat": 3}'])
def test_a_damaged_digest_is_ignored(content: str, cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("one")
    put_digest(cache, path)
    (file,) = (cache.folder / "files").iterdir()
    file.write_text(content)
    assert cache.get_digest(path) is None


def test_the_stat_of_a_folder_changes_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"d")
    stat = read_stat(tmp_path)
    assert stat is not None
    assert stat == read_stat(tmp_path)
    assert stat[0] == 4
    (tmp_path / "b").rename(tmp_path / "c")
    assert read_stat(tmp_path) != stat


def test_a_temporary_folder_replaces_one_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    notes: list[str] = []
    cache = Cache.open(str(tmp_path / "file" / "cache"), notes.append)
    (note,) = notes
    assert note.startswith(f"{tmp_path / 'file' / 'cache'}: cannot be written (Not a directory)")
    folder = put(cache)
    assert cache.get("tokens", KEY) is not None
    assert not folder.is_relative_to(tmp_path)
    del cache
    assert not folder.exists()


def test_a_full_disk_is_reported_with_a_way_out(cache: Cache) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("the system has no full device")
    with cache.draft() as draft:
        (draft.folder / "meta.json").symlink_to("/dev/full")
        draft._files["meta.json"] = Path("/dev/full").open("wb")  # noqa: SIM115 - the draft closes it
        draft.write("ids", b"ids")
        with pytest.raises(DataError) as caught:
            draft.commit("tokens", KEY, {})
    assert str(caught.value) == (
        f"{cache.folder}: cannot be written (No space left on device); "
        "choose a folder with free space with --set data.cache=FOLDER"
    )


def test_measure_cache_counts_entries_and_bytes(cache: Cache) -> None:
    assert measure_cache(cache.folder / "none") == (0, 0)
    folder = put(cache, data=b"x" * 1000)
    size = (cache.folder / "CACHEDIR.TAG").stat().st_size + (folder / "meta.json").stat().st_size
    assert measure_cache(cache.folder) == (1, 1000 + size)
    assert json.loads((folder / "meta.json").read_text())["files"] == {"ids": [1000, zlib.crc32(b"x" * 1000)]}


def test_the_cache_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
