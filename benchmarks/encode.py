"""Time of encoding with the cache of words, compared with SentencePiece alone.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/encode.py [--repeats 5] [--sets mr,nsmc,imdb] [--model-type unigram]

For each set, trains a tokenizer of 8,000 pieces on its training texts, and encodes them (mr six times: 51,180 lines) in
chunks of 64 KiB, on one thread and on two: by SentencePiece, by a new tokenizer of textrnn, whose cache is empty, and
by the same one again. The three take turns; the table has the least processor time of all threads, the least wall
time, and medians of the ratios within a turn. Stops if an id differs.
"""

from __future__ import annotations

import argparse
import lzma
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import sentencepiece

from textrnn.native.malloc import keep_freed_memory
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer

COPIES = {"mr": 6}
CHUNK_BYTES = 1 << 16
MAX_LENGTH = 512
NAMES = ("SentencePiece", "empty cache", "filled cache")

Encode = Callable[[list[bytes]], list[np.ndarray]]


def read_texts(folder: Path) -> list[bytes]:
    path = folder / "train.tsv"
    content = path.read_bytes() if path.exists() else lzma.decompress((folder / "train.tsv.xz").read_bytes())
    return [line.split(b"\t", 1)[1] for line in content.split(b"\n")[:-1]]


def cut_chunks(texts: Sequence[bytes]) -> list[list[bytes]]:
    chunks: list[list[bytes]] = [[]]
    size = 0
    for text in texts:
        if chunks[-1] and size + len(text) > CHUNK_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append(text)
        size += len(text)
    return chunks


def by_sentencepiece(model: bytes) -> Encode:
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    out_type = "numpy" if hasattr(processor, "EncodeAsNumpy") else int
    return lambda chunk: processor.encode(chunk, num_threads=1, out_type=out_type)


def by_textrnn(model: bytes) -> Encode:
    tokenizer = Tokenizer(model, name="the tokenizer")
    return lambda chunk: [tokenizer.encode_packed(chunk, max_length=MAX_LENGTH)[0]]


def measure(encode: Encode, chunks: list[list[bytes]], threads: int) -> tuple[float, float]:
    """Return seconds of processor time and of wall time."""
    with ThreadPoolExecutor(threads) as pool:
        start, wall = time.process_time(), time.perf_counter()
        for _ in pool.map(encode, chunks):
            pass
        return time.process_time() - start, time.perf_counter() - wall


def compare_ids(theirs: Encode, ours: Encode, chunks: list[list[bytes]]) -> None:
    for chunk in chunks:
        expected = np.concatenate([np.asarray(row, np.int32)[:MAX_LENGTH] for row in theirs(chunk) if len(row)])
        blank = sum(not len(row) for row in theirs(chunk))
        if not blank and not np.array_equal(ours(chunk)[0], expected):
            sys.exit("the ids differ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--sets", default="mr,nsmc,imdb", metavar="LIST")
    parser.add_argument("--model-type", default="unigram", choices=("unigram", "bpe"))
    options = parser.parse_args()
    keep_freed_memory()  # as the commands do
    data = Path(os.environ.get("TEXTRNN_TEST_DATA") or parser.error("set TEXTRNN_TEST_DATA to a folder of data sets"))
    print("| set | threads | encoder | processor s | wall s | ratio |\n|---|---|---|---|---|---|")
    for name in options.sets.split(","):
        texts = read_texts(data / name)
        model = train_tokenizer(texts, model_type=options.model_type, hard_vocab_limit=False, sample_lines=50_000).model
        chunks = cut_chunks(texts * COPIES.get(name, 1))
        compare_ids(by_sentencepiece(model), by_textrnn(model), chunks)
        for threads in (1, 2):
            turns = []
            for _ in range(options.repeats):
                theirs, ours = by_sentencepiece(model), by_textrnn(model)
                turns.append([measure(encode, chunks, threads) for encode in (theirs, ours, ours)])
            for i, encoder in enumerate(NAMES):
                cpu, wall = (min(turn[i][kind] for turn in turns) for kind in (0, 1))
                ratio = statistics.median(turn[0][0] / turn[i][0] for turn in turns)
                print(f"| {name} | {threads} | {encoder} | {cpu:.3f} | {wall:.3f} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
