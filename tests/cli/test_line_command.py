"""Input, output and interruption of ``predict`` and ``filter``."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import zstandard

from command import Run, find_command, start_command
from samples import DRINKS
from textrnn.cli.line_command import LineCommand
from textrnn.errors import DataError, StoppedError
from textrnn.pipeline.records import Record
from textrnn.pipeline.writers import OutputChunk


def stop_at_y(records: Sequence[Record], threads: int) -> OutputChunk:
    """Simulate Ctrl-C during prediction."""
    if records[-1].raw == b"y":
        raise KeyboardInterrupt
    return OutputChunk(b"".join(record.raw[:1] + b"\n" for record in records), len(records), len(records))


@pytest.mark.parametrize(("field", "what"), [(None, "line"), (["1"], "record")])
def test_ctrl_c_reports_the_number_of_records(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], field: list[str] | None, what: str
) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"x" * (1 << 17) + b"\ny\n")  # one chunk each
    with pytest.raises(StoppedError) as error:
        LineCommand(files=[str(path)], field=field, jobs=1).run(stop_at_y)
    assert error.value.number == signal.SIGINT
    assert str(error.value) == f"interrupted after 1 {what}"
    assert capfdbinary.readouterr().out == b"x\n"


def test_the_output_file_is_complete_or_absent(tmp_path: Path) -> None:
    source, target = tmp_path / "a.txt", tmp_path / "out"
    source.write_bytes(b"y\n")
    with pytest.raises(StoppedError, match=rf"^interrupted after 0 lines; {target} was not written$"):
        LineCommand(files=[str(source)], output=target, jobs=1).run(stop_at_y)
    assert not target.exists()
    source.write_bytes(b"x\n")
    assert LineCommand(files=[str(source)], output=target, jobs=1).run(stop_at_y) == (1, 1)
    assert target.read_bytes() == b"x\n"
    with pytest.raises(DataError, match="no such file"):
        LineCommand(files=[str(source), str(tmp_path / "gone")], output=target, jobs=1).run(stop_at_y)
    assert target.read_bytes() == b"x\n"


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="the system has no SIGPIPE")
@pytest.mark.parametrize("stop", ["pipe", "terminate"])
def test_a_stopped_filter_leaves_no_partial_file(trained: Path, tmp_path: Path, stop: str) -> None:
    model = str(trained / "runs" / "small")
    arguments = ("filter", "-m", model, "-l", "tea", "--rejected", "rest", "--jobs", "1")
    (tmp_path / "rest").write_bytes(b"old")
    with start_command(*arguments, cwd=tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"black coffee\ngreen tea\n")
        process.stdin.flush()
        process.stdout.readline()
        assert len(list(tmp_path.iterdir())) == 2
        if stop == "pipe":
            process.stdout.close()
            process.stdin.write(b"green tea\n")
            process.stdin.flush()
            assert process.wait(60) in (-signal.SIGPIPE, 128 + signal.SIGPIPE)
        else:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 128 + signal.SIGTERM
        assert process.stderr.read().endswith(b"; rest was not written\n")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


UNPACK = {
    "tsv": bytes,
    "tsv.gz": gzip.decompress,
    "tsv.bz2": bz2.decompress,
    "tsv.xz": lzma.decompress,
    "tsv.zst": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@pytest.mark.parametrize("suffix", UNPACK)
def test_the_output_file_is_compressed_by_its_suffix(trained: Path, tmp_path: Path, suffix: str, invoke: Run) -> None:
    lines = DRINKS.splitlines()
    path = tmp_path / f"out.{suffix}"
    path.write_bytes(b"old")
    done = invoke("predict", "-o", path, cwd=trained, stdin=DRINKS)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert UNPACK[suffix](path.read_bytes()) == invoke("predict", cwd=trained, stdin=DRINKS).stdout
    bad = invoke("predict", "--field", "1", "--input-format", "csv", "-o", path, cwd=trained, stdin=b'tea\n"x')
    assert bad.returncode == 1
    assert UNPACK[suffix](path.read_bytes()).count(b"\n") == len(lines)  # the earlier file stays
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_read_by_lines_gets_a_hint(trained: Path, tmp_path: Path, invoke: Run) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"text\ntea\n"))
    done = invoke("predict", tmp_path / "a.csv.gz", cwd=trained)
    assert done.stderr.endswith(b"a.csv.gz: labels whole lines; use --field to label one column or key of a table\n")
    assert invoke("predict", "--field", "text", tmp_path / "a.csv.gz", cwd=trained).stderr == b""


def keep_all(records: Sequence[Record], threads: int) -> OutputChunk:
    del threads
    return OutputChunk(b"".join(record.raw + b"\n" for record in records), len(records), len(records))


@pytest.mark.parametrize("encoding", ["cp949", "utf-16", "utf-8-sig"])
def test_the_output_has_the_encoding_of_the_input(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], encoding: str
) -> None:
    content = "번호,text\r\n1,배송이 늦어요\r\n2,환불 부탁드립니다\r\n".encode(encoding)
    (tmp_path / "a.csv").write_bytes(content)
    for command in (
        LineCommand(files=[str(tmp_path / "a.csv")], field=["text"], jobs=1),
        LineCommand(files=[str(tmp_path / "a.csv")], keeps_lines=True, jobs=1),
    ):
        command.run(keep_all)
        assert capfdbinary.readouterr().out == content
    LineCommand(files=[str(tmp_path / "a.csv")], jobs=1).run(keep_all)  # lines of labels are UTF-8
    assert capfdbinary.readouterr().out == content.decode(encoding).encode()


def test_rejected_records_go_to_a_file(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,text\n1,a\n2\n3,c\n")
    options = {"files": [str(tmp_path / "a.csv")], "field": ["text"], "on_error": "skip", "jobs": 1}
    LineCommand(**options, rejects=tmp_path / "bad.csv").run(keep_all)  # type: ignore[arg-type]
    output = capfdbinary.readouterr()
    assert output.out == b"id,text\n1,a\n3,c\n"
    assert b"1 bad record skipped: line 3" in output.err
    assert (tmp_path / "bad.csv").read_bytes() == b"id,text\n2\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--input-format csv", "--input-format csv: for tables only; name the text column with --field"),
        ("-o a.tsv.lz4", "--output a.tsv.lz4: unsupported compression; use .gz, .bz2, .xz or .zst"),
        ("-o f", "--output f: is a folder; name a file"),
        ("--set data.delimiter=;", "--set data.delimiter=;: for tables only; name the text column with --field"),
        ("--on-error skip", "--on-error skip: for tables only; name the text column with --field"),
        ("--field 1 --rejects f", "--rejects f: has no effect without --on-error skip"),
        ("--field 1 --on-error skip --rejects ./a a", "--rejects a: is an input file; name another file"),
    ],
)
def test_contradicting_options(arguments: str, message: str, invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "a").write_bytes(b"x\n")
    done = invoke("predict", *arguments.split())
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", f"textrnn: {message}\n")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="the system has no pseudo-terminals")
@pytest.mark.parametrize(
    ("arguments", "prints_to_terminal", "shown"),
    [
        (["lines.txt"], False, True),
        (["lines.txt"], True, False),
        (["lines.txt", "-o", "out"], True, True),
        ([], False, False),
    ],
)
def test_the_bar_appears_only_if_output_goes_elsewhere(
    trained: Path, tmp_path: Path, arguments: list[str], prints_to_terminal: bool, shown: bool
) -> None:
    (tmp_path / "lines.txt").write_bytes(b"green tea\n" * 20)  # fits the buffer of the terminal
    leader, terminal = os.openpty()
    with os.fdopen(leader, "rb", buffering=0) as screen, os.fdopen(terminal, "wb") as end:
        subprocess.run(
            [find_command(), "predict", "-m", str(trained / "runs" / "small"), *arguments],
            cwd=tmp_path,
            input=b"green tea\n",
            stdout=end if prints_to_terminal else subprocess.PIPE,
            stderr=end,
            check=True,
            timeout=60,
            env=os.environ | {"TERM": "xterm", "OMP_NUM_THREADS": "1"},
        )
        end.write(b"the end")
        end.flush()
        screen_text = b""
        while not screen_text.endswith(b"the end"):
            screen_text += screen.read(1 << 16)
    assert (b"reading" in screen_text) == shown
