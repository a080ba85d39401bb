"""Does the default recipe reach what is simpler? Test accuracy of SRU and GRU beside fastText and a linear SVM.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/accuracy.py [--sets trec,sst2] [--seeds 3] [--vectors glove.6B.50d.txt]

FOLDER holds NAME/train.tsv, valid.tsv and test.tsv (label<TAB>text); without --sets all of them count. Every cell is
trained with each seed by the command `textrnn train --train .. --valid .. --cell .. --set train.seed=..`, with a cache
folder of its own so that none finds what another has made, and scored on test. The contestants take turns. The
baselines (see baselines.py) are tuned on the same valid text and run in between: fastText once for each seed, the SVM
once. fastText is left out where it is not installed (`pip install 'textrnn[peers]'`).

A line for each result goes to stderr, the table to stdout at the end. --json keeps all results in a file as they come;
a second call with it makes only those that are missing, and refuses a file that was made with other code or data.
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

from baselines import PARTS, Result, choose, has_fasttext, try_fasttext, try_svm
from job import CELLS, run

import textrnn
from textrnn.data.word_vectors import list_files
from textrnn.files import write_text

FASTTEXT, SVM, VECTORS = "fastText", "SVM", "SRU + vectors"
ENGLISH = 0.9  # the share of ASCII in a training text from which on English vectors suit it

Make = Callable[[Path, "int | None"], Result]
Key = tuple[str, str, "int | None"]  # row, set, seed; the SVM has no seed


def train_network(data: Path, seed: int | None, *, cell: str, vectors: Path | None = None) -> Result:
    """Train with default settings and score on test; ``seconds`` are those of the whole training command."""
    files = ("--train", data / "train.tsv", "--valid", data / "valid.tsv")
    more = () if vectors is None else ("--vectors", vectors)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        cache = {"XDG_CACHE_HOME": str(folder / "cache")}
        _, seconds = run(
            "train", *files, "--cell", cell, "--set", f"train.seed={seed}", *more, cwd=folder, environment=cache
        )
        scores = json.loads(run("evaluate", data / "test.tsv", "--json", cwd=folder, environment=cache)[0])
    return {"accuracy": scores["accuracy"], "seconds": seconds, "evaluation": scores}


def list_rows(cells: Sequence[str], vectors: Path | None) -> dict[str, Make]:
    """Return what makes the results of each row of the table."""
    rows: dict[str, Make] = {}
    if not has_fasttext():
        print("fastText is left out: it is not installed (pip install 'textrnn[peers]')", file=sys.stderr)
    else:
        rows[FASTTEXT] = lambda data, seed: choose(try_fasttext(data, seed))
    rows[SVM] = lambda data, _: choose(try_svm(data))
    rows |= {cell.upper(): partial(train_network, cell=cell) for cell in cells}
    if vectors is not None:
        rows[VECTORS] = partial(train_network, cell="sru", vectors=vectors)
    return rows


def is_english(data: Path) -> bool:
    text = (data / "train.tsv").read_text(encoding="utf-8")
    return sum(map(str.isascii, text)) >= ENGLISH * len(text)


def plan(rows: Iterable[str], sets: Sequence[Path], seeds: int) -> list[tuple[str, Path, int | None]]:
    """Return (row, set, seed) in the order in which they are made: an early stop leaves whole turns."""
    english = set(filter(is_english, sets))
    turns = product(range(1, seeds + 1), sets, rows)
    wanted = [(row, data, None if row == SVM else n) for n, data, row in turns if row != VECTORS or data in english]
    return list(dict.fromkeys(wanted))


# what has been made


def digest(paths: Iterable[Path]) -> str:
    """Return a digest of the names and the content of files."""
    hasher = blake2b(digest_size=16)
    for path in paths:
        hasher.update(f"\0{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                hasher.update(chunk)
    return hasher.hexdigest()


def digest_code() -> str:
    """Return a digest of the files of the package textrnn that runs here."""
    paths = sorted(Path(textrnn.__file__).parent.rglob("[!.]*"))
    return digest(path for path in paths if path.is_file() and "__pycache__" not in path.parts)


class Record:
    """The results by row, set and seed, and the digests of what they were made of; in a file, if there is a path."""

    def __init__(self, path: Path | None, made_of: Mapping[str, str]) -> None:
        self.path = path
        self.made_of = dict(made_of)
        self.results: dict[Key, Result] = {}
        if path is not None and path.exists():
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            made_of = dict(found["made_of"])
            self.results = {(r["row"], r["set"], r["seed"]): r for r in found["results"]}
        except (ValueError, KeyError, TypeError):
            sys.exit(f"{path}: holds no results of this benchmark; give --json another file")
        for name, now in self.made_of.items():
            if made_of.get(name, now) != now:
                sys.exit(f"{path}: made before {name} changed; give --json another file, or remove this one")
        self.made_of = made_of | self.made_of

    def add(self, key: Key, result: Result) -> None:
        row, name, seed = key
        self.results[key] = {"row": row, "set": name, "seed": seed, **result}
        if self.path is not None:
            content = {"made_of": self.made_of, "results": list(self.results.values())}
            write_text(self.path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def fill(record: Record, rows: Mapping[str, Make], wanted: Sequence[tuple[str, Path, int | None]]) -> None:
    """Make the results that are missing, with a line on stderr for each."""
    for number, (row, data, seed) in enumerate(wanted, start=1):
        key = (row, data.name, seed)
        found = key in record.results
        if not found:
            result = rows[row](data, seed)
            if digest_code() != record.made_of["textrnn's code"]:
                sys.exit("textrnn's code changed during the run; the last result is not kept")
            record.add(key, result)
        result = record.results[key]
        done = f"{100 * result['accuracy']:.2f} %, {result['seconds']:.1f} s{' (made before)' if found else ''}"
        turn = "" if seed is None else f", seed {seed}"
        print(f"[{number}/{len(wanted)}] {row}, {data.name}{turn}: {done}", file=sys.stderr, flush=True)


# the table


def take(results: Iterable[Result], row: str, field: str) -> dict[str, list[float]]:
    """Return the values of a field by set, in the order of the seeds; nothing where some results lack it.

    A field that the result does not have itself is looked up in what ``textrnn evaluate --json`` printed.
    """
    values: dict[str, list[float]] = {}
    for result in results:
        if result["row"] == row:
            value = {**result.get("evaluation", {}), **result}.get(field)
            if value is None:
                return {}
            values.setdefault(result["set"], []).append(value)
    return values


def average(values: Mapping[str, Sequence[float]]) -> list[float]:
    """Return the mean over the sets for each seed."""
    return [statistics.fmean(turn) for turn in zip(*values.values(), strict=True)]


def show_percent(values: Sequence[float]) -> str:
    """Return mean and standard deviation (with n - 1) in %."""
    spread = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * statistics.fmean(values):.2f}{spread}"


def show_seconds(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.1f}"


FIELDS = (  # of a result, how the rows are called, how values are shown
    ("accuracy", "{}", show_percent),
    ("seconds", "{}, training s", show_seconds),
    ("calibration_error_uncalibrated", "{}, ECE before calibration %", show_percent),
    ("calibration_error", "{}, ECE %", show_percent),
)


def tabulate(results: Sequence[Result], names: Sequence[str]) -> list[str]:
    """Return the lines of the table, one column for each set; baselines have a row for accuracy alone."""
    rows = list(dict.fromkeys(result["row"] for result in results))
    lines = [f"| | {' | '.join(names)} | mean |", "|" + "---|" * (len(names) + 2)]
    for field, title, show in FIELDS:
        for row in rows if field == "accuracy" else [row for row in rows if row not in (FASTTEXT, SVM)]:
            values = take(results, row, field)
            if values:
                cells = [show(values[name]) if name in values else "" for name in names]
                some = f" ({len(values)} of {len(names)} sets)" if len(values) < len(names) else ""
                lines.append(f"| {' | '.join([title.format(row), *cells, show(average(values)) + some])} |")
    return lines


def compare(results: Sequence[Result]) -> list[str]:
    """Return how SRU stands to the others: points of accuracy on the mean of the sets, and times."""

    def mean(row: str, field: str, names: Iterable[str] | None = None) -> float:
        values = take(results, row, field)
        return statistics.fmean(average(values if names is None else {name: values[name] for name in names}))

    rows = {result["row"] for result in results}
    if "SRU" not in rows:
        return []
    parts = [
        f"SRU - {other} {100 * (mean('SRU', 'accuracy') - mean(other, 'accuracy')):+.2f}"
        for other in (SVM, FASTTEXT, *sorted(rows - {SVM, FASTTEXT, "SRU", VECTORS}))
        if other in rows
    ]
    line = f"points on the mean: {', '.join(parts)}"
    if "GRU" in rows:
        line += f"; training time GRU / SRU {mean('GRU', 'seconds') / mean('SRU', 'seconds'):.2f}"
    lines = [line]
    if VECTORS in rows:
        names = list(take(results, VECTORS, "accuracy"))
        gain = mean(VECTORS, "accuracy") - mean("SRU", "accuracy", names)
        lines.append(f"points on the mean of {', '.join(names)}: {VECTORS} - SRU {100 * gain:+.2f}")
    return lines


def parse() -> argparse.Namespace:
    """Return the options, with the sets as folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", help="names with commas between them")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 1 on")
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--vectors", type=Path, help="English word vectors, for one more row")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all results are kept")
    parser.add_argument("--data", default=os.environ.get("TEXTRNN_TEST_DATA"), metavar="FOLDER")
    options = parser.parse_args()
    if not options.data:
        parser.error("name a folder of sets with --data or TEXTRNN_TEST_DATA")
    if options.seeds < 1:
        parser.error("--seeds: at least 1")
    folder = Path(options.data).resolve()
    names = options.sets.split(",") if options.sets else sorted(path.parent.name for path in folder.glob("*/train.tsv"))
    options.sets = [folder / name for name in names]
    options.cells = options.cells.split(",")
    options.vectors = options.vectors and options.vectors.resolve()
    needed = [data / f"{part}.tsv" for data in options.sets for part in PARTS]
    needed += map(Path, list_files(str(options.vectors)) if options.vectors else ())
    if missing := [str(path) for path in needed if not path.is_file()]:
        parser.error(f"{missing[0]}: no such file")
    if not names:
        parser.error(f"{folder}: holds no sets (NAME/train.tsv)")
    return options


def main() -> None:
    """Make what is missing and print the table."""
    options = parse()
    made_of = {"textrnn's code": digest_code()}
    made_of |= {f"the set {data.name}": digest(data / f"{part}.tsv" for part in PARTS) for data in options.sets}
    if options.vectors:
        made_of["the vectors"] = digest(map(Path, list_files(str(options.vectors))))
    record = Record(options.json, made_of)
    rows = list_rows(options.cells, options.vectors)
    wanted = plan(rows, options.sets, options.seeds)
    fill(record, rows, wanted)
    results = [record.results[row, data.name, seed] for row, data, seed in wanted]
    print(*tabulate(results, [data.name for data in options.sets]), "", *compare(results), sep="\n")


if __name__ == "__main__":
    main()
