"""Shared run of ``predict`` and ``filter``: read records, process them, write the output."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, fields
from functools import cached_property, partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from textrnn.cli.model_loading import check_threshold, load_engine
from textrnn.cli.options import PrecisionName, make_text_config
from textrnn.cli.terminal import announce_keyboard_input, print_message, write_data
from textrnn.config import DataConfig, OnError
from textrnn.data.reading.file_kinds import COMPRESSED_SUFFIXES
from textrnn.data.reading.io import STDIN, check_readable
from textrnn.data.reading.layout import find_suffix
from textrnn.errors import ROW_SUFFIXES, ConfigError, StoppedError, name_file, pluralize
from textrnn.extras import import_extra
from textrnn.files import OpenFile, compressed_write
from textrnn.inference import RecordFormat
from textrnn.signals import FilterSignals

if TYPE_CHECKING:
    from textrnn.inference.engine import Engine
    from textrnn.pipeline.columns import ColumnWorker
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
    if has_rows(rejects):
        raise ConfigError(f"--rejects {rejects}: bad records are lines; name a file such as {rejects}.jsonl")
    paths = {option: path for option, path in outputs.items() if path is not None}
    for option, path in paths.items():
        if path.is_dir():
            raise ConfigError(f"{option} {path}: is a folder; name a file")
        if path.suffix.lower() in COMPRESSED_SUFFIXES and find_suffix(str(path)) in ROW_SUFFIXES:
            raise ConfigError(f"{option} {path}: Parquet and Arrow are already compressed; drop {path.suffix}")
        if path.suffix.lower() in _UNSUPPORTED_SUFFIXES:
            raise ConfigError(f"{option} {path}: unsupported compression; use .gz, .bz2, .xz or .zst")
        if any(Path(file).is_dir() and path.resolve().is_relative_to(Path(file).resolve()) for file in inputs):
            raise ConfigError(f"{option} {path}: is in the input folder; name a file elsewhere")
        if (
            option != may_replace
            and path.exists()
            and any(Path(file).exists() and path.samefile(file) for file in inputs)
        ):
            raise ConfigError(f"{option} {path}: is an input file; name another file")
    for (first, path), (second, other) in combinations(paths.items(), 2):
        if path == other or path.resolve() == other.resolve():
            raise ConfigError(f"{second} {other}: {first} writes there; name another file")


def has_rows(path: Path | None) -> TypeGuard[Path]:
    """Return whether the file to write at ``path`` is Parquet or Arrow."""
    return path is not None and path.suffix.lower() in ROW_SUFFIXES


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
        from textrnn.data.reading.layout import BY_EXTENSION

        if (row_file := next(filter(has_rows, self._outputs), None)) is not None:
            import_extra("pyarrow", extra="arrow", feature=f"--output {row_file}")
            _ = self._sources
        table = next(
            (path for path in self._outputs if BY_EXTENSION.get(find_suffix(str(path))) in ("csv", "tsv")), None
        )
        if table is not None and self.reads_rows:
            raise ConfigError(
                f"{table}: rows of Parquet and Arrow are written as such, or as JSON Lines; name it .jsonl"
            )
        engine = load_engine(self.model, precision=self.precision, device=self.device)
        check_threshold(engine, self.threshold)
        tables = [path for path in self._paths if find_suffix(path) in BY_EXTENSION]
        if self.field is None and tables:
            print_message(f"{tables[0]}: labels whole lines; use --field to label one column or key of a table")
        return engine

    @cached_property
    def _config(self) -> DataConfig:
        """The config of the files; raises ConfigError for options that contradict each other."""
        field = self.field or (["text"] if self.reads_rows else None)
        return make_text_config(field, self.settings, input_format=self.input_format, on_error=self.on_error)

    @cached_property
    def _row_files(self) -> list[str]:
        """The input files that are Parquet or Arrow, except standard input."""
        from textrnn.data.arrow.arrow_files import find_row_suffix

        return [path for path in self._paths if path != STDIN and find_row_suffix(path)]

    @property
    def reads_rows(self) -> bool:
        """True if the input is Parquet or Arrow; raises DataError if a file cannot be read."""
        for path in self._paths:
            check_readable(path)
        return bool(self._row_files)

    @property
    def has_records(self) -> bool:
        """True if the input is tables, or Parquet or Arrow, instead of lines."""
        return self.field is not None or self.reads_rows

    @property
    def writes_rows(self) -> bool:
        """True if the output is Parquet or Arrow."""
        return has_rows(self.output)

    @property
    def _sources(self) -> list[str] | None:
        """The files whose rows are copied to the output; None if the input is text.

        Raises:
            ConfigError: some are, and others are text.
        """
        files = self._row_files
        if files and len(files) < len(self._paths):
            other = next(path for path in self._paths if path not in files)
            raise ConfigError(f"{name_file(other)}: is text, but {files[0]} has rows; process them one by one")
        return files or None

    def run_predictions(self, worker: ColumnWorker) -> None:
        """Write the output of ``worker``: lines, or if it is Parquet or Arrow columns after those of the input."""
        if not self.writes_rows:
            self.run(worker)
            return
        from textrnn.pipeline.columns import ColumnWriter

        if self.field is not None and self._sources is None:
            print_message(
                f"{self.output}: gets the texts of the input; other columns are kept of Parquet and Arrow only"
            )
        self.run(ColumnWriter(worker), open_file=partial(self.open_columns, types=worker.list_types(), all_rows=True))

    def open_columns(
        self, path: Path, *, types: Mapping[str, Any], all_rows: bool = False
    ) -> AbstractContextManager[Callable[[bytes], object]]:
        """Open ``path`` for columns of these ``types`` if it is Parquet or Arrow, else for lines.

        ``all_rows`` must be written, except bad ones that are skipped.
        """
        if not has_rows(path):
            return open_output(path)
        from textrnn.pipeline.columns import open_columns

        all_rows = all_rows and self.on_error != "skip"
        return open_columns(path, types=types, sources=self._sources, all_rows=all_rows)

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
                whole = not all(map(has_rows, self._outputs))
                reader = RecordReader(self._config, watch=watch, note=notes.append, rejects=rejects, whole=whole)
                if self.field is not None if self.keeps_lines is None else self.keeps_lines:
                    pairs = zip(self._outputs, writes, strict=True)
                    writes = [write if has_rows(path) else reader.encode_lines(write) for path, write in pairs]
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
            done = pluralize(records, *("line", "lines") if self._config.text is None else ("record", "records"))
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
        sizes = [_find_size(path) for path in self._paths]
        if None in sizes:
            yield None
            return
        from textrnn.cli.progress import show_bytes

        with show_bytes(sum(filter(None, sizes))) as watch:
            yield watch


def _find_size(path: str) -> int | None:
    """Return the bytes of a file, or of the files in a folder; None for a pipe."""
    from textrnn.data.cache import read_stat

    if path != STDIN:
        found = read_stat(Path(path))
        return None if found is None else found[0]
    status = os.fstat(sys.stdin.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None
