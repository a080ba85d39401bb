"""Students of `textrnn distill`, compared with their teachers and with training without one.

    python benchmarks/distill.py teacher FOLDER... [--rows 500] [--seeds 3] [--on valid] [-- --set KEY=VALUE ...]
    python benchmarks/distill.py self FOLDER... [--raw FILE]
    python benchmarks/distill.py ensemble FOLDER...

Each FOLDER has train.tsv, valid.tsv and test.tsv. What follows -- are options of all trainings.

`teacher`: the teacher learns from all of train.tsv, the student from --rows labelled rows and from the texts of the
others, which the teacher labels. `self`: the teacher has these labelled rows alone; --raw adds the lines of a file.
`ensemble`: the student learns from the training texts and the mean of --seeds models; one student has the default size,
one is --fast, and one of that size has no teacher.

Prints the accuracy in % on the validation set, or with --on test on the test set: mean and standard deviation over the
seeds. An ensemble has one of each student.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from few_labels import draw_rows
from process import run_textrnn

from textrnn.config import DataConfig
from textrnn.data.reading.examples import read_examples
from textrnn.distillation.student_config import FAST
from textrnn.distillation.teacher import Teacher

SMALL = [word for override in FAST for word in ("--set", f"{override.key}={override.value}")]


@dataclass(frozen=True)
class Bench:
    """The runs on one data set: ``data`` is its folder, ``work`` theirs, ``options`` are those of all trainings."""

    data: Path
    work: Path
    options: Sequence[str]
    part: str

    def train(self, name: str, rows: Path, *options: object) -> Path:
        """Train on ``rows``."""
        return self._run("train", name, "--train", rows, *options)

    def distill(self, name: str, teacher: Path, *options: object) -> Path:
        """Distill ``teacher`` into a student."""
        return self._run("distill", name, "-m", teacher, *options)

    def _run(self, command: str, name: str, *options: object) -> Path:
        out = self.work / name
        common = ("--valid", self.data / "valid.tsv", "--set", "train.report=false", "--out", out, *self.options)
        run_textrnn(command, *options, *common, cwd=self.work)
        return out

    def measure(self, *models: Path) -> float:
        """Return the accuracy in % of the mean of the probabilities of ``models``."""
        teacher, examples = Teacher.load(models), read_examples(str(self.data / f"{self.part}.tsv"), DataConfig())
        best = teacher.predict([example.text for example in examples]).argmax(axis=1)
        right = [teacher.labels[column] == example.label for column, example in zip(best, examples, strict=True)]
        return 100 * float(np.mean(right))

    def split(self, count: int) -> tuple[Path, Path]:
        """Write ``count`` rows of the training set, and the texts of the others; return both files."""
        few, rest = self.work / "few.tsv", self.work / "rest.txt"
        rows = draw_rows(self.data / "train.tsv", sys.maxsize)
        few.write_text("".join(rows[:count]), encoding="utf-8")
        rest.write_text("".join(row.partition("\t")[2] for row in rows[count:]), encoding="utf-8")
        return few, rest


def compare_with_teacher(bench: Bench, options: argparse.Namespace) -> list[list[float]]:
    """Return the accuracies of few labels alone, of students with a teacher, and of the teachers, for each seed."""
    few, rest = bench.split(options.rows)
    found = []
    for seed in map(str, range(1, options.seeds + 1)):
        alone = bench.train(f"few-{seed}", few, "--seed", seed)
        teacher = bench.train(f"teacher-{seed}", bench.data / "train.tsv", "--seed", seed)
        student = bench.distill(f"student-{seed}", teacher, rest, "--train", few, "--seed", seed)
        found.append([bench.measure(alone), bench.measure(student), bench.measure(teacher)])
    return found


def compare_with_itself(bench: Bench, options: argparse.Namespace) -> list[list[float]]:
    """Return the accuracies of few labels alone, and after self-training, for each seed."""
    few, rest = bench.split(options.rows)
    raw = [rest] if options.raw is None else [rest, options.raw.resolve()]
    found = []
    for seed in map(str, range(1, options.seeds + 1)):
        alone = bench.train(f"few-{seed}", few, "--seed", seed)
        student = bench.distill(f"student-{seed}", alone, *raw, "--train", few, "--seed", seed)
        found.append([bench.measure(alone), bench.measure(student)])
    return found


def compare_with_ensemble(bench: Bench, options: argparse.Namespace) -> list[list[float]]:
    """Return the accuracies of each single model, and in the first row of the ensemble and its students too."""
    train = bench.data / "train.tsv"
    _, texts = bench.split(0)
    models = [bench.train(f"seed-{s}", train, "--seed", s) for s in range(1, options.seeds + 1)]
    teachers = [word for model in models[1:] for word in ("-m", model)]
    own = [*teachers, texts, "--train", train]
    same, fast = bench.distill("same", models[0], *own), bench.distill("fast", models[0], *own, "--fast")
    small = bench.train("small", train, *SMALL)
    first, *others = [[bench.measure(model)] for model in models]
    return [[*first, bench.measure(*models), *map(bench.measure, (same, fast, small))], *others]


EXPERIMENTS: dict[str, tuple[Callable[[Bench, argparse.Namespace], list[list[float]]], tuple[str, ...]]] = {
    "teacher": (compare_with_teacher, ("few labels", "student", "teacher")),
    "self": (compare_with_itself, ("few labels", "self-training")),
    "ensemble": (compare_with_ensemble, ("single", "ensemble", "student", "fast student", "as small, no teacher")),
}


def main() -> None:
    """Print a row for each set."""
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--rows", type=int, default=500, help="labelled rows")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--raw", type=Path, help="more raw text for self-training")
    parser.add_argument("--on", choices=("valid", "test"), default="valid")
    options = parser.parse_args(words[:end])
    compare, names = EXPERIMENTS[options.experiment]
    print(f"| set | {' | '.join(names)} |\n|{'---|' * (1 + len(names))}", flush=True)
    for folder in options.folders:
        with tempfile.TemporaryDirectory() as work:
            found = compare(Bench(folder.resolve(), Path(work), words[end + 1 :], options.on), options)
        columns = [[row[column] for row in found if column < len(row)] for column in range(len(names))]
        print(f"| {folder.name} | {' | '.join(map(summarize, columns))} |", flush=True)


def summarize(values: Sequence[float]) -> str:
    """Return the mean of ``values`` and, of several, their standard deviation."""
    mean = f"{statistics.fmean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.1f}"


if __name__ == "__main__":
    main()
