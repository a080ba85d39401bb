"""``textrnn data errors``: list the texts of a training set whose label is probably wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from textrnn.cli.line_command import check_outputs
from textrnn.cli.options import LABELLED_KEYS, OutputOption, parse_data_settings
from textrnn.cli.parameters import Argument, Option
from textrnn.cli.table_files import find_format, write_table
from textrnn.cli.terminal import print_message
from textrnn.cli.training_process import training_process
from textrnn.config import Config, Override, load_config
from textrnn.data.reading.io import is_pipe
from textrnn.errors import ConfigError, pluralize

if TYPE_CHECKING:
    from textrnn.evaluation.label_errors import LabelErrors
    from textrnn.experiments.out_of_fold import OutOfFold

_FOLDS = 5
PENALTY = 0.5
"""Default of ngrams.penalty: more than in training, for the model should not learn the wrong labels."""
_KEYS = (
    *LABELLED_KEYS,
    *("data.group", "data.on_error", "data.max_length", "data.long_texts", "data.cache", "tokenizer.model"),
    *("tokenizer.vocab_size", "tokenizer.model_type", "ngrams.penalty", "train.class_weights", "train.seed"),
)
"""The keys that reading and the n-gram model depend on."""
_COLUMNS = ("file", "line", "label", "suggested", "confidence", "score", "text")


def errors_command(
    files: Annotated[list[str] | None, Argument(metavar="FILE", help="The files of the training set.")] = None,
    train: Annotated[list[str] | None, Option(metavar="FILE", help="The same; repeatable.")] = None,
    model: Annotated[
        Path | None,
        Option("--model", "-m", metavar="EXPERIMENT", help="Use the folder of a 'train --kfold K'; trains nothing."),
    ] = None,
    folds: Annotated[int | None, Option(metavar="K", min=2, max=9999, help="Number of folds.  [default: 5]")] = None,
    limit: Annotated[int | None, Option(metavar="N", min=1, help="List at most N texts.  [default: all]")] = None,
    settings: Annotated[
        list[str] | None,
        Option("--set", metavar="path.to.key=value", help="How to read the files and fit the model."),
    ] = None,
    output: OutputOption = None,
) -> None:
    """List the texts whose label is probably wrong.

    An n-gram model predicts each text after it was fitted to the other folds. Confident learning compares the
    probabilities with the labels. Prints a line for each probable error, the most probable first, as TSV with a header:
    file, line, label, suggested label, its probability (confidence), a score (1 - the probability of the label) and the
    text. The extension of FILE is the format: .tsv, .csv or .jsonl.

    With -m, the models of a finished 'train --kfold' predict, network included. A text that is the only one of its
    label is not checked.

    \b
      textrnn data errors train.tsv
      textrnn data errors train.tsv --limit 200 -o errors.tsv
      textrnn train --train train.tsv --kfold 5 --out runs/folds
      textrnn data errors -m runs/folds
    """
    own = [*(files or ()), *(train or ())]
    choices = dict.fromkeys(files or (), True) | {"--train": train, "--folds": folds, "--set": settings}
    if model is None:
        resolved = _load_config(own, settings)
    elif given := [name for name, value in choices.items() if value]:
        raise ConfigError(f"-m {model}: uses the data and folds of that experiment; leave out {given[0]}")
    table = find_format(output, option="--output")
    check_outputs({"--output": output}, own)
    out_of_fold = _read(model) if model is not None else _fit(resolved, folds or _FOLDS)
    check_outputs({"--output": output}, sorted({source.file for source in out_of_fold.texts}))
    from textrnn.evaluation.label_errors import find_label_errors

    errors = find_label_errors(out_of_fold.probabilities, out_of_fold.true)
    write_table(output, _COLUMNS, _list_rows(out_of_fold, errors, limit=limit), output=table)
    share = 100 * len(errors) / len(out_of_fold)
    shown = "" if limit is None or limit >= len(errors) else f"; the first {limit:,} are listed"
    texts = pluralize(len(out_of_fold), "text", "texts")
    print_message(f"{len(errors):,} of {texts} probably have another label ({share:.1f} %){shown}")


def _load_config(files: list[str], settings: list[str] | None) -> Config:
    if not files:
        raise ConfigError("data errors: name the training set, as in textrnn data errors train.tsv")
    if repeated := next((path for path in files if files.count(path) > 1), None):
        raise ConfigError(f"{repeated}: given twice; name each file once")
    if piped := next((path for path in files if is_pipe(path)), None):
        raise ConfigError(f"data errors {piped}: is a pipe, but every fold reads the data; write them to a file")
    train = Override("data.train", files if len(files) > 1 else files[0], files[0])
    penalty = Override("ngrams.penalty", PENALTY, "ngrams.penalty")
    return load_config(overrides=[train, penalty, *parse_data_settings(settings, command="data errors", keys=_KEYS)])


def _read(model: Path) -> OutOfFold:
    from textrnn.experiments.out_of_fold import read_out_of_fold

    return read_out_of_fold(model)


def _fit(config: Config, folds: int) -> OutOfFold:
    with training_process(config.train.device) as reporter:
        from textrnn.experiments.held_out import fit_held_out
        from textrnn.experiments.variations import CrossValidation

        return fit_held_out(CrossValidation(config, folds), reporter=reporter)


def _list_rows(out_of_fold: OutOfFold, errors: LabelErrors, *, limit: int | None) -> Iterator[list[object]]:
    """Yield a row of the table for each of the first ``limit`` errors."""
    rows = zip(errors.rows[:limit].tolist(), errors.suggested.tolist(), errors.score.tolist(), strict=False)
    for row, suggested, score in rows:
        source, confidence = out_of_fold.texts[row], float(out_of_fold.probabilities[row, suggested])
        example = source.example
        place: list[object] = [source.file, example.line_number, example.label]
        yield [*place, out_of_fold.labels[suggested], confidence, score, example.text]
