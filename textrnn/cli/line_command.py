"""What ``predict`` and ``filter`` share: options on reading and writing, and the run from records to output."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from textrnn.cli.options import check_threshold, load_engine
from textrnn.cli.terminal import hint_at_terminal, say, write_data
from textrnn.data.io import STDIN, check_readable
from textrnn.errors import ConfigError, StoppedError, pluralize
from textrnn.files import compressed_write
from textrnn.inference import Precision, RecordFormat
from textrnn.signals import FilterSignals

if TYPE_CHECKING:
    from textrnn.inference.engine import Engine
    from textrnn.pipeline.writers import Worker

FilesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="FILE", help="Text files, compressed or not; - or none: stdin.")
]
FieldOption = Annotated[
    str | None,
    typer.Option(
        "--field",
        "-f",
        metavar="N|NAME",
        help="FILEs are TSV, CSV or JSON Lines, and the text is in this column or key: a number, from 1, where there "
        "is no header; a name where there is one.  [default: a line is a text]",
    ),
]
InputFormatOption = Annotated[
    RecordFormat | None,
    typer.Option(
        "--input-format", help="With --field: what FILEs are.  [default: as the name's suffix or the first line tells]"
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to FILE, which is there when all is done; .gz, .xz and .zst compress.  [default: stdout]",
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", min=1, metavar="N", help="Processors to use.  [default: OMP_NUM_THREADS, or those at hand]"
    ),
]


# SIGINT is told of with the number of lines; the others leave no half-written file behind
_ENDS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


_OTHER_KINDS = frozenset({".bz2", ".zip", ".7z", ".lz4", ".br"})


def _is_table(path: str) -> bool:
    from textrnn.data.formats import BY_EXTENSION, find_suffix

    return find_suffix(path) in BY_EXTENSION


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The options that say what is read, where the output goes, and what computes it."""

    files: list[str] | None
    field: str | None
    input_format: RecordFormat | None
    output: Path | None
    jobs: int | None
    precision: Precision = "fp32"
    device: str = "cpu"

    def open_engine(self, model: Path | None, *, threshold: float | None) -> Engine:
        """Check the options and load the model; raises ConfigError, DataError, ModelError and BackendError."""
        if self.input_format is not None and self.field is None:
            raise ConfigError(f"--input-format {self.input_format}: says how a table looks; name its text with --field")
        if self._writes_to_file and self.output is not None and self.output.is_dir():
            raise ConfigError(f"--output {self.output}: a folder; name a file")
        if self._writes_to_file and self.output is not None and self.output.suffix.lower() in _OTHER_KINDS:
            raise ConfigError(f"--output {self.output}: what is written is plain, or .gz, .xz or .zst")
        for path in self._paths:
            check_readable(path)
        engine = load_engine(model, precision=self.precision, device=self.device)
        check_threshold(engine, threshold)
        if self.field is None and (table := next(filter(_is_table, self._paths), None)):
            say(f"{table}: every line is labelled as a whole; --field labels one column or key of a table")
        return engine

    def run(self, worker: Worker) -> tuple[int, int]:
        """Write what ``worker`` makes of the records; return how many came, and how many of them were kept.

        Raises:
            DataError: a fault in a file; the output of what stands before it was written to stdout, none to a file.
            StoppedError: Ctrl-C, or a signal that ends the process; what was written before is whole lines.
        """
        from textrnn.native.library import default_threads
        from textrnn.pipeline.records import RecordReader
        from textrnn.pipeline.writers import process

        hint_at_terminal(self._paths)
        records = kept = 0
        stops = FilterSignals(_ENDS if self._writes_to_file else _ENDS[:1])
        try:
            with stops, ExitStack() as stack:
                write = stack.enter_context(self._open_output())
                watch = stack.enter_context(self._show_progress())
                reader = RecordReader(field=self.field, format=self.input_format, watch=watch)
                outputs = process(reader, self._paths, worker, jobs=self.jobs or default_threads())
                for output in stack.enter_context(closing(outputs)):
                    with stops.hold():
                        if output.data:
                            write(output.data)
                        records, kept = records + output.records, kept + output.kept
        except KeyboardInterrupt:
            lost = f"; {self.output} was not written" if self._writes_to_file else ""
            done = pluralize(records, *("line", "lines") if self.field is None else ("record", "records"))
            number = stops.received or signal.SIGINT
            raise StoppedError(number, f"interrupted after {done}{lost}") from None
        return records, kept

    @property
    def _paths(self) -> list[str]:
        return self.files or [STDIN]

    @property
    def _writes_to_file(self) -> bool:
        return self.output is not None and str(self.output) != STDIN

    @contextmanager
    def _open_output(self) -> Iterator[Callable[[bytes], object]]:
        if self.output is None or not self._writes_to_file:
            yield write_data
            return
        with compressed_write(self.output) as file:
            yield file.write

    @contextmanager
    def _show_progress(self) -> Iterator[Callable[[int], None] | None]:
        """Show how much of the input was read, where it is files and nothing else is printed on the terminal."""
        printing = sys.stdout is not None and sys.stdout.isatty() and not self._writes_to_file
        total = self._measure() if sys.stderr is not None and sys.stderr.isatty() and not printing else None
        if total is None:
            yield None
            return
        from textrnn.cli.progress import show_bytes

        with show_bytes(total) as watch:
            yield watch

    def _measure(self) -> int | None:
        """Return the bytes of all files as they stand on the disk; None where one is a pipe or a terminal."""
        found = [os.fstat(sys.stdin.fileno()) if path == STDIN else Path(path).stat() for path in self._paths]
        if not all(stat.S_ISREG(status.st_mode) for status in found):
            return None
        return sum(status.st_size for status in found)
