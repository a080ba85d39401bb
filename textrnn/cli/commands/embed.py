"""``textrnn embed``: vectors of texts."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from textrnn.cli import options
from textrnn.cli.line_command import LineCommand, open_output
from textrnn.cli.parameters import Option
from textrnn.cli.terminal import print_message
from textrnn.data.reading.layout import find_suffix
from textrnn.errors import ConfigError


def embed_command(
    files: options.RecordFilesArgument = None,
    model: options.ModelOption = None,
    neighbors: Annotated[
        int | None,
        Option(min=1, metavar="K", help="Print for each text the K others with the most similar vectors instead."),
    ] = None,
    field: options.FieldOption = None,
    input_format: options.InputFormatOption = None,
    settings: options.TextSettings = None,
    on_error: options.OnErrorOption = "stop",
    rejects: options.RejectsOption = None,
    output: options.RecordOutputOption = None,
    jobs: options.JobsOption = None,
    precision: options.PrecisionOption = "fp32",
) -> None:
    """Print a vector for each text.

    Each input line gives one output line, in order: the numbers of its vector, separated by spaces. The vector is the
    state of the network before its output layer, so texts that are alike for the task are close to each other. With
    -o NAME.npy it is a row of a NumPy array of float32. With -o NAME.parquet (or .arrow, .feather) it is a column
    embedding beside the columns of a Parquet or Arrow file, or beside the texts.

    With --neighbors, each output line is a pair: text<TAB>neighbor<TAB>similarity<TAB>text of the neighbor. The first
    two are numbers of texts, from 1, in the order in which all files are read; the similarity is the cosine of their
    vectors. All vectors are held in memory.

    \b
      textrnn embed reviews.txt > vectors.txt
      textrnn embed --field text tickets.csv -o vectors.npy
      textrnn embed --neighbors 3 questions.txt
    """
    command = LineCommand.from_options(locals(), keeps_lines=False)
    is_npy = output is not None and output.suffix.lower() == ".npy"
    if (is_npy or command.writes_rows) and neighbors is not None:
        raise ConfigError(f"--output {output}: neighbors are text; name another file")
    if output is not None and output.suffixes[-2:-1] == [".npy"] and find_suffix(str(output)) == ".npy":
        raise ConfigError(f"--output {output}: a .npy file is not compressed; name {output.with_suffix('')}")
    engine = command.open_engine()
    if not engine.is_network_used:
        print_message("the model uses its n-grams alone; its vectors come from a network that did not improve it")
    from textrnn.pipeline.vectors import VectorCollector, VectorWriter, open_neighbors, open_npy

    if neighbors is not None:
        command.run(VectorCollector(engine), open_file=partial(open_neighbors, count=neighbors, open_file=open_output))
    elif is_npy:
        command.run(VectorWriter(engine, raw=True), open_file=partial(open_npy, width=engine.width))
    else:
        command.run_predictions(VectorWriter(engine))
