"""``textrnn evaluate``: score a model on labelled text."""

from __future__ import annotations

import json

from textrnn.cli import options
from textrnn.cli.line_command import check_outputs, open_rejects
from textrnn.cli.model_loading import check_threshold, choose_model, load_engine
from textrnn.cli.tables import format_evaluation
from textrnn.cli.terminal import print_message, write_data
from textrnn.errors import pluralize, shorten

_MAX_UNKNOWN_LABELS = 5


def evaluate_command(
    data: options.LabelledArgument,
    model: options.ModelOption = None,
    as_json: options.JsonOption = False,
    settings: options.DataSettings = None,
    threshold: options.ThresholdOption = None,
    on_error: options.OnErrorOption = "stop",
    rejects: options.RejectsOption = None,
) -> None:
    """Evaluate a model on labelled text.

    Prints accuracy, F1, precision and recall of each label, the confusion matrix, the loss and the calibration error,
    each with and without calibration. Labels that the model does not know count as errors.

    With more than 300 labels, --json lists the confusion matrix as [true label, predicted label, count]. For
    multi-label models there is no confusion matrix, and accuracy is the share of texts with all labels correct.
    DATA is read as the training set was, by its columns, delimiter, encoding and label separator, unless --set gives
    others.

    \b
      textrnn evaluate test.tsv
      textrnn evaluate -m runs/trec-sru test.csv --set data.label=class
    """
    overrides = options.parse_data_settings(settings, command="evaluate")
    path = choose_model(model)
    engine = load_engine(path)
    check_threshold(engine, threshold)
    config = options.make_data_config(overrides, engine.data_config, on_error=on_error)
    from textrnn.data.reading.examples import read_examples
    from textrnn.evaluation.labelled_text import evaluate_examples

    check_outputs({"--rejects": rejects}, [data], on_error=on_error)
    with open_rejects(rejects) as write:
        examples = read_examples(data, config, note=print_message, rejects=write)
    evaluation = evaluate_examples(engine, examples, threshold=threshold)
    if model is None:
        print_message(f"model: {path}, the latest run here")
    if evaluation.unknown_texts:
        shown = ", ".join(f"'{shorten(label)}'" for label in evaluation.unknown_labels[:_MAX_UNKNOWN_LABELS])
        more = ", ..." if len(evaluation.unknown_labels) > _MAX_UNKNOWN_LABELS else ""
        texts = pluralize(evaluation.unknown_texts, "text has", "texts have")
        effect = "counted wrong" if engine.thresholds is None else "counted as missed"
        print_message(f"{texts} labels that the model does not know ({shown}{more}); {effect}")
    if as_json:
        write_data(json.dumps(evaluation.to_dict(), ensure_ascii=False) + "\n")
    else:
        write_data(format_evaluation(evaluation))
