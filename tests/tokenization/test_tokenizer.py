"""A SentencePiece model: encoding, decoding, sampling, and reading it from a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from made_up_text import LINES, ONE_THREAD, make_lines, train
from textrnn.errors import TokenizerError
from textrnn.tokenization.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def spm() -> Tokenizer:
    """A tokenizer with byte fallback, which can write every character."""
    return train(vocab_size=400, options={"byte_fallback": True, **ONE_THREAD}).tokenizer


TRICKY = [
    *("", " ", "\t\r\n", "\u3000", "ka", " ka ", "ka  lo", "ka\tlo\nmi", "KA Lo", "갈나무", "나무 새", "é", "e\u0301"),
    *("\u2581", "\u2581ka", "ka\u2581lo", "\u2581\u2581", "ﬁn ①", "Ａｂ", "\ufeffka", "ka\u200blo", "ka\u00a0lo"),
    *("\u2028x", "日本語", "😀👩‍👩‍👧", "a\x00b", "\x7f\x01", "\ufffd", "\u2585", "<s>ka</s>", "<unk>"),
    *("<0x41>", "مرحبا", "\u00ad"),
    *("x" * 5000, "ka " * 2000, "\U0010ffff", "\ue000"),
]


@pytest.mark.parametrize("text", TRICKY, ids=lambda text: ascii(text[:8]))
def test_decoding_gives_the_normalized_text(spm: Tokenizer, text: str) -> None:
    normal = spm.normalize(text)
    assert spm.decode(spm.encode_ids(text)) == normal
    assert spm.decode(spm.encode_pieces(text)) == normal
    assert spm.normalize(normal) == normal


@pytest.mark.parametrize("text", TRICKY, ids=lambda text: ascii(text[:8]))
def test_joined_pieces_are_the_normalized_text(text: str) -> None:
    spm = train().tokenizer  # pieces of unknown characters are the characters
    assert "".join(spm.encode_pieces(text)).replace("\u2581", " ").strip(" ") == spm.normalize(text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [("  ka \t lo\n", "ka lo"), ("ﬁ①Ａ", "fi1A"), ("e\u0301", "é"), ("\u2581ka", "ka"), ("\u200b", ""), ("K", "K")],
)
def test_normalize(spm: Tokenizer, text: str, normal: str) -> None:
    assert spm.normalize(text) == normal


@pytest.mark.parametrize("model_type", ["unigram", "bpe", "char"])
def test_every_training_line_survives_encoding(model_type: str) -> None:
    spm = train(model_type=model_type).tokenizer
    texts = [line.decode() for line in LINES]
    assert [spm.decode(spm.encode_ids(text)) for text in texts] == texts
    assert [spm.decode(spm.encode_pieces(text)) for text in texts] == texts


def test_ids_and_pieces_are_the_same_segmentation(spm: Tokenizer) -> None:
    names = [line.split("\t")[0] for line in spm.format_vocab().splitlines()]
    assert len(names) == len(spm) == 400
    for text in ("karulo 새갈 sno", "😀", ""):
        assert [names[i] for i in spm.encode_ids(text)] == spm.encode_pieces(text)


@pytest.mark.parametrize("max_length", [1, 3, 1000])
def test_encode_all_truncates_each_text(spm: Tokenizer, max_length: int) -> None:
    texts = [line.decode() for line in make_lines(50, seed=4)]
    got = spm.encode_all(texts, max_length=max_length)
    assert got == [spm.encode_ids(text)[:max_length] for text in texts]
    assert max(map(len, got)) == min(max_length, max(len(spm.encode_ids(text)) for text in texts))


@pytest.mark.parametrize("arrays", [True, False])
@pytest.mark.parametrize("max_length", [1, 3, 1000])
@pytest.mark.parametrize("texts", [[], [""], ["", " ", ""], ["ka", "", "karulo 새갈 sno" * 20, "\u3000", "lo"]])
def test_packed_ids_are_those_of_encode_all(
    spm: Tokenizer, texts: list[str], max_length: int, arrays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not arrays:  # like older versions of SentencePiece
        monkeypatch.setattr("textrnn.tokenization.tokenizer._RETURNS_ARRAYS", False)
    expected = spm.encode_all(texts, max_length=max_length)
    ids, lengths = spm.encode_packed([text.encode() for text in texts], max_length=max_length)
    assert (ids.dtype, lengths.dtype) == (np.int32, np.int64)
    assert ids.tolist() == [token for row in expected for token in row]
    assert lengths.tolist() == [len(row) for row in expected]


LONG = [" ".join(["karulo", "새갈", "sno,", "日本", "e\u0301mi"][i % 5] for i in range(40_000)), "karu새갈q" * 20_000]


@pytest.mark.parametrize("model_type", ["unigram", "bpe", "char", "word"])
@pytest.mark.parametrize("text", [*LONG, *(text.replace(" ", "  ") for text in LONG), "日" * 3000 + " ka" * 50_000])
@pytest.mark.parametrize("max_length", [1, 40, 512])
def test_long_texts_begin_with_the_pieces_of_the_whole_text(model_type: str, text: str, max_length: int) -> None:
    spm = train(model_type=model_type).tokenizer
    expected = spm.encode_ids(text)[:max_length]
    for each in (text, text.encode()):
        assert spm.encode_packed([each, "ka"], max_length=max_length)[0].tolist()[: len(expected)] == expected  # type: ignore[list-item]
    assert spm.encode_pieces(text, max_length=max_length) == spm.encode_pieces(text)[:max_length]


def test_blanks_do_not_hide_the_words_after_them(spm: Tokenizer) -> None:
    text = b" \t" * (2 << 20) + b"karulo  sno" + b" " * (2 << 20)
    ids, lengths = spm.encode_packed([text], max_length=40)
    assert ids.tolist() == spm.encode_ids("karulo sno")
    assert lengths.tolist() == [len(ids)]


def test_pieces_of_long_texts_are_counted_in_parts(spm: Tokenizer) -> None:
    texts = [b"karulo sno " * 200_000, b"", "漢 sno".encode()]
    counts, unknown = spm.count_pieces(texts)
    assert counts.tolist() == [200_000 * len(spm.encode_ids("karulo sno")), 1, len(spm.encode_ids("漢 sno"))]
    assert unknown.tolist() == [0, 1, spm.encode_ids("漢 sno").count(0)]


LIMITED = """
import resource, sys
from textrnn.tokenization.tokenizer import Tokenizer
spm = Tokenizer(open(sys.argv[1], "rb").read(), name="it")
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (500 << 20), size + (500 << 20)))
for text in (b"karulo sno " * 4_000_000, b"x" * 44_000_000, b"\\0" * 44_000_000, b" " * 44_000_000):
    assert spm.encode_packed([text, b"ka"], max_length=512)[1][-1] == len(spm.encode_ids("ka"))
    spm.count_pieces([text])
    for encode in (spm.encode_ids, spm.encode_pieces):
        try:
            encode(text.decode())
            raise SystemExit("there is enough memory")
        except MemoryError:
            pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit has no effect")
def test_a_long_text_does_not_end_the_process(spm: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "it.model").write_bytes(spm.model)
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "it.model")]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()


def test_equal_models_have_equal_fingerprints(spm: Tokenizer) -> None:
    assert spm.fingerprint == Tokenizer(spm.model, name="again").fingerprint
    assert spm.fingerprint != train(model_type="char").tokenizer.fingerprint


@pytest.mark.parametrize("text", ["", "  ", "\t\n", "\u3000", "\u200b"])
def test_blank_text_is_one_unknown_piece(spm: Tokenizer, text: str) -> None:
    assert spm.encode_ids(text) == []
    assert spm.encode_pieces(text) == []
    assert spm.encode_all(["ka", text, "ka"], max_length=4) == [spm.encode_ids("ka"), [0], spm.encode_ids("ka")]


@pytest.mark.parametrize("bad", [400, 401, 2**31, 2**70, -1])
def test_an_id_outside_the_vocabulary_is_an_error(spm: Tokenizer, bad: int) -> None:
    with pytest.raises(TokenizerError) as caught:
        spm.decode([5, bad])
    assert str(caught.value) == f"id {bad} is not in the vocabulary (0 to 399)"


def test_the_last_id_can_be_decoded() -> None:
    spm = train(model_type="char").tokenizer
    last = len(spm) - 1
    assert spm.decode([last]) == spm.format_vocab().splitlines()[last].split("\t")[0]
    assert spm.decode([]) == ""


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_samples_differ_and_decode_to_the_same_text(model_type: str, ids: bool) -> None:
    spm = train(model_type=model_type).tokenizer
    text = "karulo tesnomi 나무갈 vidpau"
    drawn = [spm.sample(text, ids=ids, nbest_size=-1, alpha=0.3) for _ in range(60)]
    assert {spm.decode(pieces) for pieces in drawn} == {text}
    assert {type(piece) for pieces in drawn for piece in pieces} == {int if ids else str}
    assert len({tuple(pieces) for pieces in drawn}) > 3


@pytest.mark.parametrize("model_type", ["char", "word"])
def test_char_and_word_models_cannot_sample(model_type: str) -> None:
    spm = train(model_type=model_type).tokenizer
    with pytest.raises(TokenizerError) as caught:
        spm.sample("ka lo", ids=True, nbest_size=-1, alpha=0.3)
    assert str(caught.value) == "this tokenizer cannot sample; unigram and bpe tokenizers can"


def test_a_model_is_read_from_its_file(tmp_path: Path, spm: Tokenizer) -> None:
    path = tmp_path / "a.model"
    path.write_bytes(spm.model)
    read = Tokenizer.read(path)
    assert read.model == spm.model
    assert read.format_vocab() == spm.format_vocab()


@pytest.mark.parametrize(
    "content", [b"junk", b"\x00" * 100, b"\n", b"a\tb\n" * 50, b"\x1f\x8b", b"{}", 0.01, 0.5, 0.999]
)
def test_other_bytes_and_part_of_a_model_are_refused(tmp_path: Path, spm: Tokenizer, content: bytes | float) -> None:
    path = tmp_path / "a.model"
    path.write_bytes(content if isinstance(content, bytes) else spm.model[: int(len(spm.model) * content)])
    with pytest.raises(TokenizerError) as caught:
        Tokenizer.read(path)
    assert str(caught.value) == f"{path}: not a SentencePiece model"


def test_an_empty_file_prints_nothing_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.model"
    path.write_bytes(b"")
    with pytest.raises(TokenizerError) as caught:
        Tokenizer.read(path)
    assert str(caught.value) == f"{path}: empty file, not a SentencePiece model"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.model", "none.model: no such tokenizer; train one with 'textrnn spm-train'"),
        (".", ".: cannot be read (Is a directory)"),
        ("file/x", "file/x: cannot be read (Not a directory)"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TokenizerError) as caught:
        Tokenizer.read(Path(name))
    assert str(caught.value) == message


def test_pieces_and_words_leave_out_special_pieces() -> None:
    lines = [b"tea, Tea; and 7 teas!"] * 20
    tokenizer = train(lines, vocab_size=8000, hard_vocab_limit=False, options={"byte_fallback": True}).tokenizer
    pieces, words = tokenizer.list_pieces(), tokenizer.list_words()
    assert len(tokenizer) - len(pieces) == 3 + 256
    assert not [piece for piece in pieces.values() if piece.startswith("<")]
    for piece, text in pieces.items():
        assert tokenizer.decode([piece]) == text.strip("\u2581")
    assert {",", ";", "!"} <= set(words.values())
    assert words == {
        piece: text.strip("\u2581")
        for piece, text in pieces.items()
        if text != "\u2581" and ("\u2581" in text or not any(letter.isalpha() for letter in text))
    }
