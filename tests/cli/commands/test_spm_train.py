"""``textrnn spm-train``: files, reports and faults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sentencepiece

from command import Run


def test_the_files_are_read_by_sentencepiece(invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfthe kettle boils\r\nthe tea is late\r\n" + b"x" * 5000 + b"\r\n")
    done = invoke("spm-train", "--input", "a.txt")
    assert done.returncode == 0
    assert done.stdout == b""
    spm = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "m.uni.model"))
    message = done.stderr.decode()
    assert "3 lines read, 1 skipped as too long" in message
    assert f"{spm.vocab_size()} unigram pieces" in message
    assert "LOG(INFO)" not in message
    pieces = [line.split("\t")[0] for line in (tmp_path / "m.uni.vocab").read_text().split("\n")[:-1]]
    assert pieces == [spm.id_to_piece(i) for i in range(spm.vocab_size())]
    assert not any("\ufeff" in piece or "\r" in piece for piece in pieces)


def test_earlier_files_are_kept(invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two three\n")
    (tmp_path / "b.txt").write_text("four five six\n")
    invoke("spm-train", "--input", "a.txt")
    first = (tmp_path / "m.uni.model").read_bytes()
    invoke("spm-train", "--input", "a.txt")
    assert not (tmp_path / "m.uni.model.1").exists()  # the bytes are the same
    done = invoke("spm-train", "--input", "b.txt")
    assert (tmp_path / "m.uni.model.1").read_bytes() == first
    assert b"an earlier m.uni.model is kept as m.uni.model.1" in done.stderr
    invoke("spm-train", "--input", "a.txt", "--overwrite")
    assert (tmp_path / "m.uni.model").read_bytes() == first
    assert not (tmp_path / "m.uni.model.2").exists()


def test_what_was_skipped_is_reported(invoke: Run) -> None:
    done = invoke("spm-train", "--input", "-", "--input-sentence-size", 2, stdin=b"one two\nnul \0\nthree four\nfive\n")
    assert b"textrnn: 1 line skipped: SentencePiece cannot read NUL or U+2585\n" in done.stderr
    assert b"textrnn: 2 of 3 lines used; --input-sentence-size 0 uses all\n" in done.stderr
    assert re.search(
        rb"textrnn: the text gives \d+ unigram pieces, not 8,000; --model-type bpe gives more", done.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("", 2, "missing option '--input'; see 'textrnn spm-train --help'"),
        ("--input ,", 2, "--input: is empty; name a file"),
        ("--input a.txt --model-type wordpiece", 2, "'--model-type'"),
        ("--input a.txt --character-coverage 3", 2, "'--character-coverage'"),
        ("--input a.txt --model-prefix p", 2, "--model-prefix p: p.model is a folder; choose another prefix"),
        ("--input a.txt --model-prefix p/..", 2, "--model-prefix p/..: p/...model is a folder; choose another prefix"),
        ("--input a.txt --model-prefix=", 2, "--model-prefix '': has no file name"),
        ("--input a.txt --set fly", 2, "--set fly: write it as KEY=VALUE, as in --set split_digits=true"),
        ("--input a.txt --vocab-size 9000", 1, "a.txt: too small for 9,000 pieces; use --vocab-size "),
    ],
)
def test_faults(arguments: str, status: int, message: str, invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a sentence to train on\nand one more sentence\n" * 5)
    (tmp_path / "p.model").mkdir()
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "...model").mkdir()
    before = sorted(tmp_path.iterdir())
    done = invoke("spm-train", *arguments.split())
    (line,) = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (status, b"")
    assert message in line
    assert sorted(tmp_path.iterdir()) == before
