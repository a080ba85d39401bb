"""``textrnn evaluate``: score a model on labelled text."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from textrnn.cli import options
from textrnn.cli.line_command import STDOUT, check_outputs, open_rejects
from textrnn.cli.model_loading import check_threshold, choose_model, load_engine
from textrnn.cli.parameters import Option
from textrnn.cli.table_files import find_format, write_table
from textrnn.cli.tables import format_evaluation, format_guarantees
from textrnn.cli.terminal import print_message, write_data
from textrnn.errors import ConfigError, DataError, pluralize, shorten
from textrnn.evaluation import MistakeOrder

if TYPE_CHECKING:
    from textrnn.data.reading.examples import Example
    from textrnn.evaluation.abstention import Guarantee
    from textrnn.evaluation.mistakes import Mistake
    from textrnn.evaluation.multi_label import MultiLabelEvaluation
    from textrnn.evaluation.predictions import Predictions
    from textrnn.evaluation.single_label import Evaluation
    from textrnn.inference.engine import Engine

_COLUMNS = ("file", "line", "label", "predicted_label", "confidence", "text")
_MAX_UNKNOWN_LABELS = 5


def evaluate_command(
    data: options.LabelledArgument,
    model: options.ModelOption = None,
    as_json: options.JsonOption = False,
    settings: options.DataSettings = None,
    threshold: options.ThresholdOption = None,
    on_error: options.OnErrorOption = "stop",
    rejects: options.RejectsOption = None,
    errors: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="List the texts with a wrong label; .csv, .jsonl, or else TSV. - prints them instead of the page.",
        ),
    ] = None,
    sort: Annotated[
        MistakeOrder | None,
        Option(help="List first the errors with the highest confidence, loss or margin.  [default: confidence]"),
    ] = None,
    limit: Annotated[int | None, Option(min=1, metavar="N", help="List at most N errors.  [default: all]")] = None,
    max_error: Annotated[
        float | None,
        Option(min=0.0001, max=0.5, metavar="E", help="Find the confidence from which at most a share of E is wrong."),
    ] = None,
    at_precision: Annotated[
        float | None,
        Option(min=0.5, max=0.9999, metavar="P", help="Find the confidence of each label at a precision of P."),
    ] = None,
    save_thresholds: Annotated[
        bool,
        Option("--save-thresholds", help="Write them into the model: predict prints unknown below them."),
    ] = False,
    clear_thresholds: Annotated[
        bool, Option("--clear-thresholds", help="Remove them from the model: predict prints every label again.")
    ] = False,
) -> None:
    """Evaluate a model on labelled text.

    Prints accuracy, F1, precision and recall of each label, the confusion matrix, the loss and the calibration error,
    each with and without calibration. Labels that the model does not know count as errors.

    With more than 300 labels, --json lists the confusion matrix as [true label, predicted label, count]. For
    multi-label models there is no confusion matrix, and accuracy is the share of texts with all labels correct.
    DATA is read as the training set was, by its columns, delimiter, encoding and label separator, unless --set gives
    others.

    --errors lists the texts with a wrong label: file, line, true and predicted label, confidence and text.

    --max-error and --at-precision find thresholds of confidence, the first for all texts, the second for each predicted
    label. They hold with 95 % confidence for new texts of the same kind, if the model has not seen DATA in training,
    not even as its validation set. One of the two may be given.

    \b
      textrnn evaluate test.tsv
      textrnn evaluate -m runs/trec-sru test.csv --set data.label=class
      textrnn evaluate test.tsv --errors wrong.tsv --sort loss --limit 100
      textrnn evaluate test.tsv --max-error 0.05 --save-thresholds
    """
    overrides = options.parse_data_settings(settings, command="evaluate")
    _check_choices(
        as_json=as_json,
        errors=errors,
        sort=sort,
        limit=limit,
        goals=(max_error, at_precision),
        saves=save_thresholds,
        clears=clear_thresholds,
    )
    path = choose_model(model)
    engine = load_engine(path)
    check_threshold(engine, threshold)
    if engine.thresholds is not None and (goal := max_error or at_precision):
        name = "--max-error" if max_error else "--at-precision"
        raise ConfigError(f"{name} {goal}: the model is multi-label; leave it out")
    config = options.make_data_config(overrides, engine.data_config, on_error=on_error)
    from textrnn.data.reading.examples import read_examples
    from textrnn.serialization.model_file import find_model

    check_outputs({"--errors": errors, "--rejects": rejects}, [data, str(find_model(path))], on_error=on_error)
    table = None if errors is None else find_format(errors, option="--errors")
    with open_rejects(rejects) as write:
        examples = read_examples(data, config, note=print_message, rejects=write)
    if model is None:
        print_message(f"model: {path}, the latest run here")
    found = _evaluate(engine, examples, threshold=threshold)
    _report_unknown(found.evaluation, is_multi_label=engine.thresholds is not None)
    if table is not None:
        from textrnn.evaluation.mistakes import rank_mistakes

        mistakes = rank_mistakes(found.list_mistakes(), sort or "confidence")[:limit]
        rows = ([data, m.line_number, m.label, m.predicted_label, m.confidence, m.text] for m in mistakes)
        write_table(errors, _COLUMNS, rows, output=table)
    guarantees = found.fit_guarantees(max_error=max_error, at_precision=at_precision)
    if errors == STDOUT:
        wrong = found.evaluation.texts - found.evaluation.correct
        print_message(f"{wrong:,} of {pluralize(found.evaluation.texts, 'text', 'texts')} wrong")
        if guarantees:
            print_message(format_guarantees(guarantees).strip())
    elif as_json:
        thresholds = {"thresholds": [guarantee.to_dict() for guarantee in guarantees]} if guarantees else {}
        write_data(json.dumps(found.evaluation.to_dict() | thresholds, ensure_ascii=False) + "\n")
    else:
        write_data(format_evaluation(found.evaluation) + (format_guarantees(guarantees) if guarantees else ""))
    if save_thresholds:
        _save(path, engine, guarantees)
    if clear_thresholds:
        _clear(path, engine)


@dataclass(frozen=True)
class _Evaluated:
    """An evaluation, and what it was made from; ``predictions`` are those of a single-label model."""

    engine: Engine
    examples: list[Example]
    evaluation: Evaluation | MultiLabelEvaluation
    predictions: Predictions | None
    threshold: float | None

    def list_mistakes(self) -> list[Mistake]:
        from textrnn.evaluation.mistakes import list_mistakes, list_multi_label_mistakes

        if self.predictions is None:
            return list_multi_label_mistakes(self.engine, self.examples, threshold=self.threshold)
        return list_mistakes(self.predictions, self.examples)

    def fit_guarantees(self, *, max_error: float | None, at_precision: float | None) -> list[Guarantee]:
        from textrnn.evaluation.abstention import fit_guarantee, fit_guarantees

        if max_error is not None and self.predictions is not None:
            return [fit_guarantee(self.predictions, max_error)]
        if at_precision is not None and self.predictions is not None:
            return fit_guarantees(self.predictions, 1 - at_precision)
        return []


def _evaluate(engine: Engine, examples: list[Example], *, threshold: float | None) -> _Evaluated:
    from textrnn.evaluation.multi_label import evaluate_multi_label
    from textrnn.evaluation.predictions import predict_examples
    from textrnn.evaluation.single_label import evaluate_predictions

    if engine.thresholds is not None:
        evaluation = evaluate_multi_label(engine, examples, threshold=threshold)
        return _Evaluated(engine, examples, evaluation, None, threshold)
    predictions = predict_examples(engine, examples)
    return _Evaluated(engine, examples, evaluate_predictions(predictions), predictions, threshold)


def _check_choices(
    *,
    as_json: bool,
    errors: Path | None,
    sort: str | None,
    limit: int | None,
    goals: tuple[float | None, float | None],
    saves: bool,
    clears: bool,
) -> None:
    """Raise ConfigError for options that exclude each other or have no effect."""
    if errors is None:
        for name, value in (("sort", sort), ("limit", limit)):
            if value is not None:
                raise ConfigError(f"--{name} {value}: has no effect without --errors FILE")
    elif errors == STDOUT and as_json:
        raise ConfigError("--errors -: --json prints to stdout too; name a file")
    max_error, at_precision = goals
    if max_error is not None and at_precision is not None:
        raise ConfigError(f"--at-precision {at_precision}: give either this or --max-error")
    if saves and max_error is None and at_precision is None:
        raise ConfigError("--save-thresholds: needs a goal; add --max-error E or --at-precision P")
    if saves and clears:
        raise ConfigError("--clear-thresholds: --save-thresholds replaces the earlier ones; leave one out")


def _report_unknown(evaluation: Evaluation | MultiLabelEvaluation, *, is_multi_label: bool) -> None:
    if evaluation.unknown_texts:
        shown = ", ".join(f"'{shorten(label)}'" for label in evaluation.unknown_labels[:_MAX_UNKNOWN_LABELS])
        more = ", ..." if len(evaluation.unknown_labels) > _MAX_UNKNOWN_LABELS else ""
        texts = pluralize(evaluation.unknown_texts, "text has", "texts have")
        effect = "counted as missed" if is_multi_label else "counted wrong"
        print_message(f"{texts} labels that the model does not know ({shown}{more}); {effect}")


def _save(path: Path, engine: Engine, guarantees: list[Guarantee]) -> None:
    """Write the thresholds into the model file; raise DataError if there is none."""
    from textrnn.evaluation.abstention import count_needed, list_thresholds
    from textrnn.serialization.model_file import save_confidence_thresholds

    if all(guarantee.threshold is None for guarantee in guarantees):
        needed, goal = count_needed(guarantees[0].max_error), f"{100 * guarantees[0].max_error:g} % errors"
        cure = f"allow more, or give more text (at least {needed:,} confident predictions)"
        reason = f"no confidence guarantees at most {goal}; {cure}"
        raise DataError("--save-thresholds", None, f"nothing saved: {reason}")
    thresholds = list_thresholds(guarantees, engine.labels)
    save_confidence_thresholds(path, thresholds)
    print_message(f"{path}: predict prints unknown below the thresholds; predict --min-prob 0 prints every label")
    if never := [label for label, threshold in zip(engine.labels, thresholds, strict=True) if math.isinf(threshold)]:
        shown = ", ".join(f"'{shorten(label)}'" for label in never[:_MAX_UNKNOWN_LABELS])
        more = ", ..." if len(never) > _MAX_UNKNOWN_LABELS else ""
        labels = pluralize(len(never), "label", "labels")
        print_message(f"{labels} without a threshold, never printed: {shown}{more}")


def _clear(path: Path, engine: Engine) -> None:
    """Remove the thresholds from the model file; raise ConfigError if there are none."""
    from textrnn.serialization.model_file import save_confidence_thresholds

    if not engine.confidence_thresholds:
        raise ConfigError(f"--clear-thresholds: {path} has none; leave it out")
    save_confidence_thresholds(path, None)
    print_message(f"{path}: predict prints every label again")
