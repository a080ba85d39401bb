"""Setup of a process that trains."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from textrnn.cli.terminal import exit_on_broken_pipe, ignore_broken_pipe

if TYPE_CHECKING:
    from textrnn.reporter import Reporter


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
