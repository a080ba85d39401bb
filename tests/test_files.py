"""Atomic writes, compression, backups, and the shipped files."""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from textrnn.config import load_config
from textrnn.files import atomic_write, compressed_write, keep_previous, shipped, write_text


@pytest.fixture(params=[0o022, 0o077, 0o000])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "model.bin"
    with atomic_write(path) as file:
        file.write(b"one\r\n")
        file.write(b"two\x00")
        file.flush()
        assert not path.exists()
        assert path.parent.is_dir()
    assert path.read_bytes() == b"one\r\ntwo\x00"
    assert names(path.parent) == ["model.bin"]


def test_the_old_content_stays_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"a long old content")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"a long old content"
        beside = [tmp_path / name for name in names(tmp_path) if name != "model.bin"]
        assert [part.read_bytes() for part in beside] == [
            b"new"
        ]  # in the same folder: a rename cannot cross file systems
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["model.bin"]


def test_the_bytes_are_on_disk_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"old")
    seen: list[tuple[int, bytes]] = []
    sync = os.fsync

    def watch(descriptor: int) -> None:
        seen.append((os.fstat(descriptor).st_size, path.read_bytes()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    with atomic_write(path) as file:
        file.write(b"new content")
    assert seen[0] == (len(b"new content"), b"old")
    assert path.read_bytes() == b"new content"


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_exception_leaves_the_old_file(tmp_path: Path, error: type[BaseException], old: bytes | None) -> None:
    path = tmp_path / "model.bin"
    if old is not None:
        path.write_bytes(old)

    def write_half() -> None:
        with atomic_write(path) as file:
            file.write(b"half of the n")
            file.flush()
            raise error("stop")

    with pytest.raises(error, match="stop"):
        write_half()
    assert names(tmp_path) == ([] if old is None else ["model.bin"])
    assert old is None or path.read_bytes() == old


def test_a_full_disk_is_reported_for_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No space left on device: '.*model.bin'"), atomic_write(tmp_path / "model.bin"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == []


def test_a_failed_rename_leaves_no_temporary_file(tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    folder.mkdir()
    with pytest.raises(OSError, match="taken"), atomic_write(folder) as file:
        file.write(b"new")
    assert names(tmp_path) == ["taken"]
    assert folder.is_dir()


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "file"
    write_text(path, "x")
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    now = os.umask(umask)
    assert now == umask


@pytest.mark.parametrize("text", ["", "a\r\nb\rc\n", "주문 😀\u2028\n", "no end"])
def test_text_is_written_unchanged_as_utf8(tmp_path: Path, text: str) -> None:
    path = tmp_path / "new" / "text.txt"
    write_text(path, text)
    assert path.read_bytes() == text.encode("utf-8")


@pytest.mark.parametrize(
    ("taken", "number"),
    [([], 1), (["model.1"], 2), (["model.1", "model.2", "model.3"], 4), (["model.2"], 1), (["model.01", "model.x"], 1)],
)
def test_the_previous_file_gets_the_first_free_number(tmp_path: Path, taken: list[str], number: int) -> None:
    for name in [*taken, "model"]:
        (tmp_path / name).write_text(name)
    ((path, kept),) = keep_previous(tmp_path / "model")
    assert (path, kept) == (tmp_path / "model", tmp_path / f"model.{number}")
    assert kept.read_text() == "model"
    assert [(tmp_path / name).read_text() for name in taken] == taken
    assert not (tmp_path / "model").exists()


def test_files_that_belong_together_get_the_same_number(tmp_path: Path) -> None:
    pair = tmp_path / "m.model", tmp_path / "m.vocab"
    assert keep_previous(*pair) == []
    for name in ("m.model", "m.vocab", "m.model.1", "m.vocab.2"):
        (tmp_path / name).write_text(name)
    assert keep_previous(*pair) == [(path, path.with_name(f"{path.name}.3")) for path in pair]


def test_a_folder_is_kept_with_its_content(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "log").write_text("x")
    (tmp_path / "run.1").mkdir()
    assert keep_previous(run) == [(run, tmp_path / "run.2")]
    assert (tmp_path / "run.2" / "log").read_text() == "x"
    assert not run.exists()


def test_the_shipped_config_and_data_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # whatever the current folder
    assert load_config(shipped("starter.yaml")).data.train
    assert any(path.stat().st_size for path in shipped("demo").rglob("*") if path.is_file())


UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "a.tsv": bytes,
    "a.gz": gzip.decompress,
    "a.XZ": lzma.decompress,
    "a.tsv.zst": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@pytest.mark.parametrize("name", UNPACK)
def test_the_suffix_selects_the_compression(tmp_path: Path, name: str) -> None:
    content = [b"one\n" * 10_000, b"two\n"]
    for _ in range(2):
        with compressed_write(tmp_path / name) as file:
            for part in content:
                file.write(part)
        assert UNPACK[name]((tmp_path / name).read_bytes()) == b"".join(content)
        assert names(tmp_path) == [name]
    first = (tmp_path / name).read_bytes()

    def stop_halfway() -> None:
        with compressed_write(tmp_path / name) as file:
            file.write(b"half")
            raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        stop_halfway()
    assert (tmp_path / name).read_bytes() == first
    assert names(tmp_path) == [name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_written_directly(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gz")
    reader = os.open(tmp_path / "pipe.gz", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with compressed_write(tmp_path / "pipe.gz") as file:
            file.write(b"one\n")
        assert gzip.decompress(os.read(reader, 1 << 16)) == b"one\n"
        assert names(tmp_path) == ["pipe.gz"]
    finally:
        os.close(reader)


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_bytes(b"before")
    (tmp_path / "link.txt").symlink_to("real.txt")
    with compressed_write(tmp_path / "link.txt") as file:
        file.write(b"after")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_bytes() == b"after"


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="the system has no /dev/stdout")
def test_dev_stdout_is_appended_to(tmp_path: Path) -> None:
    code = "from pathlib import Path; from textrnn.files import compressed_write\n"
    code += "with compressed_write(Path('/dev/stdout')) as file: file.write(b'more')"
    (tmp_path / "log").write_bytes(b"before, ")
    with (tmp_path / "log").open("ab") as log:
        subprocess.run([sys.executable, "-c", code], stdout=log, check=True)
    assert (tmp_path / "log").read_bytes() == b"before, more"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"more"


def test_compressed_files_have_reproducible_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = []
    for now in (1e9, 2e9):
        monkeypatch.setattr("gzip.time.time", lambda now=now: now)
        with compressed_write(tmp_path / "a.gz") as file:
            file.write(b"tea")
        contents.append((tmp_path / "a.gz").read_bytes())
    assert contents[0] == contents[1]
