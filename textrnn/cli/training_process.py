"""A process that trains: what is set before torch is loaded, and what shows how far it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from textrnn.cli.terminal import die_on_broken_pipe, survive_broken_pipe

if TYPE_CHECKING:
    from textrnn.reporter import Reporter


@contextmanager
def training_process(device: str) -> Iterator[Reporter]:
    """Prepare the process for training on ``device``, and yield the reporter that suits stderr."""
    prepare_torch(device)

    from textrnn.cli.progress import make_reporter
    from textrnn.native.malloc import keep_freed_memory

    keep_freed_memory()
    survive_broken_pipe()  # a reader of stderr that Ctrl-C ended, as in `| tee log`, is no reason to lose the run
    yield make_reporter()
    die_on_broken_pipe()


def prepare_torch(device: str) -> None:
    """Set what torch reads when it is imported, where the user has not."""
    # idle threads that spin for long slow each other down on a machine that others use too
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if sys.platform == "darwin" or device == "mps":
        os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
