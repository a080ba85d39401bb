"""SentencePiece behind its door: the models that are trained, what is left out, and every refusal."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece

from textrnn.errors import ConfigError, DataError, TokenizerError
from textrnn.tokenization.spm_trainer import MAX_LINE_BYTES, TrainedTokenizer, VocabularyError, train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer

ONE_THREAD = {"num_threads": 1}


def make_lines(count: int = 400, seed: int = 0) -> list[bytes]:
    """Return lines of made-up words, some of them Hangul."""
    rng = random.Random(seed)
    parts = [
        "ka",
        "lo",
        "mi",
        "ru",
        "te",
        "sno",
        "pa",
        "vid",
        "u",
        "갈",
        "나무",
        "새",
        "é",
        "fer",
        "go",
        "ba",
        "dy",
        "xi",
        "zul",
    ]
    words = ["".join(rng.choices(parts, k=rng.randint(1, 4))) for _ in range(300)]
    return [" ".join(rng.choices(words, k=rng.randint(2, 8))).encode() for _ in range(count)]


LINES = make_lines()


def train(lines: list[bytes] | Iterator[bytes] | None = None, **arguments: Any) -> TrainedTokenizer:
    settings = {"vocab_size": 120, "options": ONE_THREAD, **arguments}
    return train_tokenizer(LINES if lines is None else lines, **settings)


@pytest.fixture(scope="module")
def spm() -> Tokenizer:
    """A tokenizer that can write every character."""
    return train(vocab_size=400, options={"byte_fallback": True, **ONE_THREAD}).tokenizer


# --- training


@pytest.mark.parametrize("model_type", ["unigram", "bpe", "char", "word"])
def test_the_same_lines_give_the_same_bytes(model_type: str) -> None:
    arguments: dict[str, Any] = {"model_type": model_type, "vocab_size": 70, "options": None, "sample_lines": 300}
    first = train(**arguments)
    assert train(iter(LINES), **arguments) == first
    assert first.model != train(LINES[:300], **arguments).model


def test_another_process_gives_the_same_bytes() -> None:
    code = (
        "import hashlib, sys; from textrnn.tokenization.tokenizer import train_tokenizer\n"
        "lines = sys.stdin.buffer.read().split(b'\\n')\n"
        "trained = train_tokenizer(lines, vocab_size=120, sample_lines=200, options={'num_threads': 1})\n"
        "print(hashlib.sha256(trained.model).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], input=b"\n".join(LINES), capture_output=True, check=True)
    assert done.stdout.decode().strip() == hashlib.sha256(train(sample_lines=200).model).hexdigest()


def train_stock(folder: Path, lines: list[bytes], **arguments: Any) -> tuple[str, Tokenizer]:
    """Return the .vocab and the model that SentencePiece itself writes for ``lines`` in a file."""
    corpus = folder / "corpus.txt"
    corpus.write_bytes(b"".join(line + b"\n" for line in lines))
    settings: dict[str, Any] = {"minloglevel": 2, **ONE_THREAD, **arguments}
    sentencepiece.SentencePieceTrainer.train(input=str(corpus), model_prefix=str(folder / "stock"), **settings)
    return (folder / "stock.vocab").read_text(encoding="utf-8"), Tokenizer.read(folder / "stock.model")


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
@pytest.mark.parametrize(
    "options", [{}, {"byte_fallback": True}, {"user_defined_symbols": "<mask>,새갈"}, {"character_coverage": 0.98}]
)
def test_the_vocabulary_is_the_one_of_sentencepiece_itself(
    tmp_path: Path, model_type: str, options: dict[str, Any]
) -> None:
    odd = [b"", b"z" * (MAX_LINE_BYTES + 1), "x\u2585x".encode(), b"tab\tbed", b" ka ", b"y" * MAX_LINE_BYTES]
    lines = LINES[:100] + odd + LINES[100:]
    vocab_size = 450 if "byte_fallback" in options else 170
    vocab, stock = train_stock(tmp_path, lines, model_type=model_type, vocab_size=vocab_size, **options)
    ours = train(lines, model_type=model_type, vocab_size=vocab_size, options={**ONE_THREAD, **options}).tokenizer
    assert ours.format_vocab() == vocab
    texts = [line.decode() for line in make_lines(30, seed=9)]
    assert [ours.encode_ids(text) for text in texts] == [stock.encode_ids(text) for text in texts]


@pytest.mark.parametrize("model_type", ["unigram", "bpe", "word", "char"])
@pytest.mark.parametrize(
    "line",
    ["\u200b".encode(), "\ufffd".encode(), b"\xff", b"ka\xc3 lo", b"\xed\xa0\x80"],
)
def test_a_line_that_says_little_changes_the_vocabulary_as_in_sentencepiece_itself(
    tmp_path: Path, model_type: str, line: bytes
) -> None:
    lines = [*LINES[:100], line, *LINES[100:]]
    vocab_size = 40 if model_type == "char" else 120
    soft = {"hard_vocab_limit": model_type != "char"}
    vocab, _ = train_stock(tmp_path, lines, model_type=model_type, vocab_size=vocab_size, **soft)
    assert train(lines, model_type=model_type, vocab_size=vocab_size).tokenizer.format_vocab() == vocab


@pytest.mark.parametrize("model_type", ["unigram", "bpe", "word"])
@pytest.mark.parametrize("lines", [LINES, LINES[:7], [b"aa ab ba"] * 2], ids=["many", "few", "two"])
@pytest.mark.parametrize("options", [{}, {"byte_fallback": True}, {"pad_id": 3}])
def test_the_largest_vocabulary_that_is_named_can_be_had(
    model_type: str, lines: list[bytes], options: dict[str, object]
) -> None:
    arguments: dict[str, Any] = {"model_type": model_type, "options": {**ONE_THREAD, **options}}
    with pytest.raises(VocabularyError) as caught:
        train(lines, vocab_size=30_000, **arguments)
    largest = caught.value.largest
    assert str(caught.value) == f"this text cannot give 30000 pieces; it can give {largest}"
    assert caught.value.asked == 30_000
    assert len(train(lines, vocab_size=largest, **arguments).tokenizer) == largest
    with pytest.raises(VocabularyError):
        train(lines, vocab_size=largest + 1, **arguments)


@pytest.mark.parametrize("model_type", ["unigram", "bpe", "word", "char"])
def test_without_a_hard_limit_there_are_as_many_pieces_as_can_be(model_type: str) -> None:
    soft = train(model_type=model_type, vocab_size=30_000, hard_vocab_limit=False).tokenizer
    if model_type == "char":
        characters = set(b"".join(LINES).decode()) - {" "}
        assert {soft.decode([i]) for i in range(4, len(soft))} == characters
        return
    with pytest.raises(VocabularyError) as caught:
        train(model_type=model_type, vocab_size=30_000)
    assert len(soft) == caught.value.largest


def test_characters_have_no_hard_limit() -> None:
    assert (
        train(model_type="char", vocab_size=30_000).model
        == train(model_type="char", vocab_size=30_000, hard_vocab_limit=False).model
    )


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_a_vocabulary_smaller_than_the_characters(model_type: str) -> None:
    characters = len(set(b"".join(LINES).decode()) - {" "})
    needed = characters + 1 + 3  # the blank; <unk>, <s> and </s>
    with pytest.raises(TokenizerError) as caught:
        train(model_type=model_type, vocab_size=8)
    assert str(caught.value) == (
        f"a vocabulary of 8 is smaller than the {needed} characters that it has to hold; "
        f"ask for more than {needed} pieces, or have spm-train take a lower --character-coverage"
    )
    assert len(train(model_type=model_type, vocab_size=needed + 1).tokenizer) == needed + 1


@pytest.mark.parametrize("seed_of_one", [0, 1, 2])
def test_the_seed_decides_which_lines_are_used(seed_of_one: int) -> None:
    first = train(sample_lines=100, seed=seed_of_one, hard_vocab_limit=False)
    assert (first.usable, first.used) == (400, 100)
    assert train(sample_lines=100, seed=seed_of_one, hard_vocab_limit=False) == first
    others = {train(sample_lines=100, seed=seed, hard_vocab_limit=False).model for seed in range(10, 13)}
    assert len(others | {first.model}) == 4


def test_every_line_is_drawn_as_often_as_another() -> None:
    letters = "abcdefghij"
    lines = [letter.encode() for letter in letters]
    counts = dict.fromkeys(letters, 0)
    for seed in range(300):
        spm = train(lines, model_type="char", sample_lines=3, seed=seed).tokenizer
        drawn = {spm.decode([i]) for i in range(3, len(spm))} & set(letters)
        assert len(drawn) == 3
        for letter in drawn:
            counts[letter] += 1
    assert max(abs(count - 90) for count in counts.values()) < 32  # four standard deviations


@pytest.mark.parametrize("sample_lines", [1, 100, 399])
def test_without_shuffling_the_first_lines_are_used(sample_lines: int) -> None:
    trained = train(sample_lines=sample_lines, shuffle=False, hard_vocab_limit=False)
    assert trained.model == train(LINES[:sample_lines], hard_vocab_limit=False).model
    assert trained.used == sample_lines


@pytest.mark.parametrize("shuffle", [True, False])
def test_blank_lines_take_no_place_among_those_that_are_used(shuffle: bool) -> None:
    letters = "abcdefghijklmnopqrst"
    lines = [line for letter in letters for line in (b" ", b"\t", letter.encode() * 2)]
    trained = train(lines, model_type="char", sample_lines=20, shuffle=shuffle)
    seen = {trained.tokenizer.decode([i]) for i in range(3, len(trained.tokenizer))} & set(letters)
    assert (trained.lines, trained.usable, trained.used, len(seen)) == (60, 20, 20, 20)


@pytest.mark.parametrize("how", [{}, {"sample_lines": 0}, {"sample_lines": 50}, {"sample_lines": 50, "shuffle": False}])
def test_a_refusal_comes_through_whether_all_lines_are_read_or_not(how: dict[str, Any]) -> None:
    with pytest.raises(VocabularyError):
        train(vocab_size=30_000, **how)
    with pytest.raises(TokenizerError, match=r"^a vocabulary of 8 is smaller than the \d+ characters"):
        train(vocab_size=8, **how)


@pytest.mark.parametrize("sample_lines", [0, 400, 401])
def test_no_bound_or_a_high_one_takes_every_line(sample_lines: int) -> None:
    assert train(sample_lines=sample_lines, seed=1) == train(seed=2)


def test_lines_are_counted_by_what_became_of_them() -> None:
    odd = [
        *(b"", b" \t ", "\u3000".encode()),  # blank
        *(b"q" * MAX_LINE_BYTES, "가".encode() * (MAX_LINE_BYTES // 3)),  # as long as a line may be
        *(b"Q" * (MAX_LINE_BYTES + 1), b"\x00" * 5000),  # too long
        *(b"W\x00W", "W\u2585".encode(), b"\x00"),  # unusable
    ]
    trained = train(LINES + odd, sample_lines=350, hard_vocab_limit=False)
    assert (trained.lines, trained.too_long, trained.max_bytes) == (410, 2, MAX_LINE_BYTES)
    assert (trained.unusable, trained.usable, trained.used) == (3, 402, 350)
    pieces = train(LINES + odd, model_type="char").tokenizer.format_vocab()
    assert "q\t" in pieces
    assert "Q\t" not in pieces
    assert "W\t" not in pieces


@pytest.mark.parametrize("limit", [12, "12"])
def test_the_length_of_a_line_can_be_bounded(limit: object) -> None:
    lines = [b"x" * 12, b"y" * 13, *[b"aa bb"] * 3]
    trained = train(lines, model_type="char", options={"max_sentence_length": limit, **ONE_THREAD})
    assert (trained.too_long, trained.max_bytes, trained.used) == (1, 12, 4)
    assert set("xyab") - {trained.tokenizer.decode([i]) for i in range(len(trained.tokenizer))} == {"y"}


def test_a_line_that_grows_too_long_as_utf8_is_counted_as_too_long() -> None:
    odd = b"Q" * 50 + b"\xff" * 2000  # each byte that is not UTF-8 becomes three
    trained = train([*LINES, odd], model_type="char")
    in_vocabulary = "Q\t" in trained.tokenizer.format_vocab()
    assert (in_vocabulary, trained.too_long, trained.used) in [(True, 0, 401), (False, 1, 400)]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "there is no line"),
        ([b"", b"  ", "\u3000".encode()], "every line is blank"),
        ([b"a" * 5000, b"a\x00", "\u2585".encode(), b""], "1 lines are too long and 2 hold NUL or U+2585"),
    ],
)
@pytest.mark.parametrize("how", [{}, {"sample_lines": 0}, {"shuffle": False}])
def test_no_text_at_all(lines: list[bytes], reason: str, how: dict[str, Any]) -> None:
    with pytest.raises(TokenizerError) as caught:
        train(lines, **how)
    assert str(caught.value) == f"no text to train a tokenizer on: {reason}"


def test_lines_of_which_nothing_is_left_are_no_text() -> None:
    with pytest.raises(TokenizerError, match=r"^no text to train a tokenizer on: nothing is left of it"):
        train(["\u200b\ufeff".encode()])


def fail_after(lines: list[bytes], error: BaseException) -> Iterator[bytes]:
    yield from lines
    raise error


@pytest.mark.parametrize("how", [{}, {"sample_lines": 0}, {"shuffle": False}, {"sample_lines": 5}])
@pytest.mark.parametrize("good", [0, 50])
@pytest.mark.parametrize(
    "error", [DataError("corpus.gz", 51, "cut short"), OSError(5, "disk"), KeyError("k"), KeyboardInterrupt()]
)
def test_a_fault_of_the_source_comes_through(how: dict[str, Any], good: int, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        train(fail_after(LINES[:good], error), **how)
    assert caught.value is error


@pytest.mark.parametrize(
    "name",
    [
        *("input", "model_prefix", "sentence_iterator", "model_writer", "model_type", "vocab_size", "minloglevel"),
        *("hard_vocab_limit", "input_sentence_size", "shuffle_input_sentence", "input_format"),
    ],
)
def test_options_that_have_a_flag_are_refused(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        train(options={name: "1", **ONE_THREAD})
    assert str(caught.value) == f"{name}: is set by a flag of its own, or by textrnn itself"


@pytest.mark.parametrize("how", [{}, {"sample_lines": 0}, {"shuffle": False}])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"options": {"bogus": 1}}, "bogus: SentencePiece has no such option"),
        (
            {"options": {"max_sentence_length": "long"}},
            "max_sentence_length: should be a whole number, not long",
        ),
        ({"options": {"num_threads": "many"}}, "SentencePiece: 'many' is not of the type int"),
    ],
)
def test_options_that_are_none(arguments: dict[str, Any], message: str, how: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        train(**arguments, **how)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"options": {"character_coverage": 3.0}}, "character_coverage"),
        ({"model_type": "morphemes"}, '"morphemes"'),
    ],
)
def test_what_sentencepiece_refuses_is_passed_on_in_one_line(arguments: dict[str, Any], part: str) -> None:
    with pytest.raises(TokenizerError) as caught:
        train(**arguments)
    assert str(caught.value).startswith("SentencePiece: ")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ".cc(" not in str(caught.value)


def test_options_reach_sentencepiece() -> None:
    options = {
        "user_defined_symbols": "<mask>",
        "unk_id": 2,
        "bos_id": -1,
        "eos_id": -1,
        "normalization_rule_name": "nfkc_cf",
    }
    spm = train(options={**ONE_THREAD, **options}).tokenizer
    assert spm.encode_pieces("KA<mask>")[-1] == "<mask>"
    assert spm.normalize("KA É") == "ka é"
    assert spm.encode_all([""], max_length=5) == [[2]]
    assert "<s>" not in spm.format_vocab()


# --- use

TRICKY = [
    *("", " ", "\t\r\n", "\u3000", "ka", " ka ", "ka  lo", "ka\tlo\nmi", "KA Lo", "갈나무", "나무 새", "é", "e\u0301"),
    *(
        "\u2581",
        "\u2581ka",
        "ka\u2581lo",
        "\u2581\u2581",
        "ﬁn ①",
        "Ａｂ",
        "\ufeffka",
        "ka\u200blo",
        "ka\u00a0lo",
        "\u2028x",
    ),
    *(
        "日本語",
        "😀👩‍👩‍👧",
        "a\x00b",
        "\x7f\x01",
        "\ufffd",
        "\u2585",
        "<s>ka</s>",
        "<unk>",
        "<0x41>",
        "مرحبا",
        "\u00ad",
    ),
    *("x" * 5000, "ka " * 2000, "\U0010ffff", "\ue000"),
]


@pytest.mark.parametrize("text", TRICKY, ids=lambda text: ascii(text[:8]))
def test_decoding_gives_the_normalised_text(spm: Tokenizer, text: str) -> None:
    normal = spm.normalize(text)
    assert spm.decode(spm.encode_ids(text)) == normal
    assert spm.decode(spm.encode_pieces(text)) == normal
    assert spm.normalize(normal) == normal


@pytest.mark.parametrize("text", TRICKY, ids=lambda text: ascii(text[:8]))
def test_pieces_joined_are_the_normalised_text(text: str) -> None:
    spm = train().tokenizer  # pieces of unknown characters are the characters
    assert "".join(spm.encode_pieces(text)).replace("\u2581", " ").strip(" ") == spm.normalize(text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [("  ka \t lo\n", "ka lo"), ("ﬁ①Ａ", "fi1A"), ("e\u0301", "é"), ("\u2581ka", "ka"), ("\u200b", ""), ("K", "K")],
)
def test_normalising(spm: Tokenizer, text: str, normal: str) -> None:
    assert spm.normalize(text) == normal


@pytest.mark.parametrize("model_type", ["unigram", "bpe", "char"])
def test_every_training_line_comes_back(model_type: str) -> None:
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
def test_encode_all_is_each_text_cut(spm: Tokenizer, max_length: int) -> None:
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
    if not arrays:  # as with older versions of SentencePiece
        monkeypatch.setattr("textrnn.tokenization.tokenizer._RETURNS_ARRAYS", False)
    expected = spm.encode_all(texts, max_length=max_length)
    ids, lengths = spm.encode_packed([text.encode() for text in texts], max_length=max_length)
    assert (ids.dtype, lengths.dtype) == (np.int32, np.int64)
    assert ids.tolist() == [token for row in expected for token in row]
    assert lengths.tolist() == [len(row) for row in expected]


def test_a_fingerprint_is_the_models(spm: Tokenizer) -> None:
    assert spm.fingerprint == Tokenizer(spm.model, name="again").fingerprint
    assert spm.fingerprint != train(model_type="char").tokenizer.fingerprint


@pytest.mark.parametrize("text", ["", "  ", "\t\n", "\u3000", "\u200b"])
def test_a_text_without_pieces_is_one_unknown_piece(spm: Tokenizer, text: str) -> None:
    assert spm.encode_ids(text) == []
    assert spm.encode_pieces(text) == []
    assert spm.encode_all(["ka", text, "ka"], max_length=4) == [spm.encode_ids("ka"), [0], spm.encode_ids("ka")]


def test_no_texts_give_no_ids(spm: Tokenizer) -> None:
    assert spm.encode_all([], max_length=4) == []


@pytest.mark.parametrize("bad", [400, 401, 2**31, 2**70, -1])
def test_an_id_beyond_the_vocabulary_is_told(spm: Tokenizer, bad: int) -> None:
    with pytest.raises(TokenizerError) as caught:
        spm.decode([5, bad])
    assert str(caught.value) == f"id {bad} is not in the vocabulary (0 to 399)"


def test_the_last_id_can_be_decoded() -> None:
    spm = train(model_type="char").tokenizer
    last = len(spm) - 1
    assert spm.decode([last]) == spm.format_vocab().splitlines()[last].split("\t")[0]


def test_nothing_decodes_to_nothing(spm: Tokenizer) -> None:
    assert spm.decode([]) == ""


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_samples_differ_and_say_the_same(model_type: str, ids: bool) -> None:
    spm = train(model_type=model_type).tokenizer
    text = "karulo tesnomi 나무갈 vidpau"
    drawn = [spm.sample(text, ids=ids, nbest_size=-1, alpha=0.3) for _ in range(60)]
    assert {spm.decode(pieces) for pieces in drawn} == {text}
    assert {type(piece) for pieces in drawn for piece in pieces} == {int if ids else str}
    assert len({tuple(pieces) for pieces in drawn}) > 3


@pytest.mark.parametrize("model_type", ["char", "word"])
def test_a_model_of_one_segmentation_cannot_sample(model_type: str) -> None:
    spm = train(model_type=model_type).tokenizer
    with pytest.raises(TokenizerError) as caught:
        spm.sample("ka lo", ids=True, nbest_size=-1, alpha=0.3)
    assert str(caught.value) == "this tokenizer cannot sample; unigram and bpe tokenizers can"


# --- reading


def test_a_model_is_read_from_its_file(tmp_path: Path, spm: Tokenizer) -> None:
    path = tmp_path / "a.model"
    path.write_bytes(spm.model)
    read = Tokenizer.read(path)
    assert read.model == spm.model
    assert read.format_vocab() == spm.format_vocab()


@pytest.mark.parametrize("content", [b"junk", b"\x00" * 100, b"\n", b"a\tb\n" * 50, b"\x1f\x8b", b"{}"])
def test_bytes_that_are_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.model"
    path.write_bytes(content)
    with pytest.raises(TokenizerError) as caught:
        Tokenizer.read(path)
    assert str(caught.value) == f"{path}: not a SentencePiece model"


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_model_cut_short(spm: Tokenizer, share: float) -> None:
    with pytest.raises(TokenizerError, match=r"^cut: not a SentencePiece model"):
        Tokenizer(spm.model[: int(len(spm.model) * share)], name="cut")


def test_an_empty_file_is_no_model_and_says_so_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.model"
    path.write_bytes(b"")
    with pytest.raises(TokenizerError) as caught:
        Tokenizer.read(path)
    assert str(caught.value) == f"{path}: not a SentencePiece model (it is empty)"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.model", "none.model: no such tokenizer; 'textrnn spm-train' makes one"),
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


def test_pieces_and_words_leave_out_what_is_no_text() -> None:
    lines = [b"tea, Tea; and 7 teas!"] * 20
    tokenizer = train_tokenizer(lines, hard_vocab_limit=False, options={"byte_fallback": True}).tokenizer
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
