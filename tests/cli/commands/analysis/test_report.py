"""``textrnn report`` and the page at the end of ``train``."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import SMALL, Run, small


def test_the_page_goes_to_a_file_or_to_stdout(trained: Path, invoke: Run, tmp_path: Path) -> None:
    words = ("report", "-m", trained / "runs/small", trained / "rows.tsv")
    done = invoke(*words)
    assert (done.returncode, done.stdout) == (0, b"")
    page = (tmp_path / "report.html").read_bytes()
    assert done.stderr.decode() == f"textrnn: wrote report.html: 40 texts, {len(page) / 1000:,.0f} kB\n"
    assert invoke(*words, "-o", "-").stdout.replace(b" -o -", b"") == page


def test_standard_input_is_read_once(trained: Path, invoke: Run) -> None:
    done = invoke("report", "-", "-o", "-", cwd=trained, stdin=b"tea\tgreen tea\ncoffee\tblack coffee\n")
    page = done.stdout.decode()
    assert "2 of 2 texts with the right label" in page
    assert "came from a pipe, which cannot be read again" in page
    assert b"model: runs/small, the latest run here" in done.stderr


def test_bad_records_are_skipped_and_kept(trained: Path, invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.tsv").write_bytes(b"tea\tgreen tea\nno label\ncoffee\tblack coffee\n")
    words = ("report", "-m", trained / "runs/small", "bad.tsv")
    done = invoke(*words)
    assert done.returncode == 1
    assert done.stderr.startswith(b"textrnn: bad.tsv:2: ")
    assert not (tmp_path / "report.html").exists()
    assert invoke(*words, "--on-error", "skip", "--rejects", "rejects.tsv").returncode == 0
    assert (tmp_path / "rejects.tsv").read_bytes() == b"no label\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--set model.hidden=3", "--set model.hidden=3: report takes data.format, "),
        ("--threshold 0.5", "--threshold 0.5: the model is single-label; leave it out"),
        ("-o runs", "--output runs: is a folder; name a file"),
        ("--rejects bad.tsv", "--rejects bad.tsv: has no effect without --on-error skip"),
    ],
)
def test_faults(arguments: str, message: str, trained: Path, invoke: Run) -> None:
    done = invoke("report", "rows.tsv", *arguments.split(), cwd=trained)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert done.stderr.decode().startswith(f"textrnn: {message}")


def test_train_writes_the_page_of_the_held_out_texts(trained: Path) -> None:
    page = (trained / "runs/small/report.html").read_text(encoding="utf-8")
    assert "4 texts, 2 labels" in page
    assert "the validation set, held out from the training set" in page
    assert '<h2 id="learning">' in page


def test_train_writes_the_page_of_the_validation_set(rows: Path, invoke: Run) -> None:
    Path("valid.tsv").write_text(
        "tea\tgreen tea please\ncoffee\tblack coffee now\nwater\tcold water\n", encoding="utf-8"
    )
    words = ("train", "--train", rows, "--valid", "valid.tsv")
    assert invoke(*words, *small(report=True), "--out", "run").returncode == 0
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert "3 texts, 3 labels" in page
    assert "1 text has labels that the model does not know" in page
    # the same as that of the command, but for the command itself and the limit of explanations
    assert invoke("report", "-m", "run", "valid.tsv", "-o", "again.html").returncode == 0
    start = page.index('<h2 id="headline">')
    stop = page.index('<h2 id="making">')
    assert page[start:stop] in Path("again.html").read_text(encoding="utf-8")
    # a second run without a page deletes the first one's
    done = invoke(*words, *SMALL, "--out", "run", "--overwrite")
    assert done.returncode == 0
    assert not Path("run/report.html").exists()


def test_a_page_that_cannot_be_written_does_not_lose_the_run(rows: Path, invoke: Run) -> None:
    done = invoke("train", "--train", "-", *small(report=True), "--out", "run", stdin=rows.read_bytes())
    assert (done.returncode, done.stdout) == (0, b"run\n")
    assert b"run/report.html: not written (standard input: a pipe, which cannot be read again)" in done.stderr
    assert Path("run/model.safetensors").exists()
