"""``textrnn card``: the model card of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from textrnn.cli import options
from textrnn.cli.line_command import STDOUT, check_outputs, open_output
from textrnn.cli.model_loading import choose_model
from textrnn.cli.parameters import Option
from textrnn.cli.terminal import print_message

if TYPE_CHECKING:
    from textrnn.report.model_card import Results
    from textrnn.serialization.inspection import TrainingFacts


def card_command(
    model: options.ModelOption = None,
    output: Annotated[
        Path,
        Option("--output", "-o", metavar="FILE", help="The Markdown file to write, such as README.md; - is stdout."),
    ] = Path("-"),
    title: Annotated[
        str | None, Option(metavar="NAME", help="The name of the model.  [default: that of its folder or file]")
    ] = None,
    license_name: Annotated[
        str | None, Option("--license", metavar="ID", help="The license, as the Hub spells it, such as apache-2.0.")
    ] = None,
    language: Annotated[
        list[str] | None, Option(metavar="CODE", help="A language of the texts, such as ko; repeatable.")
    ] = None,
) -> None:
    """Write a model card.

    A README.md with the metadata that the Hugging Face Hub reads: what the model is, its labels, tokenizer, training
    and calibration, the metrics of its run on the validation set, how to use it, and its limits. For metrics on other
    text, with intervals, copy the card from the page of 'textrnn report'.

    \b
      textrnn card -m runs/trec-sru
      textrnn card -o README.md --license cc-by-4.0 --language en
    """
    from textrnn import __version__
    from textrnn.report.model_card import write_model_card
    from textrnn.serialization.inspection import read_training
    from textrnn.serialization.model_file import MODEL_NAME, find_model, load_model

    file = find_model(choose_model(model))
    saved = load_model(file)
    check_outputs({"--output": output}, [str(file)])
    facts = read_training(file, saved.config.train.metric)
    metadata: dict[str, Any] = {} if license_name is None else {"license": license_name}
    metadata |= {"language": language} if language else {}
    card = write_model_card(
        title or (file.absolute().parent.name if file.name == MODEL_NAME else file.stem),
        saved,
        results=None if facts is None else _read_results(facts, saved.config.data.valid),
        version=__version__,
        training=[] if facts is None else [f"Epochs: {facts.epochs}, in {facts.seconds:.0f} s"],
        metadata=metadata,
    )
    with open_output(output) as write:
        write(card.encode())
    if output != STDOUT:
        print_message(f"wrote {output}")


def _read_results(facts: TrainingFacts, valid: str | None) -> Results | None:
    """Return the metrics of the best epoch; None if it has none, as in a final model."""
    from textrnn.report.headline import format_metric
    from textrnn.report.model_card import Result, Results

    best = facts.best or {}
    names = {"accuracy": "accuracy", "macro_f1": "macro F1", "valid_loss": "loss"}
    if "mae" in best:
        names = {"mae": "MAE", "rmse": "RMSE", "valid_loss": "loss"}
    keys = {name: name.removeprefix("valid_") for name in names if name in best}
    rows = [Result(key, names[name], best[name], format_metric(key, best[name])) for name, key in keys.items()]
    return (
        Results("a part of the training set that was held out" if valid is None else valid, None, rows)
        if rows
        else None
    )
