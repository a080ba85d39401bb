"""The process that trains: its setup, and the pages that it leaves in folders of runs and experiments."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from textrnn.cli.terminal import exit_on_broken_pipe, ignore_broken_pipe, print_message
from textrnn.serialization.latest_run import REPORT_NAME

if TYPE_CHECKING:
    from textrnn.reporter import Reporter
    from textrnn.training.train import Outcome


@contextmanager
def training_process(device: str) -> Iterator[Reporter]:
    """Prepare the process for training on ``device``, and yield a reporter for stderr."""
    prepare_torch(device)

    from textrnn.cli.progress import make_reporter
    from textrnn.native.malloc import keep_freed_memory

    keep_freed_memory()
    ignore_broken_pipe()  # Ctrl-C also ends the reader in `textrnn train 2>&1 | tee log`; the run must save first
    yield make_reporter()
    exit_on_broken_pipe()


def prepare_torch(device: str) -> None:
    """Set the environment variables that torch reads on import, unless the user has set them."""
    # threads that spin while idle slow each other down on a shared machine; with 1,000 rounds GRU takes twice as long
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if sys.platform == "darwin" or device == "mps":
        os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


def write_training_page(outcome: Outcome) -> None:
    """Write the evaluation page of a run on its validation set.

    A final model has no validation set, and ``train.report=false`` writes none.
    """
    from textrnn import __version__

    folder, config = outcome.folder, outcome.config
    if not config.train.report or config.train.refit is not None or os.environ.get("RANK", "0") != "0":
        return

    def make() -> str:
        from textrnn.report.training_page import make_training_page

        return make_training_page(folder, config, version=__version__)

    _write(folder, make, complete="the model")


def write_curve_page(folder: Path) -> None:
    """Write the page of the learning curve in the ``folder`` of an experiment, unless ``train.report`` is false."""
    from textrnn import __version__

    def make() -> str | None:
        from textrnn.report.curve_page import make_curve_page, read_curve

        record = read_curve(folder)
        if record is None or not record.config.train.report:
            return None
        return make_curve_page(record, version=__version__)

    _write(folder, make, complete="the experiment")


def _write(folder: Path, make: Callable[[], str | None], *, complete: str) -> None:
    """Write the page that ``make`` returns, if it is one; report a failure, which ends nothing."""
    path = folder / REPORT_NAME
    try:
        page = make()
        from textrnn.files import write_text

        if page is not None:
            write_text(path, page)
    except Exception as error:  # whatever it is, the models are saved
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        print_message(f"{path}: not written ({reason}); {complete} is complete")
