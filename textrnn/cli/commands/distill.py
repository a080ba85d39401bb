"""``textrnn distill``: train a student on raw text that a teacher labels."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from textrnn.cli import options
from textrnn.cli.commands.train import report_run
from textrnn.cli.model_loading import choose_model
from textrnn.cli.parameters import Option
from textrnn.cli.terminal import announce_keyboard_input, print_message
from textrnn.cli.training_process import training_process, write_training_page
from textrnn.config import Config, DataConfig, Override
from textrnn.data.reading.io import STDIN, check_readable
from textrnn.data.reading.layout import BY_EXTENSION, find_suffix
from textrnn.errors import ConfigError
from textrnn.inference import RecordFormat

if TYPE_CHECKING:
    from textrnn.distillation.student import Distillation
    from textrnn.distillation.teacher import Teacher
    from textrnn.reporter import Reporter
    from textrnn.training.train import Outcome

_RAW_KEYS = ("data.encoding", "data.delimiter", "data.quoting")


def distill_command(
    files: options.RecordFilesArgument = None,
    model: Annotated[
        list[Path] | None,
        Option(
            "--model",
            "-m",
            metavar="RUN|FILE",
            help="Teacher: a run, model file or experiment, whose models are averaged; repeatable.  "
            "[default: the latest run]",
        ),
    ] = None,
    answers: Annotated[
        str | None,
        Option(
            metavar="FILE",
            help="File with a label, or JSON with probabilities, for each line of raw text, used instead of a teacher. "
            "Texts with an empty line are left out.",
        ),
    ] = None,
    train: Annotated[
        list[str] | None,
        Option(metavar="FILE", help="Labelled rows; repeatable.  [default: the training set of the teacher]"),
    ] = None,
    valid: Annotated[
        str | None,
        Option(metavar="FILE", help="Validation set.  [default: the teacher's, or 10 % of the labelled rows]"),
    ] = None,
    temperature: Annotated[
        float | None,
        Option(
            metavar="T",
            min=0.05,
            max=20.0,
            help="Temperature of the teacher's probabilities: above 1 softer, below 1 sharper.  "
            "[default: chosen on the validation set]",
        ),
    ] = None,
    true_share: Annotated[
        float | None,
        Option(
            metavar="S",
            min=0.0,
            max=1.0,
            help="Share of the true label in the targets of labelled rows; the teacher has the rest.  "
            "[default: chosen on the validation set]",
        ),
    ] = None,
    fast: Annotated[
        bool,
        Option(
            "--fast",
            help="A student that predicts about as fast as fastText: one layer in one direction, hidden and embedding "
            "size 64; other flags and --set change it.",
        ),
    ] = False,
    field: options.FieldOption = None,
    input_format: options.InputFormatOption = None,
    out: Annotated[Path | None, Option(metavar="FOLDER", help="Run folder of the student.")] = None,
    cell: options.CellOption = None,
    tokenizer: options.TokenizerOption = None,
    vectors: options.VectorsOption = None,
    init: options.InitOption = None,
    layers: options.LayersOption = None,
    hidden: options.HiddenOption = None,
    epochs: options.EpochsOption = None,
    batch_size: options.BatchSizeOption = None,
    lr: options.LearningRateOption = None,
    seed: options.SeedOption = None,
    device: options.TrainingDeviceOption = None,
    settings: options.ConfigSettings = None,
    tensorboard: options.TensorBoardOption = False,
    overwrite: options.OverwriteOption = False,
) -> None:
    """Train a student on raw text that a teacher labels.

    Prints the run folder. FILE is text without labels, read as predict reads it. The teacher gives each text the
    probabilities of all labels, and the student learns these together with the labelled rows: an ordinary run, with
    the options of train. All rows are in FOLDER/distilled-*. The temperature and the share of true labels are chosen
    on the validation set with a small model, which takes seconds.

    With --answers the student learns from the output of another tool, such as an LLM.

    \b
      textrnn distill -m runs/teacher raw.txt --out runs/student
      textrnn distill -m runs/teacher raw.txt --fast --out runs/fast
      zcat raw.txt.gz | textrnn distill -m runs/3-seeds --out runs/student
      textrnn distill --answers llm.jsonl raw.txt --train few.tsv --out runs/new
    """
    paths = files or [STDIN]
    overrides = options.collect_overrides(locals())
    if os.environ.get("WORLD_SIZE", "1") != "1":
        train_again = "then train on its rows with: torchrun ... -m textrnn train OUT/config.yaml"
        raise ConfigError(f"distill: labels text in one process; {train_again}")
    if out is None:
        raise ConfigError("distill: name the run folder of the student with --out FOLDER")
    if answers is not None and model:
        raise ConfigError(f"--answers {answers}: takes the place of a teacher; leave out -m {model[0]}")
    if answers is not None and true_share is not None:
        raise ConfigError(f"--true-share {true_share}: needs a teacher; with --answers labelled rows keep their labels")
    if fast and init is not None:
        raise ConfigError(f"--fast: the model of --init {init} decides the shape of the network; leave out one of them")
    config = _make_raw_config(field, overrides, input_format=input_format, paths=paths)
    for path in (*paths, *([] if answers is None else [answers])):
        check_readable(path)
    if answers == STDIN and STDIN in paths:
        raise ConfigError("--answers -: the raw text is standard input already; name a file")
    if field is None and (table := next((path for path in paths if find_suffix(path) in BY_EXTENSION), None)):
        print_message(f"{table}: learns whole lines; use --field to name the column or key of the text")
    announce_keyboard_input(paths)
    with training_process(device or "auto") as reporter:
        from textrnn.distillation.raw_text import RawText
        from textrnn.distillation.student import Distillation
        from textrnn.distillation.student_config import FAST, make_labelled_config
        from textrnn.serialization.run_folder import RunFolder

        own_settings = [*(FAST if fast else ()), *overrides]
        _check_student(own_settings, out)
        RunFolder(out)  # reports an unusable folder before anything is computed
        teacher = None if answers is not None else _load_teacher(model, out=out)
        own = (None, "") if teacher is None else (teacher.config, teacher.name)
        labelled = make_labelled_config(overrides, own[0], name=own[1])
        if teacher is not None:
            _report_teacher(teacher, labelled, is_own=train is None)
        fixed = {"temperature": temperature, "true_share": true_share}
        distillation = Distillation(
            RawText(paths, config, reporter.note),
            labelled,
            teacher,
            answers,
            {name: value for name, value in fixed.items() if value is not None},
        )
        outcome = _train_student(distillation, own_settings, out, overwrite=overwrite, reporter=reporter)
        write_training_page(outcome)
    report_run(outcome)


def _check_student(settings: list[Override], out: Path) -> None:
    """Report faults of the student's settings, and files of it that cannot be read, before any text is labelled."""
    from textrnn.distillation.student_config import make_student_config
    from textrnn.ops.device import resolve_device
    from textrnn.preparation.tokenizer_setup import check_files
    from textrnn.serialization.initial_config import check_init_folder, inherit_settings

    student = inherit_settings(make_student_config(settings, train=out / "train", valid=out / "valid"))
    check_init_folder(student, out)
    check_files(student)
    resolve_device(student.train.device)


def _load_teacher(paths: list[Path] | None, *, out: Path) -> Teacher:
    """Return the teacher at ``paths``, or the latest run; raises ConfigError if it is in the folder ``out``."""
    from textrnn.distillation.teacher import Teacher
    from textrnn.serialization.latest_run import is_experiment
    from textrnn.serialization.model_file import find_model
    from textrnn.serialization.refit import list_runs

    paths, is_latest = (paths, False) if paths else ([choose_model(None)], True)
    for path in paths:
        runs = [path, *list_runs(path)] if is_experiment(path) else [find_model(path).parent]
        if out.resolve() in {run.resolve() for run in runs}:
            raise ConfigError(f"--out {out}: holds the teacher {path}; name another folder")
    teacher = Teacher.load(paths)
    if is_latest:
        print_message(f"teacher: {teacher.name}, the latest run here")
    return teacher


def _report_teacher(teacher: Teacher, labelled: Config, *, is_own: bool) -> None:
    """Report what of the teacher is not used, and a validation set that it may have seen."""
    from textrnn.distillation.student_config import UNSEEN, list_unused

    for line in list_unused(teacher.config) if is_own else ():
        print_message(line)
    if labelled.data.valid is None and (len(teacher) > 1 or not is_own):
        print_message(f"the validation set may have training texts of the teacher; {UNSEEN}")


def _train_student(
    distillation: Distillation, settings: list[Override], out: Path, *, overwrite: bool, reporter: Reporter
) -> Outcome:
    """Write the rows into the run folder ``out``, and train on them."""
    from textrnn.distillation.student import TRAIN_NAME, VALID_NAME
    from textrnn.distillation.student_config import make_student_config
    from textrnn.serialization.run_folder import keep_rows, making_rows
    from textrnn.training import train as training

    with making_rows(out) as made:
        distillation.write(made, reporter=reporter)
        rows = keep_rows(made)
    student = make_student_config(settings, train=rows / TRAIN_NAME, valid=rows / VALID_NAME)
    command = shlex.join(["textrnn", *sys.argv[1:]])
    return training.train(student, out, command=command, overwrite=overwrite, reporter=reporter)


def _make_raw_config(
    field: list[str] | None, overrides: list[Override], *, input_format: RecordFormat | None, paths: list[str]
) -> DataConfig:
    """Return how the raw text is read: by the settings of encoding, and of tables, that the labelled rows have too."""
    from textrnn.data.arrow.arrow_files import find_row_suffix

    if field is None and any(path != STDIN and find_row_suffix(path) for path in paths):
        field = ["text"]
    keys = _RAW_KEYS if field is not None else _RAW_KEYS[:1]
    settings = [override.origin.removeprefix("--set ") for override in overrides if override.key in keys]
    return options.make_text_config(field, settings, input_format=input_format, on_error="stop")
