"""The evaluation page of a finished run, on its validation set."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from textrnn.cli.terminal import print_message
from textrnn.serialization.latest_run import REPORT_NAME

if TYPE_CHECKING:
    from textrnn.config import Config, DataConfig
    from textrnn.training.train import Outcome

_PIECES = 100_000  # a tenth of what explaining takes in 'textrnn report': training should not wait for it


def write_run_report(outcome: Outcome) -> None:
    """Write ``report.html`` into the run folder; report a failure, which does not end the run.

    A final model has no validation set, and ``train.report=false`` writes none.
    """
    config = outcome.config
    if not config.train.report or config.train.refit is not None or os.environ.get("RANK", "0") != "0":
        return
    path = outcome.folder / REPORT_NAME
    try:
        page = _make_page(outcome)
        from textrnn.files import write_text

        write_text(path, page)
    except Exception as error:  # whatever it is, the model is saved
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        print_message(f"{path}: not written ({reason}); the model is complete")


def _make_page(outcome: Outcome) -> str:
    from textrnn import __version__
    from textrnn.inference.engine import Engine
    from textrnn.preparation.dataset import read_validation_texts
    from textrnn.report.evaluation_page import Origin, make_page
    from textrnn.serialization.run_folder import COMMAND_NAME

    folder, config = outcome.folder, outcome.config
    name, checked = _describe_validation(config)
    origin = Origin(
        model=str(folder),
        data=name,
        command=(folder / COMMAND_NAME).read_text(encoding="utf-8", errors="replace").strip(),
        version=__version__,
        run=folder,
        checked=checked,
    )
    engine = Engine.load(folder)
    return make_page(engine, read_validation_texts(config), config, origin=origin, pieces=_PIECES)[0]


def _describe_validation(config: Config) -> tuple[str, tuple[str, DataConfig] | str]:
    """Return a name for the validation set, and the file to check, or why there is none."""
    from textrnn.config import DEMO
    from textrnn.files import shipped

    valid = config.data.valid
    if config.data.train == DEMO and config.data.fold is None:
        valid = str(shipped("demo") / "valid.tsv")
    if valid is not None:
        return valid, (valid, config.data)
    what = "the validation set" if config.data.fold is None else f"fold {config.data.fold}"
    return (
        f"{what}, held out from the training set",
        "The texts are a part of the training set, which textrnn data check checks.",
    )
