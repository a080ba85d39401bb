"""Memory, time to the first step and rate of encoding when training on a large file.

    python benchmarks/memory.py [--megabytes 1000] [--steps 200]

writes a labelled file of random words with the frequencies of a natural language and trains on it twice, the second
time from the cache. Prints the peak resident memory of the whole process, the seconds to its first step, and the
tokens per second of reading, encoding and writing, compared with SentencePiece's own multi-threaded encoding of the
same texts from memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import sentencepiece
from process import measure, read_texts

from textrnn.config import DataConfig
from textrnn.data.cache import Cache
from textrnn.data.encoded import count_threads, load_tokens
from textrnn.data.reading.source import LabelledFile
from textrnn.data.windows import Windows
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.window_encoding import encode_and_count

WORDS = 200_000
CLASSES = 8
TURNS = 3
ENCODED_MEGABYTES = 200  # for the rates: SentencePiece holds texts and ids in memory
WATCH = """
import sys, time
from textrnn.cli.progress import PlainReporter

def step(self, *arguments, **keywords):
    del PlainReporter.step
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
    print("first step", time.time(), peak, file=sys.stderr, flush=True)

PlainReporter.step = step
sys.argv = ["textrnn", *sys.argv[1:]]
from textrnn.__main__ import main
main()
"""


def write_text(path: Path, megabytes: int) -> None:
    """Write about ``megabytes`` of lines ``label<TAB>text`` of 3 to 24 words."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    weights = 1 / np.arange(1, 27) ** 0.7
    lengths = rng.integers(2, 11, WORDS)
    drawn = "".join(rng.choice(letters, int(lengths.sum()), p=weights / weights.sum()))
    ends = np.cumsum(lengths)
    words = np.array([drawn[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)])
    share = 1 / np.arange(1, WORDS + 1)
    cumulated = np.cumsum(share / share.sum())
    written = 0
    with path.open("w", encoding="ascii") as file:
        while written < megabytes * 10**6:
            counts = rng.integers(3, 25, 20_000)
            picked = words[np.searchsorted(cumulated, rng.random(int(counts.sum()))).clip(max=WORDS - 1)].tolist()
            stops = np.cumsum(counts).tolist()
            labels = rng.integers(0, CLASSES, len(counts)).tolist()
            lines, start = [], 0
            for label, stop in zip(labels, stops, strict=True):
                lines.append(f"class{label}\t{' '.join(picked[start:stop])}\n")
                start = stop
            written += file.write("".join(lines))


def train(data: Path, folder: Path, steps: int) -> tuple[float, int, int]:
    """Train; return the seconds to the first step, and the peak memory in bytes then and at the end."""
    arguments = ["train", "--train", data, "--out", folder / "run", "--overwrite", "--epochs", "1"]
    arguments += ["--batch-size", "32", "--set", f"train.max_steps={steps}", "--set", "data.valid_share=0.0001"]
    start = time.time()
    measured = measure([sys.executable, "-c", WATCH, *arguments], environment={"XDG_CACHE_HOME": str(folder / "cache")})
    words = next(line for line in measured.stderr.splitlines() if line.startswith("first step")).split()
    return float(words[2]) - start, int(words[3]) * 1024, measured.peak


def take_first(source: Path, target: Path, megabytes: int) -> None:
    """Copy the first ``megabytes`` of ``source``, cut at a line end."""
    with source.open("rb") as file:
        data = file.read(megabytes * 10**6)
    target.write_bytes(data[: data.rfind(b"\n") + 1])


class Stopwatch:
    """Wall time and processor time; the latter is independent of other programs on the machine."""

    def __init__(self) -> None:
        self.start = time.perf_counter(), time.process_time()

    def rate(self, tokens: int) -> np.ndarray:
        """Return tokens per second of wall time and of processor time."""
        return tokens / (np.array([time.perf_counter(), time.process_time()]) - self.start)


def measure_rates(data: Path, tokenizer: Tokenizer, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the rates (turns, 2) of SentencePiece's own encoding, and of reading, encoding and writing."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    theirs, ours = [], []
    for turn in range(TURNS):
        texts = read_texts(data)
        watch = Stopwatch()
        tokens = sum(map(len, processor.encode(texts, num_threads=count_threads())))
        theirs.append(watch.rate(tokens))
        del texts
        store = Cache.open(str(folder / f"rate-{turn}"), print)
        file = LabelledFile(str(data), DataConfig(), store)
        watch = Stopwatch()
        corpus = load_tokens(
            file,
            partial(encode_and_count, tokenizer, windows=Windows(10**6, 1)),
            store,
            name="rate",
            vocab_size=len(tokenizer),
            classes=np.arange(CLASSES),
        )
        ours.append(watch.rate(corpus.tokens))
        assert corpus.tokens == tokens
    return np.array(theirs), np.array(ours)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = folder / "data.tsv"
        write_text(data, options.megabytes)
        with data.open("rb") as file:
            lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        print(f"file: {data.stat().st_size / 1e6:,.0f} MB, {lines:,} lines", flush=True)
        time.sleep(3)  # the digest of a file that has just changed is not cached
        for name in ("first", "second"):
            seconds, before, peak = train(data, folder, options.steps)
            print(
                f"{name} run: {seconds:.1f} s to the first step, peak resident memory "
                f"{peak / 2**20:,.0f} MiB ({before / 2**20:,.0f} MiB by the first step)",
                flush=True,
            )
        models = list((folder / "cache" / "textrnn").glob("tokenizer-*/tokenizer.model"))
        take_first(data, folder / "part.tsv", ENCODED_MEGABYTES)
        theirs, ours = measure_rates(folder / "part.tsv", Tokenizer.read(models[0]), folder)
        print(f"| {count_threads()} threads | tokens/s | tokens/s of processor time |\n|---|---|---|")
        rows = ("SentencePiece, a list in memory", theirs), ("read, encode and write", ours), ("ratio", ours / theirs)
        for name, rates in rows:
            digits = 2 if name == "ratio" else 0
            print(f"| {name} | {' | '.join(f'{rate:,.{digits}f}' for rate in np.median(rates, axis=0))} |")


if __name__ == "__main__":
    main()
