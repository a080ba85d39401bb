"""``textrnn predict``: label lines."""

from __future__ import annotations

from typing import Annotated

import typer

from textrnn.cli.line_command import FieldOption, FilesArgument, InputFormatOption, JobsOption, Lines, OutputOption
from textrnn.cli.options import DeviceOption, ModelOption, PrecisionOption, ThresholdOption
from textrnn.errors import ConfigError
from textrnn.inference import OutputFormat

TopKOption = Annotated[
    int | None,
    typer.Option(
        "--top-k", "-k", min=1, metavar="K", help="Labels to print a line.  [default: 1, or those from thresholds]"
    ),
]
MinProbOption = Annotated[
    float | None,
    typer.Option(
        "--min-prob", min=0.0, max=1.0, metavar="P", help="Print --unknown-label for a label less likely than P."
    ),
]
UnknownLabelOption = Annotated[
    str | None,
    typer.Option("--unknown-label", metavar="LABEL", help="That label; goes with --min-prob.  [default: unknown]"),
]
FormatOption = Annotated[
    OutputFormat | None,
    typer.Option(
        "--format",
        help="How to print predictions: tsv with their probabilities, jsonl as objects, label alone. "
        "With --field, records keep their own format, and label leaves the probabilities out.  [default: tsv]",
    ),
]
WithTextOption = Annotated[bool, typer.Option("--with-text", help="Append the input line.")]
ExplainOption = Annotated[
    bool, typer.Option("--explain", help="With JSON: what each word does to the label's probability, as parts.")
]


def predict_command(
    files: FilesArgument = None,
    model: ModelOption = None,
    top_k: TopKOption = None,
    threshold: ThresholdOption = None,
    min_prob: MinProbOption = None,
    unknown_label: UnknownLabelOption = None,
    format_: FormatOption = None,
    with_text: WithTextOption = False,
    explain: ExplainOption = False,
    field: FieldOption = None,
    input_format: InputFormatOption = None,
    output: OutputOption = None,
    jobs: JobsOption = None,
    precision: PrecisionOption = "fp32",
    device: DeviceOption = "cpu",
) -> None:
    """Label lines of text, or one field of a table's records.

    Every line of FILEs or stdin gives one output line, in order. The default output is label<TAB>probability, and
    with --top-k more such pairs. A model of several labels a text prints those that it gives, likeliest first, as
    a|b<TAB>probability|probability, and two empty fields where it gives none. Probabilities are calibrated on the
    valid text of the training. Files may be compressed with gzip, xz or zstd. Bytes that are not UTF-8 are read as
    U+FFFD.

    With --field the records of TSV, CSV or JSON Lines are printed as they stand, with the prediction in front: as
    columns, named label and probability where there is a header, or as the keys label, probability, (with --top-k)
    top and (with --explain) parts. Where a header or an object has one of these names already, all are named
    predicted_label and so on.

    \b
      textrnn predict reviews.txt
      zcat crawl.txt.gz | textrnn predict | cut -f1
      textrnn predict -m runs/trec-sru --top-k 3 --format jsonl questions.txt
      textrnn predict --field text tickets.csv -o labelled.csv.gz
      textrnn predict --min-prob 0.6 --unknown-label other < mails.txt
      textrnn predict --format jsonl --explain < mails.txt
    """
    from textrnn.pipeline.writers import Labeller

    lines = Lines(
        files=files,
        field=field,
        input_format=input_format,
        output=output,
        jobs=jobs,
        precision=precision,
        device=device,
    )
    if field is not None:
        _check_table_options(format_, with_text)
    if explain:
        _check_explain(lines, format_)
    doubt = _check_doubt(min_prob, unknown_label)
    engine = lines.open_engine(model, threshold=threshold)
    if doubt is not None and engine.thresholds is not None:
        raise ConfigError(f"--min-prob {min_prob}: this model gives a text several labels; it has --threshold")
    probability, label = doubt or (0.0, "")
    lines.run(
        Labeller(
            engine,
            top_k=top_k,
            threshold=threshold,
            output=format_ or "tsv",
            with_text=with_text,
            min_prob=probability,
            unknown_label=label,
            explain=explain,
        )
    )


def _check_table_options(format_: OutputFormat | None, with_text: bool) -> None:
    if with_text:
        raise ConfigError("--with-text: with --field a record is printed whole; leave it out")
    if format_ not in (None, "label"):
        raise ConfigError(f"--format {format_}: with --field records keep their own format; leave it out")


def _check_explain(lines: Lines, format_: OutputFormat | None) -> None:
    if lines.field is None and format_ != "jsonl":
        raise ConfigError("--explain: prints objects; say --format jsonl")
    if lines.field is not None and lines.input_format not in (None, "jsonl"):
        raise ConfigError(f"--explain: tells of words in JSON, and the input is {lines.input_format}; leave it out")


def _check_doubt(min_prob: float | None, unknown_label: str | None) -> tuple[float, str] | None:
    """Return from which probability on a label is printed, and which one stands for the others."""
    from textrnn.data.formats import is_label

    if min_prob is None:
        if unknown_label is not None:
            raise ConfigError(f"--unknown-label {unknown_label}: say with --min-prob for which lines")
        return None
    label = "unknown" if unknown_label is None else unknown_label
    if not is_label(label):
        raise ConfigError("--unknown-label: it is blank, or holds a tab or a line end")
    return min_prob, label
