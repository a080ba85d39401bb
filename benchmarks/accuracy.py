"""Test accuracy and training time of SRU, GRU and LSTM, compared with fastText and a linear SVM.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/accuracy.py [--sets trec,sst2] [--seeds 3] [--cells sru,gru,lstm]
        [--vectors glove.6B.50d.txt]

FOLDER holds NAME/train.tsv, valid.tsv and test.tsv (label<TAB>text); all sets are used without --sets. Each cell
and seed is trained by `textrnn train --train .. --valid .. --cell .. --set train.seed=..` with an empty cache and
evaluated on the test set. Contestants take turns. The baselines (baselines.py) are tuned on the same validation
set: fastText once per seed, the SVM once.

Each result is printed on stderr, the table on stdout at the end. --json stores results as they come; a second call
adds the missing ones, and refuses a file that was written with other code or data.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from itertools import product
from pathlib import Path

from baselines import PARTS, Result, evaluate, has_fasttext, train_fasttext, train_svm
from job import CELLS
from process import run_textrnn

import textrnn
from textrnn.files import write_text

FASTTEXT, SVM, VECTORS = "fastText", "SVM", "SRU + vectors"
ENGLISH = 0.9  # minimum share of ASCII in a training set for which English vectors are used

Train = Callable[[Path, "int | None"], Result]
Key = tuple[str, str, "int | None"]  # contestant, data set, seed (None for the SVM)


def train_network(data: Path, seed: int | None, *, cell: str, vectors: Path | None = None) -> Result:
    """Train with default settings and evaluate on the test set; ``seconds`` is the time of the training command."""
    arguments = ["--train", data / "train.tsv", "--valid", data / "valid.tsv", "--cell", cell]
    arguments += ["--set", f"train.seed={seed}", *(() if vectors is None else ("--vectors", vectors))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {"XDG_CACHE_HOME": str(folder / "cache")}
        training = run_textrnn("train", *arguments, cwd=folder, environment=environment)
        evaluation = run_textrnn("evaluate", data / "test.tsv", "--json", cwd=folder, environment=environment)
    metrics = json.loads(evaluation.stdout)
    return {"accuracy": metrics["accuracy"], "seconds": training.seconds, "evaluation": metrics}


def list_contestants(cells: Sequence[str], vectors: Path | None) -> dict[str, Train]:
    """Return the function that trains and evaluates each contestant."""
    contestants: dict[str, Train] = {}
    if has_fasttext():
        contestants[FASTTEXT] = lambda data, seed: evaluate(train_fasttext(data, seed))
    contestants[SVM] = lambda data, _: evaluate(train_svm(data))
    contestants |= {cell.upper(): partial(train_network, cell=cell) for cell in cells}
    if vectors is not None:
        contestants[VECTORS] = partial(train_network, cell="sru", vectors=vectors)
    return contestants


def list_vector_files(path: Path | None) -> list[Path]:
    """Return the files of word vectors: the file and, for NumPy arrays, its vocabulary."""
    if path is None:
        return []
    return [path, path.with_suffix(".vocab")] if path.suffix == ".npy" else [path]


def is_english(data: Path) -> bool:
    """Return whether the training set is mostly ASCII."""
    text = (data / "train.tsv").read_text(encoding="utf-8")
    return sum(map(str.isascii, text)) >= ENGLISH * len(text)


def plan(names: Iterable[str], sets: Sequence[Path], seeds: int) -> list[tuple[str, Path, int | None]]:
    """Return (contestant, data set, seed) in turns, so that an early stop leaves complete turns."""
    english = set(filter(is_english, sets))
    turns = product(range(1, seeds + 1), sets, names)
    runs = [(name, data, None if name == SVM else n) for n, data, name in turns if name != VECTORS or data in english]
    return list(dict.fromkeys(runs))


# stored results


def digest(paths: Iterable[Path]) -> str:
    """Return a digest of the names and contents of files."""
    hasher = blake2b(digest_size=16)
    for path in paths:
        hasher.update(f"\0{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                hasher.update(chunk)
    return hasher.hexdigest()


def digest_code() -> str:
    """Return a digest of the files of the installed package."""
    paths = sorted(Path(textrnn.__file__).parent.rglob("[!.]*"))
    return digest(path for path in paths if path.is_file() and "__pycache__" not in path.parts)


class Record:
    """Results by contestant, data set and seed, with digests of their sources; stored in a file if a path is given."""

    def __init__(self, path: Path | None, sources: Mapping[str, str]) -> None:
        self.path = path
        self.sources = dict(sources)
        self.results: dict[Key, Result] = {}
        if path is not None and path.exists():
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            sources = dict(content["made_of"])
            self.results = {(r["row"], r["set"], r["seed"]): r for r in content["results"]}
        except (ValueError, KeyError, TypeError):
            sys.exit(f"{path}: not a file of this benchmark; name another file with --json")
        for name, now in self.sources.items():
            if sources.get(name, now) != now:
                sys.exit(f"{path}: {name} has changed since it was written; name another file with --json")
        self.sources = sources | self.sources

    def add(self, key: Key, result: Result) -> None:
        """Add a result and write the file."""
        name, data, seed = key
        self.results[key] = {"row": name, "set": data, "seed": seed, **result}
        if self.path is not None:
            content = {"made_of": self.sources, "results": list(self.results.values())}
            write_text(self.path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def fill(record: Record, contestants: Mapping[str, Train], runs: Sequence[tuple[str, Path, int | None]]) -> None:
    """Train and evaluate what is missing in the record, and report each result on stderr."""
    for number, (name, data, seed) in enumerate(runs, start=1):
        key = (name, data.name, seed)
        stored = key in record.results
        if not stored:
            result = contestants[name](data, seed)
            if digest_code() != record.sources["textrnn's code"]:
                sys.exit("textrnn's code changed during the run; the last result is discarded")
            record.add(key, result)
        result = record.results[key]
        outcome = f"{100 * result['accuracy']:.2f} %, {result['seconds']:.1f} s{' (stored)' if stored else ''}"
        turn = "" if seed is None else f", seed {seed}"
        print(f"[{number}/{len(runs)}] {name}, {data.name}{turn}: {outcome}", file=sys.stderr, flush=True)


# the table


def collect(results: Iterable[Result], name: str, field: str) -> dict[str, list[float]]:
    """Return a contestant's values of a field by data set, in the order of seeds; empty if a result lacks the field.

    Fields of ``textrnn evaluate --json`` count as fields of the result.
    """
    values: dict[str, list[float]] = {}
    for result in results:
        if result["row"] == name:
            value = {**result.get("evaluation", {}), **result}.get(field)
            if value is None:
                return {}
            values.setdefault(result["set"], []).append(value)
    return values


def average(values: Mapping[str, Sequence[float]]) -> list[float]:
    """Return the mean over the data sets for each seed."""
    return [statistics.fmean(turn) for turn in zip(*values.values(), strict=True)]


def format_percent(values: Sequence[float]) -> str:
    """Return mean and standard deviation (n - 1) in %."""
    deviation = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * statistics.fmean(values):.2f}{deviation}"


def format_seconds(values: Sequence[float]) -> str:
    """Return the mean."""
    return f"{statistics.fmean(values):.1f}"


FIELDS = (  # field of a result, title of the row, format of the values
    ("accuracy", "{}", format_percent),
    ("seconds", "{}, training s", format_seconds),
    ("calibration_error_uncalibrated", "{}, ECE before calibration %", format_percent),
    ("calibration_error", "{}, ECE %", format_percent),
)


def tabulate(results: Sequence[Result], sets: Sequence[str]) -> list[str]:
    """Return the lines of the table, a column per data set; baselines have a row for accuracy only."""
    names = list(dict.fromkeys(result["row"] for result in results))
    lines = [f"| | {' | '.join(sets)} | mean |", "|" + "---|" * (len(sets) + 2)]
    for field, title, form in FIELDS:
        for name in names if field == "accuracy" else [name for name in names if name not in (FASTTEXT, SVM)]:
            values = collect(results, name, field)
            if values:
                cells = [form(values[data]) if data in values else "" for data in sets]
                note = f" ({len(values)} of {len(sets)} sets)" if len(values) < len(sets) else ""
                lines.append(f"| {' | '.join([title.format(name), *cells, form(average(values)) + note])} |")
    return lines


def compare(results: Sequence[Result]) -> list[str]:
    """Return how SRU compares with the others: points of accuracy on average, and the ratio of times."""

    def mean(name: str, field: str, sets: Iterable[str] | None = None) -> float:
        values = collect(results, name, field)
        return statistics.fmean(average(values if sets is None else {data: values[data] for data in sets}))

    names = list(dict.fromkeys(result["row"] for result in results))
    if "SRU" not in names:
        return []
    gains = [
        f"SRU - {name} {100 * (mean('SRU', 'accuracy') - mean(name, 'accuracy')):+.2f}"
        for name in names
        if name not in ("SRU", VECTORS)
    ]
    lines = [f"points on average: {', '.join(gains)}"]
    if "GRU" in names:
        lines.append(f"training time GRU / SRU {mean('GRU', 'seconds') / mean('SRU', 'seconds'):.2f}")
    if VECTORS in names:
        sets = list(collect(results, VECTORS, "accuracy"))
        gain = mean(VECTORS, "accuracy") - mean("SRU", "accuracy", sets)
        lines.append(f"points on average on {', '.join(sets)}: {VECTORS} - SRU {100 * gain:+.2f}")
    return lines


def parse() -> argparse.Namespace:
    """Return the options, with the data sets as folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", help="names of data sets, separated by commas")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, from 1 on")
    parser.add_argument("--cells", default=",".join(CELLS), help="sru, gru and lstm")
    parser.add_argument("--vectors", type=Path, help="English word vectors, for one more row")
    parser.add_argument("--json", type=Path, metavar="FILE", help="store all results in FILE")
    parser.add_argument("--data", default=os.environ.get("TEXTRNN_TEST_DATA"), metavar="FOLDER")
    options = parser.parse_args()
    if not options.data:
        parser.error("name a folder of data sets with --data or TEXTRNN_TEST_DATA")
    if options.seeds < 1:
        parser.error("--seeds: at least 1")
    folder = Path(options.data).resolve()
    names = options.sets.split(",") if options.sets else sorted(path.parent.name for path in folder.glob("*/train.tsv"))
    options.sets = [folder / name for name in names]
    options.cells = options.cells.split(",")
    options.vectors = options.vectors and options.vectors.resolve()
    needed = [data / f"{part}.tsv" for data in options.sets for part in PARTS]
    needed += list_vector_files(options.vectors)
    if missing := [str(path) for path in needed if not path.is_file()]:
        parser.error(f"{missing[0]}: no such file")
    if not names:
        parser.error(f"{folder}: no data sets (NAME/train.tsv)")
    return options


def main() -> None:
    """Train and evaluate what is missing, and print the table."""
    options = parse()
    sources = {"textrnn's code": digest_code()}
    sources |= {f"the set {data.name}": digest(data / f"{part}.tsv" for part in PARTS) for data in options.sets}
    if options.vectors:
        sources["the vectors"] = digest(list_vector_files(options.vectors))
    record = Record(options.json, sources)
    contestants = list_contestants(options.cells, options.vectors)
    runs = plan(contestants, options.sets, options.seeds)
    fill(record, contestants, runs)
    results = [record.results[name, data.name, seed] for name, data, seed in runs]
    print(*tabulate(results, [data.name for data in options.sets]), "", *compare(results), sep="\n")


if __name__ == "__main__":
    main()
