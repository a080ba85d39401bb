"""``textrnn compare``: compare models, or predictions of other tools, on labelled text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from textrnn.cli import options
from textrnn.cli.line_command import STDOUT, check_outputs
from textrnn.cli.model_loading import load_engine, require_labels
from textrnn.cli.parameters import Argument, Option
from textrnn.cli.table_files import find_format, write_table
from textrnn.cli.terminal import print_message, write_data
from textrnn.config import DataConfig
from textrnn.data.reading.io import check_readable
from textrnn.errors import ConfigError, pluralize
from textrnn.inference import RecordFormat

if TYPE_CHECKING:
    from textrnn.data.reading.examples import Example
    from textrnn.evaluation.comparison import Candidate
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
    config = options.make_data_config(overrides, _check_kinds(engines))
    from textrnn.cli.commands.analysis.candidates import list_candidates
    from textrnn.data.reading.examples import read_examples
    from textrnn.evaluation.comparison import compare

    examples = read_examples(data, config, note=print_message)
    candidates = list_candidates(runs, examples, engines=engines, data=data, config=config)
    true = [example.label for example in examples]
    comparison = compare(true, candidates, against=0 if against == "first" else None, seed=seed)
    if differences is not None:
        _write_differences(differences, candidates, examples, data=data, output=table_format)
    from textrnn.cli.commands.analysis.comparison_page import format_comparison, format_verdict

    verdicts = [format_verdict(comparison, difference) for difference in comparison.differences]
    if as_json:
        write_data(json.dumps({**comparison.to_dict(), "verdicts": verdicts}, ensure_ascii=False) + "\n")
    elif differences == STDOUT:
        print_message("\n".join(verdicts))
    else:
        write_data(format_comparison(comparison))


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
    """Return how the training set of the first model was read; raises ConfigError if only some are multi-label.

    It also raises ConfigError for models of scores.
    """
    for run, engine in engines.items():
        require_labels(engine, f"compare {run}")
    kinds = {engine.thresholds is not None: run for run, engine in engines.items()}
    if len(kinds) > 1:
        raise ConfigError(f"{kinds[True]} is multi-label, {kinds[False]} is not; compare models of the same kind")
    return next((engine.data_config for engine in engines.values()), DataConfig())


def _write_differences(
    path: Path, candidates: Sequence[Candidate], examples: Sequence[Example], *, data: str, output: RecordFormat
) -> None:
    """Write the texts that ``candidates`` label differently."""
    from textrnn.cli.commands.analysis.differences import find_differences, list_columns, list_rows

    rows = find_differences(candidates, len(examples))
    write_table(path, list_columns(candidates), list_rows(candidates, examples, rows, data=data), output=output)
    if path != STDOUT:
        print_message(f"{path}: {pluralize(len(rows), 'text', 'texts')} with different predictions")
