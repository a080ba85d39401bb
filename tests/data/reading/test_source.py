"""A labelled file that is read several times: plain, compressed, a pipe, or changing."""

from __future__ import annotations

import gzip
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from textrnn.config import DataConfig
from textrnn.data.cache import Cache
from textrnn.data.reading import source
from textrnn.data.reading.source import LabelledFile
from textrnn.errors import DataError

CONTENT = b"b\tone\na\ttwo two\n\nb\t\xea\xb0\x80\nc\t\n"
needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
TEXTS = [b"one", b"two two", "가".encode(), b""]


def write(path: Path, content: bytes = CONTENT, *, age: float = 60) -> Path:
    """Write a file that is old enough for its digest to be kept."""
    path.write_bytes(content)
    os.utime(path, (time.time() - age,) * 2)
    return path


def write_pipe(path: Path, content: bytes = CONTENT) -> threading.Thread:
    """Write ``content`` to a new named pipe in another thread."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    return writer


def texts_of(file: LabelledFile) -> list[bytes]:
    return [text for texts in file.read_texts() for text in texts]


def check(file: LabelledFile) -> None:
    assert file.labels == ["b", "a", "c"]
    assert file.counts == [2, 1, 1]
    assert file.first_lines == [1, 2, 5]
    assert file.classes.tolist() == [0, 1, 0, 2]
    assert file.sizes.tolist() == [3, 7, 3, 0]
    assert len(file) == 4
    assert texts_of(file) == TEXTS
    assert texts_of(file) == TEXTS
    chosen = file.read_texts(np.array([False, True, False, True]))
    assert [text for texts in chosen for text in texts] == [b"two two", b""]


def count_scans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    scans: list[str] = []
    scan = LabelledFile._scan
    monkeypatch.setattr(LabelledFile, "_scan", lambda self: scans.append(self.path) or scan(self))
    monkeypatch.setattr(source, "SETTLED_NS", -(10**12))  # accept files that have just been written
    return scans


def test_a_plain_file(tmp_path: Path, cache: Cache) -> None:
    check(LabelledFile(str(write(tmp_path / "rows.tsv")), DataConfig(), cache))


def test_a_compressed_file_has_the_key_of_its_content(tmp_path: Path, cache: Cache) -> None:
    plain = LabelledFile(str(write(tmp_path / "rows.tsv")), DataConfig(), cache)
    packed = LabelledFile(str(write(tmp_path / "rows.tsv.gz", gzip.compress(CONTENT))), DataConfig(), cache)
    check(packed)
    assert packed.key == plain.key


@needs_pipes
def test_a_pipe_is_read_once_and_spooled(tmp_path: Path, cache: Cache) -> None:
    pipe = tmp_path / "rows.tsv"
    writer = write_pipe(pipe)
    with LabelledFile(str(pipe), DataConfig(), cache) as file:
        writer.join()
        check(file)
        assert any(path.name.startswith("textrnn-draft-") for path in cache.folder.iterdir())
    assert not any(path.name.startswith("textrnn-draft-") for path in cache.folder.iterdir())
    plain = LabelledFile(str(write(tmp_path / "other.tsv")), DataConfig(), cache)
    assert file.key == plain.key


@needs_pipes
def test_texts_of_any_length_come_back_from_a_pipe(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    texts = [b"x" * size for size in rng.integers(0, 60, 300).tolist()]
    texts += [b"", b"\r", b"\xef\xbb\xbf", b"x" * 1000, b""]
    pipe = tmp_path / "rows.tsv"
    writer = write_pipe(pipe, b"".join(b"a\t%b\n" % text for text in texts))
    with LabelledFile(str(pipe), DataConfig(), cache) as file:
        writer.join()
        for size in (1, 7, 64, 1 << 20):
            monkeypatch.setattr("textrnn.data.reading.io.read_chunks.__defaults__", (size,))
            assert texts_of(file) == [text.removesuffix(b"\r") for text in texts]


@needs_pipes
def test_a_fault_in_a_pipe_leaves_nothing(tmp_path: Path, cache: Cache) -> None:
    pipe = tmp_path / "rows.tsv"
    writer = write_pipe(pipe, CONTENT + b"d\n")
    with pytest.raises(DataError, match=r"rows\.tsv:6: no tab"):
        LabelledFile(str(pipe), DataConfig(), cache)
    writer.join()
    assert {path.name for path in cache.folder.iterdir()} == {"CACHEDIR.TAG"}


def test_an_unchanged_file_is_not_scanned_again(tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = count_scans(monkeypatch)
    path = write(tmp_path / "rows.tsv")
    first = LabelledFile(str(path), DataConfig(), cache)
    check(LabelledFile(str(path), DataConfig(), cache))
    assert len(scans) == 1
    write(path, CONTENT.replace(b"one", b"uno"), age=60)  # of the same length, and with an old modification time
    second = LabelledFile(str(path), DataConfig(), cache)
    assert len(scans) == 2
    assert second.key != first.key
    assert texts_of(second)[0] == b"uno"


def test_the_digest_of_a_new_file_is_not_kept(tmp_path: Path, cache: Cache) -> None:
    # it may change once more without a new modification time
    path = tmp_path / "rows.tsv"
    path.write_bytes(CONTENT)
    LabelledFile(str(path), DataConfig(), cache)
    assert cache.get_digest(path) is None


@pytest.mark.parametrize(
    ("name", "options"),
    [("rows.tsv", {}), ("rows.txt", {}), ("rows.txt", {"format": "tsv"}), ("rows.tsv", {"label": "b", "text": "one"})],
)
def test_the_key_depends_on_the_format(name: str, options: dict[str, str], tmp_path: Path, cache: Cache) -> None:
    base = LabelledFile(str(write(tmp_path / "rows.tsv")), DataConfig(), cache)
    file = LabelledFile(str(write(tmp_path / name)), DataConfig.model_validate(options), cache)
    assert (file.key == base.key) == ((name, options) == ("rows.tsv", {}))
    assert len(file) == (3 if "label" in options else 4)


@pytest.mark.parametrize("change", [b"d\tmore\n", b""])
def test_a_file_that_changes_between_two_reads_is_an_error(change: bytes, tmp_path: Path, cache: Cache) -> None:
    path = write(tmp_path / "rows.tsv")
    file = LabelledFile(str(path), DataConfig(), cache)
    path.write_bytes(CONTENT + change)
    with pytest.raises(DataError, match=r"rows\.tsv: changed while it was read"):
        texts_of(file)


@pytest.mark.usefixtures("small_reads")
def test_progress_is_reported(tmp_path: Path, cache: Cache) -> None:
    reported: list[tuple[str, int, int | None]] = []
    path = write(tmp_path / "rows.tsv", CONTENT * 300)
    file = LabelledFile(str(path), DataConfig(), cache, progress=lambda *what: reported.append(what))
    list(file.read_texts(activity="encoding"))
    size = path.stat().st_size
    for activity in ("reading", "encoding"):
        done = [count for what, count, total in reported if (what, total) == (f"{activity} rows.tsv", size)]
        assert done == sorted(done)
        assert done[-1] == size
        assert len(done) > 10


def test_memory_holds_no_list_of_examples(tmp_path: Path, cache: Cache) -> None:
    import tracemalloc  # noqa: PLC0415 - it slows down what runs after it was started

    peaks = []
    for megabytes in (4, 16):
        path = write(tmp_path / f"{megabytes}.tsv", b"a\tsome words that make a line\n" * (megabytes * 35_000))
        tracemalloc.start()
        file = LabelledFile(str(path), DataConfig(), cache)
        assert sum(map(len, file.read_texts())) == megabytes * 35_000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_label_sets_have_keys_of_their_own(tmp_path: Path, cache: Cache) -> None:
    (tmp_path / "rows.tsv").write_text("a|b\tx\nb|a\ty\nb\tz\n")
    keys = {}
    for name, values in {
        "single": {},
        "whole": {"multi_label": True},
        "sets": {"multi_label": True, "label_separator": "|"},
    }.items():
        with LabelledFile(str(tmp_path / "rows.tsv"), DataConfig.model_validate(values), cache) as file:
            keys[name] = file.key
            assert file.labels == (["a\tb", "b\ta", "b"] if name == "sets" else ["a|b", "b|a", "b"])
    assert len(set(keys.values())) == 3


def test_several_files_are_read_end_to_end(tmp_path: Path, cache: Cache) -> None:
    one = write(tmp_path / "one.tsv", b"b\tone\na\ttwo two\n")
    two = write(tmp_path / "two.csv.gz", gzip.compress("text,label\n가,b\n,c\n".encode()))
    file = LabelledFile([str(one), str(two)], DataConfig(), cache)
    assert (file.labels, file.counts, file.classes.tolist()) == (["b", "a", "c"], [2, 1, 1], [0, 1, 0, 2])
    assert (texts_of(file), file.path) == (TEXTS, str(one))
    other = LabelledFile([str(two), str(one)], DataConfig(), cache)
    assert other.key != file.key
    write(two, b"text,label\nx\n")
    with pytest.raises(DataError, match=r"two\.csv\.gz:2: has 1 column"):
        LabelledFile([str(one), str(two)], DataConfig(), cache)


def test_columns_that_look_swapped_are_reported(tmp_path: Path, cache: Cache) -> None:
    path = write(tmp_path / "rows.tsv", b"".join(b"text number %d\tpos\n" % i for i in range(30)))
    file = LabelledFile(str(path), DataConfig(), cache)
    assert "look swapped" in (file.swap_fault or "")  # what a training set is refused for
    plain = write(tmp_path / "plain.tsv", b"".join(b"pos\ttext number %d\n" % i for i in range(30)))
    assert LabelledFile(str(plain), DataConfig(), cache).swap_fault is None


def test_notes_are_kept_with_the_rows(tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = count_scans(monkeypatch)
    rows = "".join(f"{'ab'[i % 2]};text {i};{i // 3}\n" for i in range(12))
    path = write(tmp_path / "rows.csv", ("label;text;who\n" + rows).encode("utf-16"))
    config = DataConfig(group="who")
    first, again = (LabelledFile(str(path), config, cache) for _ in range(2))
    assert (len(scans), len(first.notes)) == (1, 2)
    assert again.notes == first.notes
    groups = again.find_groups()
    assert [len(set(groups[i : i + 3].tolist())) for i in range(0, 12, 3)] == [1] * 4
    assert len(set(groups.tolist())) == 4
    monkeypatch.setattr(LabelledFile, "read_texts", lambda *_, **__: pytest.fail("the texts were read again"))
    assert again.find_groups().tolist() == groups.tolist()


def test_equal_texts_are_one_group(tmp_path: Path, cache: Cache) -> None:
    path = write(tmp_path / "rows.tsv", b"a\tOne two\nb\tone, TWO!\na\tthree\na\t\n")
    groups = LabelledFile(str(path), DataConfig(), cache).find_groups().tolist()
    assert groups[0] == groups[1]
    assert len(set(groups)) == 3


def test_a_first_row_that_may_be_a_header_is_noted(tmp_path: Path, cache: Cache) -> None:
    rows = b"".join(b"%s\ttext %d\n" % ([b"a", b"b"][i % 2], i) for i in range(20))
    (note,) = LabelledFile(str(write(tmp_path / "rows.tsv", b"Category\tMessage\n" + rows)), DataConfig(), cache).notes
    assert "rows.tsv:1: label 'Category'" in note
