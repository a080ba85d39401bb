"""``textrnn spm-encode`` and ``textrnn spm-decode``."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import Run


@pytest.mark.parametrize("kind", ["unigram", "bpe", "char", "word"])
@pytest.mark.parametrize("form", ["piece", "id"])
def test_encode_and_decode_are_filters(kind: str, form: str, invoke: Run, tmp_path: Path) -> None:
    text = "the  kettle boils\n\nthe tea is late\n   late tea\nａ ﬁ\n".encode()
    assert invoke("spm-train", "--input", "-", "--model-type", kind, "--model-prefix", "m", stdin=text).returncode == 0
    encoded = invoke("spm-encode", "-m", "m.model", "--output-format", form, stdin=text)
    decoded = invoke("spm-decode", "-m", "m.model", "--input-format", form, stdin=encoded.stdout)
    assert decoded.stdout.decode() == "the kettle boils\n\nthe tea is late\nlate tea\na fi\n"
    assert encoded.stderr == decoded.stderr == b""


def test_sampling_gives_different_pieces_of_the_same_text(invoke: Run) -> None:
    text = b"internationalization of tokens\n"
    invoke("spm-train", "--input", "-", "--model-prefix", "m", stdin=text * 9)
    drawn = invoke("spm-encode", "-m", "m.model", "--sample", "--alpha", 0.1, stdin=text * 20).stdout
    assert len(set(drawn.splitlines())) > 1
    assert invoke("spm-decode", "-m", "m.model", stdin=drawn).stdout == text * 20
    two = invoke("spm-encode", "-m", "m.model", "--sample", "--nbest-size", 2, "--alpha", 0, stdin=text * 40).stdout
    assert len(set(two.splitlines())) == 2


def test_a_char_tokenizer_cannot_sample(invoke: Run) -> None:
    invoke("spm-train", "--input", "-", "--model-prefix", "m", "--model-type", "char", stdin=b"abc\n")
    done = invoke("spm-encode", "-m", "m.model", "--sample", stdin=b"abc\n")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"textrnn: standard input:1: ")
    assert b"cannot sample" in done.stderr


def test_the_nbest_size_is_for_unigram_tokenizers(invoke: Run) -> None:
    invoke("spm-train", "--input", "-", "--model-prefix", "m", "--model-type", "bpe", stdin=b"abc abc\n")
    done = invoke("spm-encode", "-m", "m.model", "--sample", "--nbest-size", "2", stdin=b"abc\n")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert done.stderr.startswith(b"textrnn: --nbest-size 2: ")
    assert invoke("spm-encode", "-m", "m.model", "--sample", "--alpha", "0", stdin=b"abc\n").returncode == 0


def test_decode_reports_the_line_of_a_wrong_id(invoke: Run) -> None:
    invoke("spm-train", "--input", "-", "--model-prefix", "m", "--model-type", "char", stdin=b"abc\n")
    done = invoke("spm-decode", "-m", "m.model", "--input-format", "id", stdin=b"3 4\nx 5\n")
    assert (done.returncode, done.stdout.count(b"\n")) == (1, 1)
    assert done.stderr == b"textrnn: standard input:2: 'x' is not an id; to decode pieces, leave --input-format out\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--alpha 0.2", "--nbest-size and --alpha: need --sample"),
        ("--sample --nbest-size 1", "--nbest-size 1: should be -1 (all) or 2 to 512"),
    ],
)
def test_faults(arguments: str, message: str, invoke: Run) -> None:
    done = invoke("spm-encode", "-m", "m.model", *arguments.split())
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", f"textrnn: {message}\n")
