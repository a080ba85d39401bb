"""``textrnn evaluate``: score a model on labelled text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from textrnn.cli import options
from textrnn.cli.commands.analysis.saved_thresholds import clear_thresholds, save_thresholds
from textrnn.cli.commands.analysis.unknown_labels import report_unknown
from textrnn.cli.line_command import STDOUT, check_outputs, open_rejects
from textrnn.cli.model_loading import check_score_options, check_threshold, choose_model, load_engine
from textrnn.cli.parameters import Option
from textrnn.cli.table_files import find_format, write_table
from textrnn.cli.tables import format_evaluation, format_guarantees
from textrnn.cli.terminal import print_message, write_data
from textrnn.errors import ConfigError, pluralize
from textrnn.evaluation import MistakeOrder
from textrnn.inference import RecordFormat

if TYPE_CHECKING:
    from textrnn.data.reading.examples import Example
    from textrnn.evaluation.abstention import Guarantee
    from textrnn.evaluation.mistakes import Mistake
    from textrnn.evaluation.multi_label import MultiLabelEvaluation
    from textrnn.evaluation.predictions import Predictions
    from textrnn.evaluation.single_label import Evaluation
    from textrnn.inference.engine import Engine

_COLUMNS = ("file", "line", "label", "predicted_label", "confidence", "text")


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
    saves: Annotated[
        bool,
        Option("--save-thresholds", help="Write them into the model: predict prints unknown below them."),
    ] = False,
    clears: Annotated[
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

    Of a model of scores (data.target=score), it prints the mean absolute error (MAE), the root of the mean squared
    error (RMSE), the mean error (bias), the correlations of Pearson and Spearman, R2, and the mean true score of texts
    with similar predictions. --errors then lists all texts, the largest error first. Options for labels are errors.

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
    choices = _Choices.from_options(locals())
    path = choose_model(model)
    engine = load_engine(path)
    check_threshold(engine, threshold)
    goals: dict[str, object] = {"--sort": sort, "--max-error": max_error, "--at-precision": at_precision}
    check_score_options(engine, goals | {"--save-thresholds": saves, "--clear-thresholds": clears})
    if engine.thresholds is not None and choices.goal is not None:
        raise ConfigError(f"{choices.goal}: the model is multi-label; leave it out")
    config = options.make_data_config(overrides, engine.data_config, on_error=on_error)
    from textrnn.data.reading.examples import read_examples
    from textrnn.serialization.model_file import find_model

    check_outputs({"--errors": errors, "--rejects": rejects}, [data, str(find_model(path))], on_error=on_error)
    _ = choices.table_format
    with open_rejects(rejects) as write:
        examples = read_examples(data, config, note=print_message, rejects=write)
    if model is None:
        print_message(f"model: {path}, the latest run here")
    if engine.anchors is not None:
        choices.write_scores(engine, examples)
        return
    found = _evaluate(engine, examples, threshold=threshold)
    report_unknown(found.evaluation, effect="counted wrong" if engine.thresholds is None else "counted as missed")
    guarantees = found.fit_guarantees(max_error=max_error, at_precision=at_precision)
    choices.write(found, guarantees)
    if saves:
        save_thresholds(path, engine, guarantees)
    if clears:
        clear_thresholds(path, engine)


@dataclass(frozen=True, kw_only=True)
class _Choices:
    """The options of ``evaluate`` that say what to print and write."""

    data: str
    as_json: bool
    errors: Path | None
    sort: MistakeOrder | None
    limit: int | None
    max_error: float | None
    at_precision: float | None
    saves: bool
    clears: bool

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> _Choices:
        """Return those of ``options``, the arguments of the command by name, which has more.

        Raises:
            ConfigError: options exclude each other or have no effect.
        """
        choices = cls(**{field.name: options[field.name] for field in fields(cls)})
        choices._check()
        return choices

    def _check(self) -> None:
        if self.errors is None:
            for name, value in (("sort", self.sort), ("limit", self.limit)):
                if value is not None:
                    raise ConfigError(f"--{name} {value}: has no effect without --errors FILE")
        elif self.errors == STDOUT and self.as_json:
            raise ConfigError("--errors -: --json prints to stdout too; name a file")
        if self.max_error is not None and self.at_precision is not None:
            raise ConfigError(f"--at-precision {self.at_precision}: give either this or --max-error")
        if self.saves and self.goal is None:
            raise ConfigError("--save-thresholds: needs a goal; add --max-error E or --at-precision P")
        if self.saves and self.clears:
            raise ConfigError("--clear-thresholds: --save-thresholds replaces the earlier ones; leave one out")

    @property
    def goal(self) -> str | None:
        """The option that asks for thresholds, with its value."""
        goals = {"--max-error": self.max_error, "--at-precision": self.at_precision}
        return next((f"{name} {value}" for name, value in goals.items() if value is not None), None)

    @cached_property
    def table_format(self) -> RecordFormat | None:
        """The format of the list of errors; raises ConfigError for an unknown extension."""
        return None if self.errors is None else find_format(self.errors, option="--errors")

    def write(self, found: _Evaluated, guarantees: list[Guarantee]) -> None:
        """Print the page, the object of ``--json`` or the list of errors."""
        if self.table_format is not None:
            self._list_errors(found, self.table_format)
        shown = format_guarantees(guarantees) if guarantees else ""
        if self.errors == STDOUT:
            wrong = found.evaluation.texts - found.evaluation.correct
            print_message(f"{wrong:,} of {pluralize(found.evaluation.texts, 'text', 'texts')} wrong")
            print_message(shown.strip())
        elif self.as_json:
            thresholds = {"thresholds": [guarantee.to_dict() for guarantee in guarantees]} if guarantees else {}
            write_data(json.dumps(found.evaluation.to_dict() | thresholds, ensure_ascii=False) + "\n")
        else:
            write_data(format_evaluation(found.evaluation) + shown)

    def write_scores(self, engine: Engine, examples: list[Example]) -> None:
        """Print the page, the object of ``--json`` or the list of errors of a model of scores."""
        from textrnn.cli.commands.analysis.score_evaluation import write_evaluation

        write_evaluation(
            *(engine, examples),
            data=self.data,
            as_json=self.as_json,
            errors=self.errors,
            table_format=self.table_format,
            limit=self.limit,
        )

    def _list_errors(self, found: _Evaluated, output: RecordFormat) -> None:
        from textrnn.evaluation.mistakes import rank_mistakes

        mistakes = rank_mistakes(found.list_mistakes(), self.sort or "confidence")[: self.limit]
        rows = ([self.data, m.line_number, m.label, m.predicted_label, m.confidence, m.text] for m in mistakes)
        write_table(self.errors, _COLUMNS, rows, output=output)


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
