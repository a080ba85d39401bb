"""``textrnn evaluate``: score a model on labelled text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from textrnn.cli.options import ModelOption, ThresholdOption, check_threshold, choose_model, load_engine
from textrnn.cli.terminal import say, write_data
from textrnn.config import DataConfig, Override, load_config, parse_overrides
from textrnn.errors import ConfigError, pluralize

if TYPE_CHECKING:
    from textrnn.evaluation.multi_label import LabelScore, MultiLabelEvaluation
    from textrnn.evaluation.single_label import ClassScore, Evaluation

_KEYS = ("data.format", "data.label", "data.text", "data.label_separator")  # how DATA is written
_LABELS_SHOWN = 12  # of a confusion matrix, side by side

DataSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="data.KEY=VALUE",
        help="How the labelled text is written: data.format, data.label, data.text, data.label_separator.",
    ),
]


def evaluate_command(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Labelled text, in any format that train reads; - is stdin.")
    ],
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    settings: DataSettings = None,
    threshold: ThresholdOption = None,
) -> None:
    """Score a model on labelled text.

    Prints accuracy, F1, each label's scores, the confusion matrix, the loss, and how far probabilities are from what
    they say, with the model's calibration and without. A label that the model does not know is counted wrong. Where a
    text has several labels there is no confusion matrix, and accuracy is the share of texts with all labels right;
    DATA has the training text's data.label_separator unless another is said.

    \b
      textrnn evaluate test.tsv
      textrnn evaluate -m runs/trec-sru test.csv --set data.label=class --json
    """
    overrides = parse_settings(settings, command="evaluate")
    path = choose_model(model)
    engine = load_engine(path)
    check_threshold(engine, threshold)
    config = make_data_config(overrides, several=engine.thresholds is not None, separator=engine.separator)
    from textrnn.evaluation.labeled_text import evaluate_file

    found = evaluate_file(engine, data, config, threshold=threshold)
    if model is None:
        say(f"model: {path}, the latest run here")
    if found.unknown_texts:
        shown = ", ".join(f"'{label}'" for label in found.unknown_labels[:5])
        shown += ", ..." if len(found.unknown_labels) > 5 else ""
        counted = "counted wrong" if engine.thresholds is None else "counted as missed"
        texts = pluralize(found.unknown_texts, "text has", "texts have")
        say(f"{texts} labels that the model does not know ({shown}); {counted}")
    if as_json:
        write_data(json.dumps(found.to_dict(), ensure_ascii=False) + "\n")
    else:
        write_data(format_found(found))


def parse_settings(settings: list[str] | None, *, command: str) -> list[Override]:
    """Parse what ``--set`` says of how labelled text is written; raises ConfigError at another key."""
    # it comes from the command alone: the model's training text may have been written otherwise
    overrides = parse_overrides(settings or ())
    if wrong := [o for o in overrides if o.key not in _KEYS]:
        raise ConfigError([f"{o.origin}: {command} takes {', '.join(_KEYS[:-1])} and {_KEYS[-1]}" for o in wrong])
    return overrides


def make_data_config(overrides: list[Override], *, several: bool, separator: str | None) -> DataConfig:
    """Return how text is written that is labelled for a model: of ``several`` labels a text or one.

    Raises:
        ConfigError: ``overrides`` name what stands between several labels to a model of one.
    """
    if not several:
        if wrong := [o for o in overrides if o.key == "data.label_separator"]:
            raise ConfigError([f"{o.origin}: this model gives every text one label; leave it out" for o in wrong])
        return load_config(overrides=overrides).data
    # what a set of labels is, is the model's matter
    own = {"data.multi_label": True, "data.label_separator": separator}
    return load_config(overrides=[*(Override(key, value, key) for key, value in own.items()), *overrides]).data


def format_found(found: Evaluation | MultiLabelEvaluation) -> str:
    """Return the evaluation as text for a person."""
    from textrnn.evaluation.multi_label import MultiLabelEvaluation

    return format_sets(found) if isinstance(found, MultiLabelEvaluation) else format_evaluation(found)


def format_sets(found: MultiLabelEvaluation) -> str:
    """Return the evaluation of sets of labels as text for a person."""
    lines = [
        f"texts        {found.texts}",
        f"micro F1     {100 * found.micro_f1:.2f} %",
        f"macro F1     {100 * found.macro_f1:.2f} %",
        f"weighted F1  {100 * found.weighted_f1:.2f} %",
        f"accuracy     {100 * found.accuracy:.2f} %  ({found.correct} with all labels right)",
        *_show_calibration(found),
        "",
    ]
    rows = [[*_SCORES, "threshold"]]
    rows += [[*_show(c), f"{'-' if c.threshold is None else f'{c.threshold:.3f}':>9}"] for c in found.classes]
    return "\n".join([*lines, *format_table(rows)]) + "\n"


def _show_calibration(found: Evaluation | MultiLabelEvaluation) -> list[str]:
    """Return the lines on loss and calibration."""
    loss = "-" if found.loss is None else f"{found.loss:.4f}"
    more = "the model is not calibrated"
    if found.temperature != 1:
        loss += "" if found.loss_uncalibrated is None else f"  ({found.loss_uncalibrated:.4f} uncalibrated)"
        more = f"{100 * found.calibration_error_uncalibrated:.2f} uncalibrated, temperature {found.temperature:.3f}"
    error = f"{100 * found.calibration_error:.2f} percentage points on average"
    return [
        f"loss         {loss}",
        f"calibration  probabilities off by {error}  ({more})",
        "             (ECE: of labels with a probability of 90 %, 90 in 100 should be right)",
    ]


_SCORES = ["label", "precision", "recall", "F1", "support"]


def _show(c: ClassScore | LabelScore) -> list[str]:
    return [c.label, f"{100 * c.precision:.1f}", f"{100 * c.recall:.1f}", f"{100 * c.f1:.1f}", str(c.support)]


def format_evaluation(found: Evaluation) -> str:
    """Return the evaluation as text for a person."""
    lines = [
        f"texts        {found.texts}",
        f"accuracy     {100 * found.accuracy:.2f} %  ({found.correct} right)",
        f"macro F1     {100 * found.macro_f1:.2f} %",
        f"weighted F1  {100 * found.weighted_f1:.2f} %",
        *_show_calibration(found),
        "",
    ]
    rows = [_SCORES, *map(_show, found.classes)]
    lines += format_table(rows)
    lines += ["", "confusion (rows: true, columns: predicted)"]
    if len(found.labels) <= _LABELS_SHOWN:
        rows = [["", *found.labels]]
        rows += [[label, *map(str, row)] for label, row in zip(found.labels, found.confusion, strict=True)]
        lines += format_table(rows)
    else:
        pairs = sorted(
            ((count, i, j) for i, row in enumerate(found.confusion) for j, count in enumerate(row) if i != j and count),
            key=lambda pair: (-pair[0], pair[1:]),
        )
        rows = [["true", "predicted", "texts"], *([found.labels[i], found.labels[j], str(n)] for n, i, j in pairs[:20])]
        lines += [f"the {len(rows) - 1} most frequent mistakes; --json has the whole matrix", *format_table(rows)]
    return "\n".join(lines) + "\n"


def format_table(rows: list[list[str]]) -> list[str]:
    """Return ``rows`` as lines with aligned columns: text to the left, numbers to the right."""
    from rich.cells import cell_len

    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for text, width, last in zip(row, widths, rows[-1], strict=True):
            blanks = " " * (width - cell_len(text))
            number = last.replace(".", "").replace(",", "").isdigit()
            cells.append(blanks + text if number else text + blanks)
        lines.append("  ".join(cells).rstrip())
    return lines
