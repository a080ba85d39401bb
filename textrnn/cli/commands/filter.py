"""``textrnn filter``: print the lines that have a label."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from textrnn.cli import options
from textrnn.cli.line_command import LineCommand
from textrnn.cli.model_loading import check_ignored, check_labels, use_cascade
from textrnn.cli.parameters import Option
from textrnn.cli.terminal import print_message
from textrnn.errors import ConfigError
from textrnn.inference import UNKNOWN


def filter_command(
    label: Annotated[list[str], Option("--label", "-l", metavar="LABEL", help="Label to keep; repeatable.")],
    files: options.RecordFilesArgument = None,
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
    """Print the lines that have a given label.

    A line is kept unchanged if LABEL is its most likely label, or for multi-label models one of its assigned labels.
    With --min-prob, a line is kept if LABEL has at least that probability. Of several labels, one suffices. With
    --field, records of a table are kept, after its header. The numbers of lines kept and dropped go to stderr. The exit
    status is 0 even if no line was kept.

    If the model has thresholds of confidence, a label below its own is unknown, as in the output of predict:
    --label unknown keeps such lines, and --ignore-thresholds goes by the most likely label.

    \b
      textrnn filter --label refund < mails.txt
      textrnn filter --label spam --min-prob 0.9 --invert mails.txt.gz
      textrnn filter -l spam --min-prob 0.2 --rejected clean.txt mails.txt
      textrnn filter -l refund -l delivery --field text tickets.jsonl
    """
    command = LineCommand.from_options(locals(), keeps_lines=True)
    if min_prob is not None and threshold is not None:
        raise ConfigError(f"--threshold {threshold}: has no effect with --min-prob; leave one out")
    if min_prob is not None and ignore_thresholds:
        raise ConfigError("--ignore-thresholds: --min-prob ignores them too; leave one out")
    engine = command.open_engine()
    use_cascade(engine, cascade)
    check_ignored(engine, ignores=ignore_thresholds)
    abstains = bool(engine.confidence_thresholds) and min_prob is None and not ignore_thresholds
    check_labels(engine, label, option="--label", other=UNKNOWN if abstains else None)
    from textrnn.pipeline.columns import choose_format
    from textrnn.pipeline.writers import LabelFilter

    worker = LabelFilter(
        engine,
        frozenset(label),
        min_prob=min_prob,
        threshold=threshold,
        ignore_thresholds=ignore_thresholds,
        invert=invert,
        format_kept=choose_format(output),
        format_rejected=choose_format(rejected),
    )
    records, kept = command.run(worker, open_file=partial(command.open_columns, types={}))
    if not quiet:
        print_message(f"{kept:,} kept, {records - kept:,} {'dropped' if rejected is None else 'rejected'}")
