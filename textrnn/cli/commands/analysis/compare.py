"""``textrnn compare``: compare models, or predictions of other tools, on labelled text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from textrnn.cli import options
from textrnn.cli.line_command import STDOUT, check_outputs
from textrnn.cli.model_loading import load_engine
from textrnn.cli.parameters import Argument, Option
from textrnn.cli.table_files import find_format, write_table
from textrnn.cli.terminal import print_message, write_data
from textrnn.config import DataConfig
from textrnn.data.reading.io import check_readable
from textrnn.errors import ConfigError, DataError, name_file, pluralize, shorten

if TYPE_CHECKING:
    from textrnn.data.reading.examples import Example
    from textrnn.evaluation.comparison import Candidate
    from textrnn.evaluation.multi_label import MultiLabelEvaluation
    from textrnn.evaluation.single_label import Evaluation
    from textrnn.inference.engine import Engine


def compare_command(
    paths: Annotated[
        list[str],
        Argument(
            metavar="RUN... DATA",
            help="Run folders, model files, or files of predictions; the last is labelled text (-: stdin).",
        ),
    ],
    against: Annotated[
        Literal["first", "best"], Option(help="Compare all others with the first RUN, or the most accurate one.")
    ] = "first",
    differences: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Write the texts whose predictions differ to FILE (.tsv, .csv or .jsonl, perhaps compressed; -: TSV "
            "to stdout).",
        ),
    ] = None,
    seed: Annotated[int, Option(min=0, metavar="N", help="Random seed of the bootstrap.")] = 42,
    as_json: options.JsonOption = False,
    settings: options.DataSettings = None,
) -> None:
    """Compare models, or other tools, on labelled text.

    Prints accuracy, macro F1, loss, calibration error and size side by side, and tells whether the differences can be
    chance: McNemar's exact test of accuracy, and a paired bootstrap of macro F1 (2,000 resamples). With three runs or
    more, p values are corrected by Holm's method. The last line is the verdict, one for each comparison.

    A file of predictions may come from any tool. It has a line label<TAB>confidence for each text of DATA, in order;
    the confidence, from 0 to 1, is optional. That is what predict prints. For multi-label models, accuracy and
    McNemar's test count the texts with exactly the right labels; a file has labels as a|b.

    DATA is read as the training set of the first model was, unless --set gives other columns.

    \b
      textrnn compare runs/small runs/large test.tsv
      textrnn compare runs/trec-sru fasttext.txt svm.txt test.tsv
      textrnn compare --differences changed.tsv runs/old runs/new test.tsv
    """
    overrides = options.parse_data_settings(settings, command="compare")
    *runs, data = paths
    models = _check_paths(runs, data, differences, as_json=as_json)
    table_format = find_format(differences, option="--differences")
    engines = {run: load_engine(Path(path)) for run, path in models.items()}
    trained = _check_kinds(engines)
    config = options.make_data_config(overrides, trained)
    from textrnn.data.labels import PRINTED_SEPARATOR
    from textrnn.data.reading.examples import read_examples
    from textrnn.evaluation.comparison import compare

    examples = read_examples(data, config, note=print_message)
    if len(engines) == len(runs):  # which labels another tool knows but never predicts is unknown
        _check_true_labels(examples, engines.values(), data=data)
    separator = None
    if trained.multi_label:
        separator = config.label_separator or trained.label_separator or PRINTED_SEPARATOR
    candidates = [
        _predict(engines[run], run, examples)
        if run in engines
        else _read(run, examples, data=data, separator=separator)
        for run in runs
    ]
    files = [candidate for candidate in candidates if candidate.name not in engines]
    _check_predicted_labels(files, examples, engines=engines.values(), data=data)
    true = [example.label for example in examples]
    comparison = compare(true, candidates, against=0 if against == "first" else None, seed=seed)
    if differences is not None:
        from textrnn.cli.commands.analysis.differences import find_differences, list_columns, list_rows

        rows = find_differences(candidates, len(examples))
        table = list_rows(candidates, examples, rows, data=data)
        write_table(differences, list_columns(candidates), table, output=table_format)
        if differences != STDOUT:
            print_message(f"{differences}: {pluralize(len(rows), 'text', 'texts')} with different predictions")
    from textrnn.cli.commands.analysis.comparison_page import format_comparison, format_verdict

    verdicts = [format_verdict(comparison, difference) for difference in comparison.differences]
    if as_json:
        write_data(json.dumps({**comparison.to_dict(), "verdicts": verdicts}, ensure_ascii=False) + "\n")
    elif differences == STDOUT:
        print_message("\n".join(verdicts))
    else:
        write_data(format_comparison(comparison) + "\n".join(["", *verdicts, ""]))


def _check_paths(runs: Sequence[str], data: str, differences: Path | None, *, as_json: bool) -> dict[str, str]:
    """Return the model file of each run that has one; the other runs are files of predictions.

    Raises:
        ConfigError: there are too few or repeated runs, or the output file is bad.
        DataError: a file cannot be read.
    """
    from textrnn.serialization.model_file import find_model

    if len(runs) < 2:
        raise ConfigError("compare: needs two runs or more, and labelled data: textrnn compare RUN RUN DATA")
    if repeated := next((run for run in [*runs, data] if [*runs, data].count(run) > 1), None):
        raise ConfigError(f"{repeated}: given twice; keep one")
    if differences == STDOUT and as_json:
        raise ConfigError("--differences -: stdout has the JSON of --json; name a file")
    models = {run: str(find_model(Path(run))) for run in runs if _is_model(run)}
    check_outputs({"--differences": differences}, [*(models.get(run, run) for run in runs), data])
    for path in (data, *(run for run in runs if run not in models)):
        check_readable(path)
    return models


def _is_model(run: str) -> bool:
    """Return whether ``run`` is a run folder or a model file, not a file of predictions."""
    from textrnn.serialization.latest_run import POINTER
    from textrnn.serialization.tensor_file import map_file, read_header

    path = Path(run)
    if path.is_dir() or path.suffix == ".safetensors" or path == POINTER:
        return True
    if not path.is_file():  # stdin, a pipe, or nothing
        return False
    try:
        return bool(read_header(map_file(path)))
    except (ValueError, RecursionError, OSError):
        return False


def _check_kinds(engines: Mapping[str, Engine]) -> DataConfig:
    """Return how the training set of the first model was read; raises ConfigError if only some are multi-label."""
    kinds = {engine.thresholds is not None: run for run, engine in engines.items()}
    if len(kinds) > 1:
        raise ConfigError(f"{kinds[True]} is multi-label, {kinds[False]} is not; compare models of the same kind")
    return next((engine.data_config for engine in engines.values()), DataConfig())


def _predict(engine: Engine, run: str, examples: Sequence[Example]) -> Candidate:
    from textrnn.evaluation.comparison import Candidate
    from textrnn.evaluation.labelled_text import evaluate_examples
    from textrnn.evaluation.predictions import predict_examples
    from textrnn.evaluation.single_label import evaluate_predictions
    from textrnn.serialization.model_file import find_model

    size = find_model(Path(run)).stat().st_size
    if engine.thresholds is None:
        predictions = predict_examples(engine, examples)
        evaluation = evaluate_predictions(predictions)
        labels = [predictions.labels[index] for index in predictions.predicted.tolist()]
        scores = predictions.calibrated
        _report_unknown(run, evaluation)
        return Candidate(run, labels, scores.confidence, evaluation.loss, evaluation.calibration_error, size)
    from textrnn.data.labels import join_labels

    logits = engine.predict_logits([example.text for example in examples])
    sets = evaluate_examples(engine, examples, logits=logits)
    _report_unknown(run, sets)
    assigned = engine.assign_labels(engine.to_log_probabilities(logits))
    joined = [join_labels([engine.labels[index] for index in row.nonzero()[0]]) for row in assigned]
    return Candidate(run, joined, None, sets.loss, sets.calibration_error, size)


def _report_unknown(run: str, evaluation: Evaluation | MultiLabelEvaluation) -> None:
    """Report labels that only other runs know."""
    if evaluation.unknown_texts:
        texts = pluralize(evaluation.unknown_texts, "text has", "texts have")
        label = shorten(evaluation.unknown_labels[0])
        print_message(f"{run}: {texts} labels that this model does not know, such as '{label}'; counted wrong")


def _read(run: str, examples: Sequence[Example], *, data: str, separator: str | None) -> Candidate:
    import numpy as np

    from textrnn.evaluation.comparison import Candidate
    from textrnn.evaluation.prediction_file import read_predictions
    from textrnn.models.calibration import CalibrationError

    found = read_predictions(run, texts=len(examples), data=name_file(data), separator=separator, note=print_message)
    if found.confidence is None:
        return Candidate(run, found.labels)
    error = CalibrationError()
    pairs = zip(found.labels, examples, strict=True)
    error.add(found.confidence, np.array([label == example.label for label, example in pairs]))
    return Candidate(run, found.labels, found.confidence, calibration_error=error.mean)


def _check_true_labels(examples: Sequence[Example], engines: Iterable[Engine], *, data: str) -> None:
    """Raise DataError if none of ``engines``, the models of all runs, knows one of the labels of DATA."""
    from textrnn.data.labels import split_labels

    known = {label for engine in engines for label in engine.labels}
    for example in examples:
        if unknown := next((label for label in split_labels(example.label) if label not in known), None):
            reason = f"no model knows the label '{shorten(unknown)}'; correct it, or leave the text out"
            raise DataError(data, example.line_number, reason)


def _check_predicted_labels(
    candidates: Iterable[Candidate], examples: Sequence[Example], *, engines: Iterable[Engine], data: str
) -> None:
    """Raise DataError if a label of ``candidates``, files of predictions, is neither in DATA nor one of a model."""
    from textrnn.data.labels import split_labels

    known = {label for engine in engines for label in engine.labels}
    place = f"neither in {name_file(data)} nor known to a model" if known else f"not in {name_file(data)}"
    known |= {label for example in examples for label in split_labels(example.label)}
    for candidate in candidates:
        for number, joined in enumerate(candidate.labels, 1):
            if unknown := next((label for label in split_labels(joined) if label not in known), None):
                cure = "use the labels of the data; a model that abstains gives them with predict --min-prob 0"
                reason = f"label '{shorten(unknown)}' is {place}; {cure}"
                raise DataError(candidate.name, number, reason)
