"""``textrnn data suggest``: choose the texts to label next."""

from __future__ import annotations

from typing import Annotated

from textrnn.cli import options
from textrnn.cli.line_command import check_outputs
from textrnn.cli.model_loading import choose_model, load_engine, require_labels
from textrnn.cli.parameters import Argument, Option
from textrnn.cli.table_files import find_format, write_table
from textrnn.cli.terminal import announce_keyboard_input, print_message
from textrnn.data.reading.io import check_readable
from textrnn.errors import ConfigError, DataError, pluralize

_COLUMNS = ("line", "label", "confidence", "margin", "text")


def suggest_command(
    file: Annotated[str, Argument(metavar="FILE", help="Text without labels, plain or compressed; - is stdin.")],
    model: options.ModelOption = None,
    count: Annotated[int, Option(metavar="N", min=1, help="Number of texts to choose.")] = 100,
    known: Annotated[
        list[str] | None,
        Option(metavar="FILE", help="Labelled text, such as the training set: pass over texts like these; repeatable."),
    ] = None,
    field: options.FieldOption = None,
    input_format: options.InputFormatOption = None,
    settings: options.TextSettings = None,
    output: options.OutputOption = None,
) -> None:
    """Choose the texts to label next.

    Prints texts that the model is uncertain about and that differ from each other, as TSV with a header: line,
    predicted label, its probability (confidence), the margin over the second label, and the text, smallest margin
    first. The extension of FILE is the format: .tsv, .csv or .jsonl.

    The uncertain texts are clustered, and each cluster gives one. A text that is similar to a less certain one, or to
    one of --known, is skipped: it would teach the model little. Known files are read as the training set was. The model
    has one label per text.

    \b
      textrnn data suggest raw.txt --count 100 -o next.tsv
      textrnn data suggest -m runs/questions raw.txt --known train.tsv
      textrnn data suggest --field text tickets.csv
    """
    config = options.make_text_config(field, settings, input_format=input_format, on_error="stop")
    inputs = [file, *(known or ())]
    if repeated := next((path for path in inputs[1:] if inputs.count(path) > 1), None):
        raise ConfigError(f"--known {repeated}: given twice; name each file once")
    table = find_format(output, option="--output")
    check_outputs({"--output": output}, inputs)
    for path in inputs:
        check_readable(path)
    chosen = choose_model(model)
    engine = load_engine(chosen)
    require_labels(engine, "data suggest")
    if engine.thresholds is not None:
        raise ConfigError(f"{chosen}: the model is multi-label; data suggest needs one label per text")
    from textrnn.data.reading.examples import read_examples
    from textrnn.evaluation.suggestions import read_unlabelled, suggest

    announce_keyboard_input(inputs)
    labelled = options.make_data_config([], engine.data_config)
    texts = [example.text for path in known or () for example in read_examples(path, labelled, note=print_message)]
    unlabelled = read_unlabelled(file, config, note=print_message)
    if not unlabelled:
        raise DataError(file, None, "has no text to label")
    suggestions = suggest(engine, unlabelled, count=count, known=texts)
    rows = [[s.source.line_number, s.label, s.confidence, s.margin, s.source.text] for s in suggestions]
    write_table(output, _COLUMNS, rows, output=table)
    if model is None:
        print_message(f"model: {chosen}, the latest run here")
    few = "" if len(suggestions) == count else "; there are no more that differ enough"
    print_message(f"{len(suggestions):,} of {pluralize(len(unlabelled), 'text', 'texts')} chosen{few}")
