"""Shared run of ``predict`` and ``filter``: read records, process them, write the output."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textrnn.cli.model_loading import check_threshold, load_engine
from textrnn.cli.options import PrecisionName, make_text_config
from textrnn.cli.terminal import announce_keyboard_input, print_message, write_data
from textrnn.config import DataConfig, OnError
from textrnn.data.reading.io import STDIN, check_readable
from textrnn.errors import ConfigError, StoppedError, pluralize
from textrnn.files import OpenFile, compressed_write
from textrnn.inference import RecordFormat
from textrnn.signals import FilterSignals

if TYPE_CHECKING:
    from textrnn.inference.engine import Engine
    from textrnn.pipeline.writers import Worker

# SIGINT always stops cleanly and reports the lines done; the others do so when a partial file must be removed
_STOP_SIGNALS = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE") if hasattr(signal, n)]
_BROKEN_PIPE = getattr(signal, "SIGPIPE", None)
_UNSUPPORTED_SUFFIXES = frozenset({".zip", ".7z", ".lz4", ".br"})
STDOUT = Path(STDIN)


def check_outputs(
    outputs: Mapping[str, Path | None], inputs: Sequence[str], *, on_error: OnError = "stop", may_replace: str = ""
) -> None:
    """Check the files that options name as ``outputs`` of a command that reads ``inputs``.

    Raises:
        ConfigError: one cannot be written, has no effect, or would replace another, or an input; the output of the
            option ``may_replace``, which has a line for each of the input, may do that.
    """
    rejects = outputs.get("--rejects")
    if rejects is not None and on_error != "skip":
        raise ConfigError(f"--rejects {rejects}: has no effect without --on-error skip")
    paths = {option: path for option, path in outputs.items() if path is not None}
    for option, path in paths.items():
        if path.is_dir():
            raise ConfigError(f"{option} {path}: is a folder; name a file")
        if path.suffix.lower() in _UNSUPPORTED_SUFFIXES:
            raise ConfigError(f"{option} {path}: unsupported compression; use .gz, .bz2, .xz or .zst")
        if (
            option != may_replace
            and path.exists()
            and any(Path(file).exists() and path.samefile(file) for file in inputs)
        ):
            raise ConfigError(f"{option} {path}: is an input file; name another file")
    for (first, path), (second, other) in combinations(paths.items(), 2):
        if path == other or path.resolve() == other.resolve():
            raise ConfigError(f"{second} {other}: {first} writes there; name another file")


def open_rejects(rejects: Path | None) -> AbstractContextManager[Callable[[bytes], object] | None]:
    """Open the file for bad records, if it is named; yield the function that writes to it."""
    return nullcontext() if rejects is None else open_output(rejects)


@contextmanager
def open_output(path: Path) -> Iterator[Callable[[bytes], object]]:
    """Open ``path`` (``-``: stdout) for atomic writing; yield the function that writes to it."""
    if path == STDOUT:
        yield write_data
        return
    with compressed_write(path) as file:
        yield file.write


@dataclass(frozen=True, kw_only=True)
class LineCommand:
    """A command that reads ``files`` and writes to ``output`` (None: stdout), with the options of the command line.

    The records that the command does not keep go to ``rejected``, bad ones to ``rejects``. ``keeps_lines``: the output
    has the lines of the input, and so their encoding (None: with ``field`` it has).
    """

    files: list[str] | None
    model: Path | None = None
    threshold: float | None = None
    precision: PrecisionName = "fp32"
    device: str = "cpu"
    field: list[str] | None = None
    input_format: RecordFormat | None = None
    output: Path | None = None
    rejected: Path | None = None
    jobs: int | None = None
    settings: list[str] | None = None
    on_error: OnError = "stop"
    rejects: Path | None = None
    keeps_lines: bool | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any], *, keeps_lines: bool | None = None) -> LineCommand:
        """Return the command of ``options``, the arguments of a command by name, which may have more of its own."""
        own = {field.name: options[field.name] for field in fields(cls) if field.name in options}
        return cls(**own, keeps_lines=keeps_lines)

    def open_engine(self) -> Engine:
        """Check the options and load the model.

        Raises:
            ConfigError: options contradict each other, the output or the model.
            DataError: an input file cannot be read.
            ModelError, BackendError: see :func:`load_engine`.
        """
        _ = self._config
        outputs = {"--output": self.output or STDOUT, "--rejected": self.rejected, "--rejects": self.rejects}
        check_outputs(outputs, self._paths, on_error=self.on_error, may_replace="--output")
        for path in self._paths:
            check_readable(path)
        from textrnn.data.reading.layout import BY_EXTENSION, find_suffix

        engine = load_engine(self.model, precision=self.precision, device=self.device)
        check_threshold(engine, self.threshold)
        tables = [path for path in self._paths if find_suffix(path) in BY_EXTENSION]
        if self.field is None and tables:
            print_message(f"{tables[0]}: labels whole lines; use --field to label one column or key of a table")
        return engine

    @cached_property
    def _config(self) -> DataConfig:
        """The config of the files; raises ConfigError for options that contradict each other."""
        return make_text_config(self.field, self.settings, input_format=self.input_format, on_error=self.on_error)

    def run(self, worker: Worker, *, open_file: OpenFile | None = None) -> tuple[int, int]:
        """Write the output of ``worker``; return the numbers of records read and kept.

        ``open_file`` opens the destinations (None: :func:`open_output`).

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
        signals = FilterSignals(_STOP_SIGNALS if self._written_files else _STOP_SIGNALS[:1])
        try:
            with signals, ExitStack() as stack:
                writes = [stack.enter_context((open_file or open_output)(path)) for path in self._outputs]
                watch = stack.enter_context(self._show_progress())
                rejects = stack.enter_context(open_rejects(self.rejects))
                reader = RecordReader(self._config, watch=watch, note=notes.append, rejects=rejects)
                if self.field is not None if self.keeps_lines is None else self.keeps_lines:
                    writes = [reader.encode_lines(write) for write in writes]
                outputs = process(reader, self._paths, worker, jobs=self.jobs or default_threads())
                for output in stack.enter_context(closing(outputs)):
                    with signals.hold():
                        for write, data in zip(writes, (output.data, output.rejected), strict=False):
                            if data:
                                write(data)
                        records, kept = records + output.records, kept + output.kept
        except KeyboardInterrupt:
            names = " and ".join(map(str, self._written_files))
            lost = f"; {names} {'was' if len(self._written_files) == 1 else 'were'} not written" if names else ""
            done = pluralize(records, *("line", "lines") if self.field is None else ("record", "records"))
            number = signals.received or signal.SIGINT
            if number == _BROKEN_PIPE:
                signal.signal(number, signal.SIG_DFL)  # so that unwritten data ends the process quietly
            raise StoppedError(number, f"interrupted after {done}{lost}") from None
        finally:
            for line in notes:
                print_message(line)
        return records, kept

    @property
    def _paths(self) -> list[str]:
        return self.files or [STDIN]

    @property
    def _outputs(self) -> list[Path]:
        """The destination of the kept records, and that of the others if it is named."""
        return [self.output or STDOUT, *([] if self.rejected is None else [self.rejected])]

    @property
    def _written_files(self) -> list[Path]:
        """The files that get their names when they are complete."""
        return [path for path in (*self._outputs, self.rejects) if path is not None and path != STDOUT]

    @contextmanager
    def _show_progress(self) -> Iterator[Callable[[int], None] | None]:
        """Show a bar on a terminal if the input is files and the output goes elsewhere; yield its update function."""
        stdout_busy = STDOUT in self._outputs and sys.stdout is not None and sys.stdout.isatty()
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
