"""``textrnn predict``: label lines or records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from textrnn.cli import options
from textrnn.cli.line_command import LineCommand
from textrnn.cli.model_loading import check_ignored, check_labels, check_score_options, use_cascade
from textrnn.cli.parameters import Option
from textrnn.cli.terminal import print_message
from textrnn.errors import ConfigError
from textrnn.inference import UNKNOWN, OutputFormat


def predict_command(
    files: options.RecordFilesArgument = None,
    model: options.ModelOption = None,
    top_k: Annotated[
        int | None,
        Option(
            "--top-k",
            "-k",
            min=1,
            metavar="K",
            help="Print the K most likely labels.  [default: 1; multi-label models: the assigned ones]",
        ),
    ] = None,
    threshold: options.ThresholdOption = None,
    min_prob: Annotated[
        float | None,
        Option(
            min=0.0,
            max=1.0,
            metavar="P",
            help="Replace labels less likely than P by --unknown-label.  [default: the thresholds that evaluate "
            "--save-thresholds wrote into the model, else 0]",
        ),
    ] = None,
    unknown_label: Annotated[
        str | None, Option(metavar="LABEL", help="Label to print below --min-prob.  [default: unknown]")
    ] = None,
    ignore_thresholds: options.IgnoreThresholdsOption = False,
    format_: Annotated[
        OutputFormat | None,
        Option(
            "--format",
            help="tsv: labels and probabilities; jsonl: objects; label: labels only; probabilities: those of all "
            "labels, in the same order on every line. With --field, records keep their format; label omits the "
            "probabilities.  [default: tsv]",
        ),
    ] = None,
    score: Annotated[
        str | None, Option(metavar="LABEL", help="Print only the probability of LABEL, for sorting.")
    ] = None,
    with_text: Annotated[bool, Option("--with-text", help="Append the input line.")] = False,
    explain: Annotated[
        bool, Option("--explain", help="JSON only: add the effect of each word on the label's probability.")
    ] = False,
    field: options.FieldOption = None,
    input_format: options.InputFormatOption = None,
    settings: options.TextSettings = None,
    on_error: options.OnErrorOption = "stop",
    rejects: options.RejectsOption = None,
    output: options.RecordOutputOption = None,
    jobs: options.JobsOption = None,
    precision: options.PrecisionOption = "fp32",
    cascade: options.CascadeOption = None,
    device: options.DeviceOption = "cpu",
    engine_: options.EngineOption = "local",
    resume: Annotated[
        bool, Option("--resume", help="With --engine ray: finish the run in the folder --output.")
    ] = False,
) -> None:
    """Label lines of text, or records of a table.

    Each input line gives one output line, in order: label<TAB>probability, and more such pairs with --top-k.
    Multi-label models print all assigned labels, most likely first, as a|b<TAB>probability|probability; both fields
    are empty if there is none. Probabilities are calibrated on the validation set. Input may be compressed, and in
    any encoding. Invalid bytes are read as U+FFFD.

    With --field, each record of a TSV, CSV or JSON Lines file is printed unchanged, with the prediction in front:
    columns or keys named label and probability, top (with --top-k) and parts (with --explain). If the input uses one
    of these names, the output columns are called predicted_label and so on. Parquet and Arrow files need no --field
    if the text is in the column text; -o NAME.parquet keeps their columns. --score adds one column or key, score;
    --format probabilities adds a column probability_LABEL for each label, or the key probabilities.

    A model of scores (data.target=score) prints the score of each line instead, with six significant digits: 7.43. The
    column or key of a table is score. Options for labels are errors.

    \b
      textrnn predict reviews.txt
      zcat crawl.txt.gz | textrnn predict | cut -f1
      textrnn predict -m runs/trec-sru --top-k 3 questions.txt
      textrnn predict --field text tickets.csv -o labelled.csv.gz
      textrnn predict --score spam --with-text mails.txt | sort -rn
      textrnn predict --min-prob 0.6 --unknown-label other < mails.txt
      textrnn predict --format jsonl --explain < mails.txt
      textrnn predict --engine ray s3://crawl/2026 -o labelled
    """
    if engine_ == "ray" or resume:
        from textrnn.cli.engines.ray_job import run_ray_job

        return run_ray_job(locals())
    command = LineCommand.from_options(locals())
    from textrnn.data.reading.layout import is_number

    _check_output(command, format_=format_, explain=explain, with_text=with_text)
    if score is not None or format_ == "probabilities":
        choices = {
            "--format": format_ if score is not None and format_ in ("label", "probabilities") else None,
            "--top-k": top_k,
            "--threshold": threshold,
            "--min-prob": min_prob,
            "--unknown-label": unknown_label,
            "--ignore-thresholds": "" if ignore_thresholds else None,
        }
        _check_scores(choices, explain=explain, source="--score" if score is not None else "--format probabilities")
    if explain and cascade is not None:
        raise ConfigError(f"--cascade {cascade}: has no effect with --explain; leave one out")
    check_unknown_label(unknown_label)
    if ignore_thresholds:
        check_ignored_choices({"--min-prob": min_prob, "--unknown-label": unknown_label})
    engine = command.open_engine()
    if engine.anchors is not None:
        check_score_options(engine, list_label_options(locals()))
        from textrnn.pipeline.score_writer import ScoreWriter

        command.run_predictions(ScoreWriter(engine, format_ or "tsv", with_text=with_text, explain=explain))
        return None
    if unknown_label is not None and min_prob is None and not engine.confidence_thresholds:
        raise ConfigError(f"--unknown-label {unknown_label}: needs a bound; add --min-prob")
    check_ignored(engine, ignores=ignore_thresholds)
    use_cascade(engine, cascade)
    if min_prob is not None and engine.thresholds is not None:
        raise ConfigError(f"--min-prob {min_prob}: the model is multi-label; use --threshold instead")
    from textrnn.pipeline.labeler import Labeler, ProbabilityWriter

    worker: Labeler | ProbabilityWriter
    if score is not None or format_ == "probabilities":
        check_labels(engine, [] if score is None else [score], option="--score")
        is_named = command.writes_rows or (command.has_records and not all(map(is_number, field or ("",))))
        if score is None and not is_named:  # without a header
            print_message("columns: " + "\t".join(engine.labels))
        worker = ProbabilityWriter(engine, output=format_ or "tsv", with_text=with_text, label=score)
    else:
        worker = Labeler(
            engine,
            output=format_ or "tsv",
            with_text=with_text,
            top_k=top_k,
            threshold=threshold,
            min_prob=0.0 if ignore_thresholds else min_prob,
            unknown_label=UNKNOWN if unknown_label is None else unknown_label,
            explain=explain,
        )
    command.run_predictions(worker)
    return None


def list_label_options(options: Mapping[str, Any]) -> dict[str, object]:
    """Return those of the command's ``options`` that a model of scores refuses, by their names."""
    names = ("top_k", "min_prob", "unknown_label", "ignore_thresholds", "score", "cascade")
    form = options["format_"] if options["format_"] in ("label", "probabilities") else None
    return {f"--{name.replace('_', '-')}": options[name] for name in names} | {"--format": form}


def _check_scores(choices: Mapping[str, object], *, explain: bool, source: str) -> None:
    """Raise ConfigError for options that choose labels, or explain them; ``source`` asks for probabilities only."""
    given = [f"{option} {value}".strip() for option, value in choices.items() if value is not None]
    if given := [*given, *(["--explain"] if explain else [])]:
        raise ConfigError([f"{option}: has no effect with {source}; leave it out" for option in given])


def _check_output(command: LineCommand, *, format_: OutputFormat | None, explain: bool, with_text: bool) -> None:
    """Raise ConfigError for options without effect on the output of ``command``."""
    if command.writes_rows:
        given = [f"--format {format_}"] if format_ in ("tsv", "jsonl") else []
        given += [option for option, value in (("--explain", explain), ("--with-text", with_text)) if value]
        if given:
            raise ConfigError(f"{given[0]}: no effect on the columns of {command.output}; leave it out")
    if command.has_records:
        if with_text and command.field is not None:
            raise ConfigError("--with-text: --field prints the whole record anyway; leave it out")
        if with_text:
            raise ConfigError("--with-text: the whole row is printed anyway; leave it out")
        if format_ in ("tsv", "jsonl"):
            reader = "with --field" if command.field is not None else "of Parquet and Arrow"
            raise ConfigError(f"--format {format_}: {reader}, records keep their format; leave it out")
    elif explain and format_ != "jsonl":
        raise ConfigError("--explain: needs JSON output; add --format jsonl")
    if explain and command.input_format not in (None, "jsonl"):
        raise ConfigError(f"--explain: needs JSON records, not {command.input_format}; leave it out")


def check_ignored_choices(choices: Mapping[str, object]) -> None:
    """Raise ConfigError for options that have no effect with ``--ignore-thresholds``."""
    for option, value in choices.items():
        if value is not None:
            raise ConfigError(f"{option} {value}: has no effect with --ignore-thresholds; leave one out")


def check_unknown_label(unknown_label: str | None) -> None:
    """Raise ConfigError if ``unknown_label`` cannot be a label."""
    if unknown_label is None:  # numpy is loaded with the model, once its threads are set
        return
    from textrnn.data.labels import is_label

    if not is_label(unknown_label):
        raise ConfigError("--unknown-label: is blank, or contains a tab or line break")
