"""``textrnn filter``: print the lines that have a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from textrnn.cli.line_command import FieldOption, FilesArgument, InputFormatOption, JobsOption, Lines, OutputOption
from textrnn.cli.options import DeviceOption, ModelOption, PrecisionOption, ThresholdOption
from textrnn.cli.terminal import say
from textrnn.errors import ConfigError


def filter_command(
    label: Annotated[list[str], typer.Option("--label", "-l", metavar="LABEL", help="Wanted label; may be repeated.")],
    files: FilesArgument = None,
    model: ModelOption = None,
    min_prob: Annotated[
        float, typer.Option("--min-prob", min=0.0, max=1.0, metavar="P", help="With a probability of P and more only.")
    ] = 0.0,
    threshold: ThresholdOption = None,
    invert: Annotated[bool, typer.Option("--invert", "-v", help="Print the other lines.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not say how many lines were kept.")] = False,
    field: FieldOption = None,
    input_format: InputFormatOption = None,
    output: OutputOption = None,
    jobs: JobsOption = None,
    precision: PrecisionOption = "fp32",
    device: DeviceOption = "cpu",
) -> None:
    """Print the lines of text whose predicted label is LABEL, as they are.

    They are those for which 'textrnn predict' prints LABEL first; of a model of several labels a text, those that are
    given LABEL. With --field they are the records of a table, after its header if it has one. How many were kept and
    dropped is said on stderr. The exit status is 0 whether or not a line was printed.

    \b
      textrnn filter --label refund < mails.txt
      textrnn filter --label spam --min-prob 0.9 --invert mails.txt.gz > clean.txt
      textrnn filter --label refund --label delivery --field text tickets.jsonl
    """
    from textrnn.pipeline.writers import LabelFilter

    lines = Lines(
        files=files,
        field=field,
        input_format=input_format,
        output=output,
        jobs=jobs,
        precision=precision,
        device=device,
    )
    engine = lines.open_engine(model, threshold=threshold)
    _check_labels(label, engine.labels)
    sieve = LabelFilter(engine, frozenset(label), min_prob=min_prob, threshold=threshold, invert=invert)
    records, kept = lines.run(sieve)
    if not quiet:
        say(f"{kept:,} kept, {records - kept:,} dropped")


def _check_labels(wanted: Sequence[str], known: Sequence[str]) -> None:
    """Raise ConfigError with all of ``wanted`` that the model does not know, and near ones."""
    import difflib

    faults = []
    for label in wanted:
        if label not in known:
            near = difflib.get_close_matches(label, known, n=3)
            shown = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {shown}"
            faults.append(f"--label {label}: the model has no such label; {hint}")
    if faults:
        raise ConfigError(faults)
