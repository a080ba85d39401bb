"""``textrnn filter``: print the lines that have a label."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated

from typer import Option

from textrnn.cli import options
from textrnn.cli.line_command import LineCommand
from textrnn.cli.terminal import print_message
from textrnn.errors import ConfigError

_MAX_LABELS = 10


def filter_command(
    label: Annotated[list[str], Option("--label", "-l", metavar="LABEL", help="Label to keep; repeatable.")],
    files: options.FilesArgument = None,
    model: options.ModelOption = None,
    min_prob: Annotated[
        float, Option(min=0.0, max=1.0, metavar="P", help="Keep a line only if LABEL has probability P or more.")
    ] = 0.0,
    threshold: options.ThresholdOption = None,
    invert: Annotated[bool, Option("--invert", "-v", help="Print the other lines instead.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Do not report how many lines were kept.")] = False,
    field: options.FieldOption = None,
    input_format: options.InputFormatOption = None,
    settings: options.TextSettings = None,
    on_error: options.OnErrorOption = "stop",
    rejects: options.RejectsOption = None,
    output: options.OutputOption = None,
    jobs: options.JobsOption = None,
    precision: options.PrecisionOption = "fp32",
    device: options.DeviceOption = "cpu",
) -> None:
    """Print the lines that have a given label.

    A line is kept unchanged if LABEL is its most likely label, or for multi-label models one of its assigned labels.
    With --field, records of a table are kept, after its header. The numbers of lines kept and dropped go to stderr.
    The exit status is 0 even if no line was kept.

    \b
      textrnn filter --label refund < mails.txt
      textrnn filter --label spam --min-prob 0.9 --invert mails.txt.gz
      textrnn filter -l refund -l delivery --field text tickets.jsonl
    """
    from textrnn.pipeline.writers import LabelFilter

    command = LineCommand(
        files=files,
        field=field,
        input_format=input_format,
        output=output,
        jobs=jobs,
        settings=settings,
        on_error=on_error,
        rejects=rejects,
        keeps_lines=True,
    )
    engine = command.open_engine(model, precision=precision, device=device, threshold=threshold)
    _check_labels(label, engine.labels)
    worker = LabelFilter(engine, frozenset(label), min_prob=min_prob, threshold=threshold, invert=invert)
    records, kept = command.run(worker)
    if not quiet:
        print_message(f"{kept:,} kept, {records - kept:,} dropped")


def _check_labels(labels: Sequence[str], known: Sequence[str]) -> None:
    """Raise ConfigError with one line for each of ``labels`` that the model does not know."""
    faults = []
    for label in labels:
        if label not in known:
            similar = difflib.get_close_matches(label, known, n=3)
            shown = ", ".join(known[:_MAX_LABELS]) + (", ..." if len(known) > _MAX_LABELS else "")
            hint = f"did you mean {' or '.join(map(repr, similar))}?" if similar else f"it has {shown}"
            faults.append(f"--label {label}: the model has no such label; {hint}")
    if faults:
        raise ConfigError(faults)
