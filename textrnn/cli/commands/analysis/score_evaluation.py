"""The output of ``textrnn evaluate`` for a model of scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textrnn.cli.line_command import STDOUT
from textrnn.cli.table_files import write_table
from textrnn.cli.tables import align_numbers
from textrnn.cli.terminal import print_message, write_data
from textrnn.inference import RecordFormat

if TYPE_CHECKING:
    from textrnn.data.reading.examples import Example
    from textrnn.evaluation.regression import ScoreEvaluation
    from textrnn.inference.engine import Engine

_COLUMNS = ("file", "line", "score", "predicted_score", "error", "text")


def write_evaluation(
    engine: Engine,
    examples: Sequence[Example],
    *,
    data: str,
    as_json: bool,
    errors: Path | None,
    table_format: RecordFormat | None,
    limit: int | None,
) -> None:
    """Evaluate ``engine``, a model of scores; print the page or the object, and list the ``errors``, largest first."""
    from textrnn.evaluation.regression import evaluate_scores, list_score_errors, predict_scores, read_scores

    predicted = predict_scores(engine, examples)
    evaluation = evaluate_scores(predicted, read_scores([example.label for example in examples]))
    if table_format is not None:
        found = list_score_errors(examples, predicted)[:limit]
        rows = ([data, e.line_number, e.score, e.predicted_score, e.error, e.text] for e in found)
        write_table(errors, _COLUMNS, rows, output=table_format)
    if errors == STDOUT:
        print_message(f"MAE {evaluation.mae:.4g}, RMSE {evaluation.rmse:.4g}, {evaluation.texts:,} texts")
    elif as_json:
        write_data(json.dumps(evaluation.to_dict()) + "\n")
    else:
        write_data(format_score_evaluation(evaluation))


def format_score_evaluation(found: ScoreEvaluation) -> str:
    """Return the page that ``textrnn evaluate`` prints."""
    lines = [
        f"texts        {found.texts}",
        f"MAE          {found.mae:.4g}",
        f"RMSE         {found.rmse:.4g}",
        f"bias         {found.bias:+.4g}  (mean of predicted minus true score)",
        f"Pearson      {_format(found.pearson)}",
        f"Spearman     {_format(found.spearman)}",
        f"R2           {_format(found.r2)}",
    ]
    rows = [["from", "to", "mean predicted", "mean true", "texts"]]
    rows += [
        [*(f"{value:.4g}" for value in (each.low, each.high, each.predicted, each.true)), str(each.texts)]
        for each in found.calibration
    ]
    return "\n".join([*lines, "", "calibration by predicted score", *align_numbers(rows), ""])


def _format(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
