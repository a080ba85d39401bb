"""The connections of a training run to the outside: its reporter, its signals and its run folder."""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Callable

import torch

from textrnn.config import Config
from textrnn.data.reading.io import STDIN
from textrnn.errors import StoppedError
from textrnn.reporter import EpochRecord, Reporter
from textrnn.serialization.checkpoint import Checkpoint
from textrnn.serialization.latest_run import make_latest
from textrnn.serialization.model_file import SavedModel
from textrnn.serialization.run_folder import RunFolder
from textrnn.signals import DeferredSignals
from textrnn.training.distributed import ProcessGroup


class Callbacks:
    """Reports, saves and stops a run.

    Without a run folder nothing is saved: in a dry run, and at all ranks but rank 0.
    """

    def __init__(
        self, config: Config, reporter: Reporter, *, run: RunFolder | None = None, group: ProcessGroup | None = None
    ) -> None:
        self.config, self.reporter, self.run, self.group = config, reporter, run, group or ProcessGroup()
        self.signals = DeferredSignals()
        self._last_checkpoint = time.monotonic()

    def end_batch(self, device: torch.device, make_checkpoint: Callable[[], Checkpoint]) -> None:
        """Save a checkpoint if one is due or the run must stop.

        Raises:
            StoppedError: a signal arrived, at this rank or another.
        """
        stopped = self.group.any(self.signals.received is not None, device)
        due = time.monotonic() - self._last_checkpoint >= 60 * self.config.train.checkpoint_minutes
        if self.run is not None and (stopped or due):
            self._claim(self.run)
            try:
                self.run.write_checkpoint(make_checkpoint())
            except OSError as error:
                if stopped:
                    raise
                self.reporter.note(f"{error.filename}: cannot be written ({error.strerror}); training continues")
            self._last_checkpoint = time.monotonic()
            self.reporter.saved(self.run.path)
        if stopped:
            raise StoppedError(self.signals.received or signal.SIGTERM, self.resume_hint())

    def end_epoch(self, record: EpochRecord, make_model: Callable[[], SavedModel]) -> None:
        """Save the record of an epoch, and the model if it is the best so far; then report the record."""
        if self.run is not None:
            self._claim(self.run)
            is_first = record.best and not self.run.has_model
            self.run.write(record, make_model() if record.best else None)
            self.reporter.saved(self.run.path)
            if is_first and self.run.is_latest:
                make_latest(self.run.path, self.reporter)
        self.reporter.end_epoch(record)

    def resume_hint(self) -> str:
        """Return one line on what a stopped run has saved, and the command that resumes it."""
        if self.run is None:
            return ""
        best = f"the best model so far is in {self.run.path}; " if self.run.has_model else ""
        piped = STDIN in self.config.data.training_files
        text = " the same text on standard input" if piped else ""
        command = shlex.join([*self.group.command, "train", "--resume", str(self.run.path)])
        return f"{best}resume with{text}: {command}"

    def _claim(self, run: RunFolder) -> None:
        if (moved := run.claim(self.config)) is not None:
            self.reporter.note(f"moved the earlier run in {run.path} to {moved}")
