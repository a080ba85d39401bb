"""``textrnn predict``: label lines."""

from __future__ import annotations

from typing import Annotated

import typer

from textrnn.cli.console import hint_at_terminal, write_data
from textrnn.cli.model import ModelOption, ThresholdOption, check_threshold, load_engine
from textrnn.corpus.reading import STDIN, check_readable
from textrnn.inference import OutputFormat


def predict_command(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="Text files; - or none: stdin.")] = None,
    model: ModelOption = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            "--top-k", "-k", min=1, metavar="K", help="Labels to print a line.  [default: 1, or those from thresholds]"
        ),
    ] = None,
    threshold: ThresholdOption = None,
    output: Annotated[OutputFormat, typer.Option("--format", help="How to print them.")] = "tsv",
    with_text: Annotated[bool, typer.Option("--with-text", help="Append the input line.")] = False,
) -> None:
    """Label lines of text.

    Every line of FILEs or stdin gives one output line, in order. The default output is label<TAB>probability, and
    with --top-k more such pairs. A model of several labels a text prints those that it gives, likeliest first, as
    a|b<TAB>probability|probability, and two empty fields where it gives none. Probabilities are calibrated on the
    valid text of the training. Files may be compressed with gzip, xz or zstd. Bytes that are not UTF-8 are read as
    U+FFFD.

    \b
      textrnn predict reviews.txt
      zcat crawl.txt.gz | textrnn predict | cut -f1
      textrnn predict -m runs/trec-sru --top-k 3 --format jsonl questions.txt
    """
    from textrnn.inference.stream import predict_files

    paths = files or [STDIN]
    for path in paths:
        check_readable(path)
    engine = load_engine(model)
    check_threshold(engine, threshold)
    hint_at_terminal(paths)
    for block in predict_files(engine, paths, top_k=top_k, threshold=threshold, output=output, with_text=with_text):
        write_data(block)
