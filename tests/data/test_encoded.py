"""Token ids on disk: the same as encoding in memory, written once per content, whoever writes them."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from packed import make_batch, unpack
from samples import SENTENCES
from textrnn.config import DataConfig
from textrnn.data import encoded
from textrnn.data.cache import Cache
from textrnn.data.encoded import Corpus, Encode, load_tokens
from textrnn.data.reading.source import LabelledFile
from textrnn.data.sampler import bucket_batches, sorted_batches
from textrnn.data.windows import Windows
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.window_encoding import encode_and_count

ROWS = [(f"label{i % 3}", f"{SENTENCES[i % len(SENTENCES)]} {i}") for i in range(500)] + [
    ("label0", ""),
    ("x", "\u3000"),
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.tsv"
    path.write_text("".join(f"{label}\t{text}\n" for label, text in ROWS), encoding="utf-8")
    return path


class Counted:
    """An encoder that counts the texts it is given."""

    def __init__(self, encode: Encode) -> None:
        self.encode, self.texts = encode, 0

    def __call__(self, texts: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.texts += len(texts)
        return self.encode(texts)


def load(path: Path, cache: Cache, encode: Encode, *, name: str = "n", vocab_size: int = 60) -> Corpus:
    file = LabelledFile(str(path), DataConfig(), cache)
    classes = np.arange(len(file.labels))
    return load_tokens(file, encode, cache, name=name, vocab_size=vocab_size, classes=classes)


@pytest.mark.parametrize(("max_length", "chunk"), [(512, 1 << 20), (512, 100), (3, 1000)])
def test_the_ids_are_those_of_the_tokenizer(
    max_length: int, chunk: int, rows: Path, cache: Cache, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textrnn.data.reading.io.read_chunks.__defaults__", (chunk,))
    corpus = load(rows, cache, partial(encode_and_count, tokenizer, windows=Windows(max_length, 1)))
    expected = tokenizer.encode_all([text for _, text in ROWS], max_length=max_length)
    batch = corpus.select(np.arange(len(ROWS)))
    assert unpack(batch) == expected
    assert batch.classes.tolist() == [int(label[-1]) if label != "x" else 3 for label, _ in ROWS]
    assert corpus.ids.dtype == np.uint16


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_535, "<u2"), (65_536, "<i4"), (1_000_000, "<i4")])
def test_a_small_vocabulary_takes_two_bytes_per_id(vocab_size: int, dtype: str, rows: Path, cache: Cache) -> None:
    def encode(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ones = np.ones(len(texts), np.int64)
        return np.full(len(texts), vocab_size - 1, np.int32), ones, ones

    corpus = load(rows, cache, encode, vocab_size=vocab_size)
    assert corpus.ids.dtype == np.dtype(dtype)
    assert set(corpus.select(np.arange(9)).ids.tolist()) == {vocab_size - 1}


def test_the_same_content_is_encoded_once(rows: Path, cache: Cache, tokenizer: Tokenizer, tmp_path: Path) -> None:
    encode = Counted(partial(encode_and_count, tokenizer, windows=Windows(9, 1)))
    first = load(rows, cache, encode)
    assert encode.texts == len(ROWS)
    copy = tmp_path / "copy.tsv"
    copy.write_bytes(rows.read_bytes())
    for path in (rows, copy):
        again = load(path, cache, encode)
        assert again.ids.tolist() == first.ids.tolist()
    assert encode.texts == len(ROWS)
    load(rows, cache, encode, name="another tokenizer")
    assert encode.texts == 2 * len(ROWS)
    with rows.open("a") as file:
        file.write("x\tmore\n")
    assert len(load(rows, cache, encode)) == len(ROWS) + 1
    assert encode.texts == 3 * len(ROWS) + 1


@pytest.mark.usefixtures("small_reads")
def test_a_failing_encoder_leaves_no_entry(rows: Path, cache: Cache) -> None:
    calls = []

    def encode(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        calls.append(len(texts))
        if len(calls) > 5:
            raise MemoryError
        ones = np.ones(len(texts), np.int64)
        return np.zeros(len(texts), np.int32), ones, ones

    with pytest.raises(MemoryError):
        load(rows, cache, encode)
    assert not any(path.name.startswith(("tokens-", "textrnn-draft-")) for path in cache.folder.iterdir())


def test_the_cache_can_be_deleted_while_in_use(rows: Path, cache: Cache, tokenizer: Tokenizer) -> None:
    encode = partial(encode_and_count, tokenizer, windows=Windows(9, 1))
    corpus = load(rows, cache, encode)
    expected = corpus.select(np.arange(len(ROWS))).ids.tolist()
    if os.name == "posix":
        subprocess.run(["rm", "-r", str(cache.folder)], check=True)
    assert corpus.select(np.arange(len(ROWS))).ids.tolist() == expected


SCRIPT = """
import sys, time
from functools import partial
from pathlib import Path
import numpy as np
from textrnn.config import DataConfig
from textrnn.data import encoded
from textrnn.data.cache import Cache
from textrnn.data.encoded import load_tokens
from textrnn.data.sampler import bucket_batches
from textrnn.data.reading.source import LabelledFile
from textrnn.data.windows import Windows
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.window_encoding import encode_and_count
encoded._MAPPED_BYTES = 4 << 20
encoded.count_threads = lambda: 2  # memory grows with the number of threads
rows, folder, model, goal = sys.argv[1:]
tokenizer = Tokenizer.read(Path(model))
while not Path(rows).exists():  # all start at once
    time.sleep(0.001)
cache = Cache(Path(folder))
file = LabelledFile(rows, DataConfig(), cache)
encode = partial(encode_and_count, tokenizer, windows=Windows(99, 1))
corpus = load_tokens(file, encode, cache, name="n", vocab_size=60, classes=np.arange(len(file.labels)))
if goal == "ids":
    print(len(corpus), corpus.tokens, int(corpus.ids.sum()))
else:
    for batch in bucket_batches(corpus, 16, np.random.default_rng(0)):
        pass
    print(len(corpus), next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def test_several_processes_write_the_same_entry(rows: Path, cache: Cache, tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "t.model").write_bytes(tokenizer.model)
    late = tmp_path / "late.tsv"
    arguments = [sys.executable, "-c", SCRIPT, str(late), str(cache.folder), str(tmp_path / "t.model"), "ids"]
    writers = [subprocess.Popen(arguments, stdout=subprocess.PIPE) for _ in range(4)]
    rows.rename(late)
    printed = {writer.communicate(timeout=60)[0] for writer in writers}
    assert [writer.returncode for writer in writers] == [0] * 4
    expected = load(late, cache, partial(encode_and_count, tokenizer, windows=Windows(99, 1)))
    assert printed == {f"{len(ROWS)} {expected.tokens} {int(expected.ids.sum())}\n".encode()}
    kinds = sorted(path.name.split("-")[0] for path in cache.folder.iterdir() if path.name != "files")
    assert kinds == ["CACHEDIR.TAG", "rows", "tokens"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not report peak memory")
def test_memory_does_not_grow_with_the_file(cache: Cache, tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "t.model").write_bytes(tokenizer.model)
    peaks = []
    for megabytes in (16, 80):  # the smaller one fills all blocks already
        path = tmp_path / f"{megabytes}.tsv"
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(b"a\tthe kettle boils in two minutes and my parcel is late again\n" * 16_000)
        arguments = [sys.executable, "-c", SCRIPT, str(path), str(cache.folder), str(tmp_path / "t.model"), "memory"]
        done = subprocess.run(arguments, capture_output=True, check=True)
        rows, peak = map(int, done.stdout.split())
        assert rows == megabytes * 16_000
        peaks.append(peak / 1024)
    # 64 MB of text and a million rows more take 20 bytes per row and a few blocks of text
    assert peaks[1] - peaks[0] < 40


def write_corpus(
    folder: Path, ids: list[int] | np.ndarray, offsets: list[int] | np.ndarray, *, dtype: str = "<u2"
) -> Corpus:
    """Return a memory-mapped corpus whose row ``i`` has class ``i``."""
    columns = {"ids": (ids, dtype), "offsets": (offsets, "<i8"), "classes": (range(len(offsets) - 1), "<i4")}
    for name, (values, kind) in columns.items():
        np.asarray(values).astype(kind).tofile(folder / name)
    maps = [np.memmap(folder / name, kind, "r") for name, (_, kind) in columns.items()]
    return Corpus(*maps, class_of=np.arange(len(offsets) - 1))


@pytest.fixture(params=["<u2", "<i4"])
def corpus(request: pytest.FixtureRequest, tmp_path: Path) -> Corpus:
    batch, _ = make_batch(300)
    return write_corpus(tmp_path, batch.ids, batch.offsets, dtype=request.param)


BATCH, SEQUENCES = make_batch(300)


def test_a_corpus_selects_like_a_batch(corpus: Corpus) -> None:
    assert len(corpus) == 300
    assert corpus.lengths.dtype == np.int32
    assert corpus.lengths.tolist() == list(map(len, SEQUENCES))
    assert corpus.tokens == sum(map(len, SEQUENCES))
    for rows in ([3, 3, 49, 0], [], list(range(50))):
        batch = corpus.select(np.array(rows, np.int64))
        assert unpack(batch) == [SEQUENCES[row] for row in rows]
        assert batch.classes.tolist() == rows


def test_a_corpus_gives_the_same_batches_as_memory(corpus: Corpus) -> None:
    for size, tokens in ((8, None), (None, 40)):
        on_disk, in_memory = (
            [batch.ids.tolist() for batch in bucket_batches(texts, size, np.random.default_rng(1), batch_tokens=tokens)]
            for texts in (corpus, BATCH)
        )
        assert on_disk == in_memory
    on_disk, in_memory = ([rows.tolist() for rows, _ in sorted_batches(texts, 30)] for texts in (corpus, BATCH))
    assert on_disk == in_memory


def test_a_part_of_a_corpus_shares_its_files(corpus: Corpus) -> None:
    part = corpus.keep(np.array([40, 7, 9, 8]))
    assert part.ids is corpus.ids
    assert part.lengths.tolist() == [len(SEQUENCES[row]) for row in (40, 7, 9, 8)]
    assert part.classes.tolist() == [40, 7, 9, 8]
    assert unpack(part.select(np.array([2, 0]))) == [SEQUENCES[9], SEQUENCES[40]]
    assert part.keep(np.array([3, 1])).classes.tolist() == [8, 7]


@pytest.mark.parametrize("size", [3, 1 << 14])
def test_a_corpus_counts_its_ids(size: int, corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "_BLOCK_TEXTS", size)
    kept = [40, 7, 9, 8]
    for texts, rows in ((corpus, range(300)), (corpus.keep(np.array(kept)), kept)):
        ids = [token for row in rows for token in SEQUENCES[row]]
        assert texts.count_ids(1000).tolist() == [ids.count(token) for token in range(1000)]


def test_classes_are_those_of_the_model(tmp_path: Path) -> None:
    files = write_corpus(tmp_path, [1] * 6, list(range(7)))
    corpus = Corpus(files.ids, files.offsets, files.label_numbers, np.array([1, -1, 0, 1, 1, -1]))
    assert corpus.classes.tolist() == [1, -1, 0, 1, 1, -1]
    assert corpus.select(np.array([5, 3])).classes.tolist() == [-1, 1]
    assert corpus.count_classes(2) == [1, 3]
    assert corpus.keep(np.array([0, 1, 2])).count_classes(2) == [1, 1]


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the system does not list mapped pages")
def test_pages_that_were_read_are_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "_MAPPED_BYTES", 4 << 20)
    rows, length = 40_000, 400
    corpus = write_corpus(tmp_path, np.zeros(rows * length), np.arange(0, rows * length + 1, length))
    mapped = []
    for number, _ in enumerate(bucket_batches(corpus, 32, np.random.default_rng(0))):
        if number < 100:
            text = Path("/proc/self/smaps").read_text()
            mapped.append(text.split(f"{tmp_path / 'ids'}\n", 1)[1].split("\nRss:", 1)[1].split("kB")[0].strip())
    assert mapped.count("0") == 50  # every second batch fills the limit
