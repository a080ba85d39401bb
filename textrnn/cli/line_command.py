"""Shared run of ``predict`` and ``filter``: read records, process them, write the output."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textrnn.cli.model_loading import check_threshold, load_engine
from textrnn.cli.options import PrecisionName, make_text_config
from textrnn.cli.terminal import announce_keyboard_input, print_message, write_data
from textrnn.config import DataConfig, OnError
from textrnn.data.io import STDIN, check_readable
from textrnn.errors import ConfigError, StoppedError, pluralize
from textrnn.files import compressed_write
from textrnn.inference import RecordFormat
from textrnn.signals import FilterSignals

if TYPE_CHECKING:
    from textrnn.inference.engine import Engine
    from textrnn.pipeline.writers import Worker

# SIGINT always stops cleanly and reports the lines done; the others do so when a partial file must be removed
_STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_UNSUPPORTED_SUFFIXES = frozenset({".zip", ".7z", ".lz4", ".br"})


def check_rejects(rejects: Path | None, on_error: OnError) -> None:
    """Raise ConfigError if a file for rejected records is named, but none can be left out."""
    if rejects is not None and on_error != "skip":
        raise ConfigError(f"--rejects {rejects}: has no effect without --on-error skip")


@contextmanager
def open_rejects(rejects: Path | None, on_error: OnError) -> Iterator[Callable[[bytes], object] | None]:
    """Open the file for rejected records, if it is named; yield the function that writes to it."""
    check_rejects(rejects, on_error)
    if rejects is None:
        yield None
        return
    with compressed_write(rejects) as file:
        yield file.write


@dataclass(frozen=True, kw_only=True)
class LineCommand:
    """A command that reads ``files`` and writes to ``output`` (None: stdout), with the options of the command line.

    ``keeps_lines``: the output has the lines of the input, and so their encoding, as it always has with ``field``.
    """

    files: list[str] | None
    field: list[str] | None = None
    input_format: RecordFormat | None = None
    output: Path | None = None
    jobs: int | None = None
    settings: list[str] | None = None
    on_error: OnError = "stop"
    rejects: Path | None = None
    keeps_lines: bool = False

    def open_engine(
        self, model: Path | None, *, precision: PrecisionName, device: str, threshold: float | None
    ) -> Engine:
        """Check the options and load the model.

        Raises:
            ConfigError: options contradict each other, the output or the model.
            DataError: an input file cannot be read.
            ModelError, BackendError: see :func:`load_engine`.
        """
        _ = self._config
        check_rejects(self.rejects, self.on_error)
        if self._output_file is not None and self._output_file.is_dir():
            raise ConfigError(f"--output {self.output}: is a folder; name a file")
        if self._output_file is not None and self._output_file.suffix.lower() in _UNSUPPORTED_SUFFIXES:
            raise ConfigError(f"--output {self.output}: unsupported compression; use .gz, .bz2, .xz or .zst")
        for path in self._paths:
            check_readable(path)
        from textrnn.data.layout import BY_EXTENSION, find_suffix

        engine = load_engine(model, precision=precision, device=device)
        check_threshold(engine, threshold)
        tables = [path for path in self._paths if find_suffix(path) in BY_EXTENSION]
        if self.field is None and tables:
            print_message(f"{tables[0]}: labels whole lines; use --field to label one column or key of a table")
        return engine

    @property
    def _config(self) -> DataConfig:
        return make_text_config(self.field, self.settings, input_format=self.input_format, on_error=self.on_error)

    def run(self, worker: Worker) -> tuple[int, int]:
        """Write the output of ``worker``; return the numbers of records read and kept.

        Raises:
            DataError: a record is invalid; earlier output has gone to stdout, or the output file was not written.
            StoppedError: a signal ended the run; whatever was written to stdout are whole lines.
        """
        from textrnn.native.library import default_threads
        from textrnn.pipeline.records import RecordReader
        from textrnn.pipeline.writers import process

        announce_keyboard_input(self._paths)
        records = kept = 0
        notes: list[str] = []
        written, keeps_encoding = False, self.keeps_lines or self.field is not None
        signals = FilterSignals(_STOP_SIGNALS[:1] if self._output_file is None else _STOP_SIGNALS)
        try:
            with signals, ExitStack() as stack:
                write = stack.enter_context(self._open_output())
                watch = stack.enter_context(self._show_progress())
                rejects = stack.enter_context(open_rejects(self.rejects, self.on_error))
                reader = RecordReader(self._config, watch=watch, note=notes.append, rejects=rejects)
                outputs = process(reader, self._paths, worker, jobs=self.jobs or default_threads())
                for output in stack.enter_context(closing(outputs)):
                    data = output.data
                    if data and keeps_encoding:
                        data = (b"" if written else reader.mark) + reader.encode(data)
                    with signals.hold():
                        if data:
                            write(data)
                        written = written or bool(data)
                        records, kept = records + output.records, kept + output.kept
        except KeyboardInterrupt:
            lost = "" if self._output_file is None else f"; {self.output} was not written"
            done = pluralize(records, *("line", "lines") if self.field is None else ("record", "records"))
            number = signals.received or signal.SIGINT
            raise StoppedError(number, f"interrupted after {done}{lost}") from None
        finally:
            for line in notes:
                print_message(line)
        return records, kept

    @property
    def _paths(self) -> list[str]:
        return self.files or [STDIN]

    @property
    def _output_file(self) -> Path | None:
        return None if self.output is None or str(self.output) == STDIN else self.output

    @contextmanager
    def _open_output(self) -> Iterator[Callable[[bytes], object]]:
        if self._output_file is None:
            yield write_data
            return
        with compressed_write(self._output_file) as file:
            yield file.write

    @contextmanager
    def _show_progress(self) -> Iterator[Callable[[int], None] | None]:
        """Show a bar on a terminal if the input is files and the output goes elsewhere; yield its update function."""
        stdout_busy = self._output_file is None and sys.stdout is not None and sys.stdout.isatty()
        if stdout_busy or sys.stderr is None or not sys.stderr.isatty():
            yield None
            return
        statuses = [os.fstat(sys.stdin.fileno()) if path == STDIN else Path(path).stat() for path in self._paths]
        if not all(stat.S_ISREG(status.st_mode) for status in statuses):
            yield None
            return
        from textrnn.cli.progress import show_bytes

        with show_bytes(sum(status.st_size for status in statuses)) as watch:
            yield watch
