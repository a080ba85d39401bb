"""``textrnn report``: the evaluation page of a model."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

from textrnn.cli import options
from textrnn.cli.line_command import STDOUT, check_outputs, open_output, open_rejects
from textrnn.cli.model_loading import check_threshold, choose_model, load_engine
from textrnn.cli.parameters import Option
from textrnn.cli.terminal import print_message
from textrnn.errors import pluralize


def report_command(
    data: options.LabelledArgument,
    output: Annotated[
        Path, Option("--output", "-o", metavar="FILE", help="The HTML file to write; - is stdout.")
    ] = Path("report.html"),
    model: options.ModelOption = None,
    settings: options.DataSettings = None,
    threshold: options.ThresholdOption = None,
    on_error: options.OnErrorOption = "stop",
    rejects: options.RejectsOption = None,
) -> None:
    """Write an evaluation page: one HTML file.

    The page has the figures of 'textrnn evaluate' with 95 % intervals, learning curves, the confusion matrix with
    sample texts, precision and recall by confidence, calibration, scores of each label, the most confident mistakes and
    the least certain texts with the effect of each word, the warnings of 'data check', and a model card. It needs no
    network. DATA is read as by 'textrnn evaluate'. For multi-label models there is no confusion matrix. -m may name the
    folder of an experiment (train --kfold, --seeds or --learning-curve): the page is that of its best run, with the
    learning curve if there is one.

    The page quotes texts of DATA, so share it only with those who may read them.

    \b
      textrnn report test.tsv
      textrnn report -m runs/trec-sru test.csv --set data.label=class -o trec.html
    """
    overrides = options.parse_data_settings(settings, command="report")
    path = _find_best(choose_model(model))
    engine = load_engine(path)
    check_threshold(engine, threshold)
    config = options.make_data_config(overrides, engine.data_config, on_error=on_error)
    from textrnn.serialization.model_file import MODEL_NAME, find_model

    file = find_model(path)
    check_outputs({"--output": output, "--rejects": rejects}, [data, str(file)], on_error=on_error)
    from textrnn import __version__
    from textrnn.report.evaluation_page import make_page
    from textrnn.report.observations import read_batches
    from textrnn.report.template import Origin

    origin = Origin(
        model=str(file.parent if file.name == MODEL_NAME else file),
        data="standard input" if data == "-" else data,
        command=shlex.join(["textrnn", *sys.argv[1:]]),
        version=__version__,
        run=file.parent if file.name == MODEL_NAME else None,
        checked=(data, config),
    )
    with open_rejects(rejects) as write:
        batches = read_batches(data, config, note=print_message, rejects=write)
        page, found = make_page(engine, batches, engine.model.config, origin=origin, threshold=threshold)
    if model is None:
        print_message(f"model: {path}, the latest run here")
    content = page.encode("utf-8")
    with open_output(output) as write_page:
        write_page(content)
    if output != STDOUT:
        texts = pluralize(found.evaluation.texts, "text", "texts")
        print_message(f"wrote {output}: {texts}, {len(content) / 1000:,.0f} kB")


def _find_best(path: Path) -> Path:
    """Return the best run of the experiment in the folder ``path``, or ``path`` if that is something else."""
    from textrnn.serialization.latest_run import find_best

    best = find_best(path)
    if best is None:
        return path
    print_message(f"model: {best}, the best run of {path}")
    return best
