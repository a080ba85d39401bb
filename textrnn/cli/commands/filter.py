"""``textrnn filter``: print the lines that have a label, or a score in a range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from textrnn.cli import options
from textrnn.cli.line_command import LineCommand
from textrnn.cli.model_loading import check_ignored, check_labels, check_score_options, use_cascade
from textrnn.cli.parameters import Option
from textrnn.cli.terminal import print_message
from textrnn.errors import ConfigError
from textrnn.inference import UNKNOWN


def filter_command(
    files: options.RecordFilesArgument = None,
    label: Annotated[
        list[str] | None, Option("--label", "-l", metavar="LABEL", help="Label to keep; repeatable.")
    ] = None,
    min_score: Annotated[
        float | None, Option(metavar="S", help="Models of scores: keep the lines with a score of S or more.")
    ] = None,
    max_score: Annotated[
        float | None, Option(metavar="S", help="Models of scores: keep the lines with a score of S or less.")
    ] = None,
    model: options.ModelOption = None,
    min_prob: Annotated[
        float | None,
        Option(
            min=0.0,
            max=1.0,
            metavar="P",
            help="Keep the lines whose probability of LABEL is P or more, even if another label is more likely.",
        ),
    ] = None,
    ignore_thresholds: options.IgnoreThresholdsOption = False,
    threshold: options.ThresholdOption = None,
    invert: Annotated[bool, Option("--invert", "-v", help="Print the other lines instead.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Do not report how many lines were kept.")] = False,
    field: options.FieldOption = None,
    input_format: options.InputFormatOption = None,
    settings: options.TextSettings = None,
    on_error: options.OnErrorOption = "stop",
    rejects: options.RejectsOption = None,
    output: options.RecordOutputOption = None,
    rejected: Annotated[
        Path | None,
        Option(metavar="FILE", help="Write the lines that are not kept to FILE, as --output writes the others."),
    ] = None,
    jobs: options.JobsOption = None,
    precision: options.PrecisionOption = "fp32",
    cascade: options.CascadeOption = None,
    device: options.DeviceOption = "cpu",
) -> None:
    """Print the lines with a given label or score.

    A line is kept unchanged if LABEL is its most likely label, or for multi-label models one of its assigned labels.
    With --min-prob, a line is kept if LABEL has at least that probability. Of several labels, one suffices. With
    --field, records of a table are kept, after its header. The numbers of lines kept and dropped go to stderr. The exit
    status is 0 even if no line was kept.

    If the model has thresholds of confidence, a label below its own is unknown, as in the output of predict:
    --label unknown keeps such lines, and --ignore-thresholds goes by the most likely label.

    A model of scores (data.target=score) takes --min-score and --max-score instead of --label.

    \b
      textrnn filter --label refund < mails.txt
      textrnn filter --label spam --min-prob 0.9 --invert mails.txt.gz
      textrnn filter -l spam --min-prob 0.2 --rejected clean.txt mails.txt
      textrnn filter -l refund -l delivery --field text tickets.jsonl
      textrnn filter --min-score 3 < crawl.txt
    """
    command = LineCommand.from_options(locals(), keeps_lines=True)
    if min_prob is not None and threshold is not None:
        raise ConfigError(f"--threshold {threshold}: has no effect with --min-prob; leave one out")
    if min_prob is not None and ignore_thresholds:
        raise ConfigError("--ignore-thresholds: --min-prob ignores them too; leave one out")
    bounds = {"--min-score": min_score, "--max-score": max_score}
    _check_criteria(label, bounds)
    engine = command.open_engine()
    from textrnn.pipeline.columns import choose_format
    from textrnn.pipeline.writers import LabelFilter, RecordFilter, ScoreFilter

    shared: dict[str, Any] = {
        "invert": invert,
        "format_kept": choose_format(output),
        "format_rejected": choose_format(rejected),
    }
    worker: RecordFilter
    if engine.anchors is not None:
        choices: dict[str, object] = {"--label": label[0] if label else None, "--min-prob": min_prob}
        check_score_options(engine, choices | {"--ignore-thresholds": ignore_thresholds, "--cascade": cascade})
        worker = ScoreFilter(engine, least=min_score, most=max_score, **shared)
    else:
        _refuse_bounds(bounds)
        use_cascade(engine, cascade)
        check_ignored(engine, ignores=ignore_thresholds)
        abstains = bool(engine.confidence_thresholds) and min_prob is None and not ignore_thresholds
        check_labels(engine, label or [], option="--label", other=UNKNOWN if abstains else None)
        worker = LabelFilter(
            engine,
            frozenset(label or []),
            min_prob=min_prob,
            threshold=threshold,
            ignore_thresholds=ignore_thresholds,
            **shared,
        )
    records, kept = command.run(worker, open_file=partial(command.open_columns, types={}))
    if not quiet:
        print_message(f"{kept:,} kept, {records - kept:,} {'dropped' if rejected is None else 'rejected'}")


def _check_criteria(label: list[str] | None, bounds: Mapping[str, float | None]) -> None:
    """Raise ConfigError without a criterion, and if no score is between the ``bounds``."""
    given = {option: bound for option, bound in bounds.items() if bound is not None}
    if label is None and not given:
        raise ConfigError(
            "missing option '--label' / '-l', or '--min-score' for a model of scores; see 'textrnn filter --help'"
        )
    for option, bound in given.items():
        if not math.isfinite(bound):
            raise ConfigError(f"{option} {bound}: not a finite number")
    if len(given) == 2 and given["--min-score"] > given["--max-score"]:
        raise ConfigError(f"--max-score {given['--max-score']:g}: is below --min-score {given['--min-score']:g}")


def _refuse_bounds(bounds: Mapping[str, float | None]) -> None:
    """Raise ConfigError if ``bounds`` of the score are given to a model of labels."""
    if given := [f"{option} {bound:g}" for option, bound in bounds.items() if bound is not None]:
        raise ConfigError([f"{option}: the model predicts labels; use --label instead" for option in given])
