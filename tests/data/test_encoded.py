"""Token ids on disk: what encoding in memory gives, once for the same content, whoever writes them."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from samples import SENTENCES
from textrnn.config import DataConfig
from textrnn.data import source
from textrnn.data.cache import Cache
from textrnn.data.encoded import Corpus, Encode, load_tokens
from textrnn.data.source import LabelledFile
from textrnn.tokenization.tokenizer import Tokenizer

ROWS = [(f"label{i % 3}", f"{SENTENCES[i % len(SENTENCES)]} {i}") for i in range(500)] + [
    ("label0", ""),
    ("x", "\u3000"),
]


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache.open(str(tmp_path / "cache"), pytest.fail)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.tsv"
    path.write_text("".join(f"{label}\t{text}\n" for label, text in ROWS), encoding="utf-8")
    return path


class Counted:
    """An encoder that counts the texts it is given."""

    def __init__(self, encode: Encode) -> None:
        self.encode, self.texts = encode, 0

    def __call__(self, texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        self.texts += len(texts)
        return self.encode(texts)


def load(path: Path, store: Cache, encode: Encode, *, name: str = "n", vocab_size: int = 60) -> Corpus:
    file = LabelledFile(str(path), DataConfig(), store)
    classes = np.arange(len(file.labels))
    return load_tokens(file, encode, store, name=name, vocab_size=vocab_size, classes=classes)


@pytest.mark.parametrize(("max_length", "chunk"), [(512, 1 << 20), (512, 100), (3, 1000)])
def test_the_ids_are_those_of_the_tokenizer(
    max_length: int, chunk: int, rows: Path, store: Cache, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_CHUNK_BYTES", chunk)
    corpus = load(rows, store, partial(tokenizer.encode_packed, max_length=max_length))
    expected = tokenizer.encode_all([text for _, text in ROWS], max_length=max_length)
    batch = corpus.select(np.arange(len(ROWS)))
    assert [batch.ids[a:b].tolist() for a, b in zip(batch.offsets[:-1], batch.offsets[1:], strict=True)] == expected
    assert batch.classes.tolist() == [int(label[-1]) if label != "x" else 3 for label, _ in ROWS]
    assert corpus.ids.dtype == np.uint16


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_535, "<u2"), (65_536, "<i4"), (1_000_000, "<i4")])
def test_ids_take_two_bytes_where_they_fit(vocab_size: int, dtype: str, rows: Path, store: Cache) -> None:
    def encode(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        return np.full(len(texts), vocab_size - 1, np.int32), np.ones(len(texts), np.int64)

    corpus = load(rows, store, encode, vocab_size=vocab_size)
    assert corpus.ids.dtype == np.dtype(dtype)
    assert set(corpus.select(np.arange(9)).ids.tolist()) == {vocab_size - 1}


def test_the_same_content_is_encoded_once(rows: Path, store: Cache, tokenizer: Tokenizer, tmp_path: Path) -> None:
    encode = Counted(partial(tokenizer.encode_packed, max_length=9))
    first = load(rows, store, encode)
    assert encode.texts == len(ROWS)
    copy = tmp_path / "copy.tsv"
    copy.write_bytes(rows.read_bytes())
    for path in (rows, copy):
        again = load(path, store, encode)
        assert again.ids.tolist() == first.ids.tolist()
    assert encode.texts == len(ROWS)
    load(rows, store, encode, name="another tokenizer")
    assert encode.texts == 2 * len(ROWS)
    with rows.open("a") as file:
        file.write("x\tmore\n")
    assert len(load(rows, store, encode)) == len(ROWS) + 1
    assert encode.texts == 3 * len(ROWS) + 1


def test_an_encoder_that_fails_leaves_no_entry(rows: Path, store: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_CHUNK_BYTES", 1000)
    calls = []

    def encode(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        calls.append(len(texts))
        if len(calls) > 5:
            raise MemoryError
        return np.zeros(len(texts), np.int32), np.ones(len(texts), np.int64)

    with pytest.raises(MemoryError):
        load(rows, store, encode)
    assert not any(path.name.startswith(("tokens-", "textrnn-draft-")) for path in store.folder.iterdir())


def test_the_cache_may_be_deleted_while_it_is_used(rows: Path, store: Cache, tokenizer: Tokenizer) -> None:
    encode = partial(tokenizer.encode_packed, max_length=9)
    corpus = load(rows, store, encode)
    expected = corpus.select(np.arange(len(ROWS))).ids.tolist()
    if os.name == "posix":
        subprocess.run(["rm", "-r", str(store.folder)], check=True)
    assert corpus.select(np.arange(len(ROWS))).ids.tolist() == expected


WRITER = """
import sys, time
from functools import partial
from pathlib import Path
import numpy as np
from textrnn.config import DataConfig
from textrnn.data.encoded import load_tokens
from textrnn.data.source import LabelledFile
from textrnn.data.cache import Store
rows, folder, model = sys.argv[1:]
from textrnn.tokenization.tokenizer import Tokenizer
tokenizer = Tokenizer.read(Path(model))
while not Path(rows).exists():  # all begin at once
    time.sleep(0.001)
store = Store(Path(folder))
file = LabelledFile(rows, DataConfig(), store)
encode = partial(tokenizer.encode_packed, max_length=99)
corpus = load_tokens(file, encode, store, name="n", vocab_size=60, classes=np.arange(len(file.labels)))
print(len(corpus), corpus.tokens, int(corpus.ids.sum()))
"""


def test_several_processes_write_the_same(rows: Path, store: Cache, tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "t.model").write_bytes(tokenizer.model)
    late = tmp_path / "late.tsv"
    arguments = [sys.executable, "-c", WRITER, str(late), str(store.folder), str(tmp_path / "t.model")]
    writers = [subprocess.Popen(arguments, stdout=subprocess.PIPE) for _ in range(4)]
    rows.rename(late)
    said = {writer.communicate(timeout=60)[0] for writer in writers}
    assert [writer.returncode for writer in writers] == [0] * 4
    expected = load(late, store, partial(tokenizer.encode_packed, max_length=99))
    assert said == {f"{len(ROWS)} {expected.tokens} {int(expected.ids.sum())}\n".encode()}
    kinds = sorted(path.name.split("-")[0] for path in store.folder.iterdir() if path.name != "files")
    assert kinds == ["CACHEDIR.TAG", "rows", "tokens"]


MEASURED = """
import sys
from functools import partial
from pathlib import Path
import numpy as np
from textrnn.config import DataConfig
from textrnn.data import encoded
from textrnn.data.sampler import bucket_batches
from textrnn.data.encoded import load_tokens
from textrnn.data.source import LabelledFile
from textrnn.data.cache import Store
from textrnn.tokenization.tokenizer import Tokenizer
encoded._MAPPED_BYTES = 4 << 20
encoded.count_threads = lambda: 2  # each holds some blocks, so the machine's cores would change what is measured
rows, folder, model = sys.argv[1:]
tokenizer = Tokenizer.read(Path(model))
store = Store(Path(folder))
file = LabelledFile(rows, DataConfig(), store)
encode = partial(tokenizer.encode_packed, max_length=99)
corpus = load_tokens(file, encode, store, name="n", vocab_size=60, classes=np.arange(len(file.labels)))
for batch in bucket_batches(corpus, 16, np.random.default_rng(0)):
    pass
print(len(corpus), next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell the peak of memory")
def test_memory_does_not_grow_with_the_file(store: Cache, tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "t.model").write_bytes(tokenizer.model)
    peaks = []
    for megabytes in (16, 80):  # the smaller fills all blocks that are held at once
        path = tmp_path / f"{megabytes}.tsv"
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(b"a\tthe kettle boils in two minutes and my parcel is late again\n" * 16_000)
        arguments = [sys.executable, "-c", MEASURED, str(path), str(store.folder), str(tmp_path / "t.model")]
        done = subprocess.run(arguments, capture_output=True, check=True)
        rows, peak = map(int, done.stdout.split())
        assert rows == megabytes * 16_000
        peaks.append(peak / 1024)
    # 64 MB of text and a million rows more: 20 bytes for each row, some blocks of text, and no more
    assert peaks[1] - peaks[0] < 40
