"""What is said when Ctrl-C ends a run over lines, and what is left of its output."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from textrnn.cli.line_command import Lines
from textrnn.errors import DataError, StoppedError
from textrnn.pipeline.records import Record
from textrnn.pipeline.writers import OutputChunk


def stop_at_y(records: Sequence[Record], threads: int) -> OutputChunk:
    """Stands for Ctrl-C while a text is computed."""
    if records[-1].raw == b"y":
        raise KeyboardInterrupt
    return OutputChunk(b"".join(record.raw[:1] + b"\n" for record in records), len(records), len(records))


@pytest.mark.parametrize(("field", "what"), [(None, "line"), ("1", "record")])
def test_ctrl_c_is_told_with_what_was_done(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], field: str | None, what: str
) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"x" * (1 << 17) + b"\ny\n")  # a chunk each
    with pytest.raises(StoppedError) as error:
        Lines(files=[str(path)], field=field, input_format=None, output=None, jobs=1).run(stop_at_y)
    assert error.value.number == signal.SIGINT
    assert str(error.value) == f"interrupted after 1 {what}"
    assert capfdbinary.readouterr().out == b"x\n"


def test_a_file_is_written_whole_or_not(tmp_path: Path) -> None:
    source, target = tmp_path / "a.txt", tmp_path / "out"
    source.write_bytes(b"y\n")
    with pytest.raises(StoppedError, match=rf"^interrupted after 0 lines; {target} was not written$"):
        Lines(files=[str(source)], field=None, input_format=None, output=target, jobs=1).run(stop_at_y)
    assert not target.exists()
    source.write_bytes(b"x\n")
    assert Lines(files=[str(source)], field=None, input_format=None, output=target, jobs=1).run(stop_at_y) == (1, 1)
    assert target.read_bytes() == b"x\n"
    with pytest.raises(DataError, match="no such file"):
        Lines(files=[str(source), str(tmp_path / "gone")], field=None, input_format=None, output=target, jobs=1).run(
            stop_at_y
        )
    assert target.read_bytes() == b"x\n"
