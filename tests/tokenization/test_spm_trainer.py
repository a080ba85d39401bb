"""Training of SentencePiece models: the bytes, the skipped lines, and every refusal."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from made_up_text import LINES, ONE_THREAD, make_lines, train
from textrnn.errors import ConfigError, DataError, TokenizerError
from textrnn.tokenization.spm_trainer import MAX_LINE_BYTES, VocabularyError
from textrnn.tokenization.tokenizer import Tokenizer


@pytest.mark.parametrize("model_type", ["unigram", "bpe", "char", "word"])
def test_the_same_lines_give_the_same_bytes(model_type: str) -> None:
    arguments: dict[str, Any] = {"model_type": model_type, "vocab_size": 70, "options": None, "sample_lines": 300}
    first = train(**arguments)
    assert train(iter(LINES), **arguments) == first
    assert first.model != train(LINES[:300], **arguments).model


def test_another_process_gives_the_same_bytes() -> None:
    code = (
        "import hashlib, sys; from textrnn.tokenization.spm_trainer import train_tokenizer\n"
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
def test_the_vocabulary_is_that_of_sentencepiece_itself(
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
@pytest.mark.parametrize("line", ["\u200b".encode(), "\ufffd".encode(), b"\xff", b"ka\xc3 lo", b"\xed\xa0\x80"])
def test_a_line_without_text_counts_like_in_sentencepiece_itself(tmp_path: Path, model_type: str, line: bytes) -> None:
    lines = [*LINES[:100], line, *LINES[100:]]
    vocab_size = 40 if model_type == "char" else 120
    soft = {"hard_vocab_limit": model_type != "char"}
    vocab, _ = train_stock(tmp_path, lines, model_type=model_type, vocab_size=vocab_size, **soft)
    assert train(lines, model_type=model_type, vocab_size=vocab_size).tokenizer.format_vocab() == vocab


@pytest.mark.parametrize("model_type", ["unigram", "bpe", "word"])
@pytest.mark.parametrize("lines", [LINES, LINES[:7], [b"aa ab ba"] * 2], ids=["many", "few", "two"])
@pytest.mark.parametrize("options", [{}, {"byte_fallback": True}, {"pad_id": 3}])
def test_the_reported_largest_vocabulary_is_possible(
    model_type: str, lines: list[bytes], options: dict[str, object]
) -> None:
    arguments: dict[str, Any] = {"model_type": model_type, "options": {**ONE_THREAD, **options}}
    with pytest.raises(VocabularyError) as caught:
        train(lines, vocab_size=30_000, **arguments)
    largest = caught.value.largest
    assert str(caught.value) == f"the text allows at most {largest} pieces, not 30000"
    assert caught.value.requested == 30_000
    assert len(train(lines, vocab_size=largest, **arguments).tokenizer) == largest
    with pytest.raises(VocabularyError):
        train(lines, vocab_size=largest + 1, **arguments)


@pytest.mark.parametrize("model_type", ["unigram", "bpe", "word", "char"])
def test_without_a_hard_limit_the_vocabulary_is_as_large_as_possible(model_type: str) -> None:
    soft = train(model_type=model_type, vocab_size=30_000, hard_vocab_limit=False).tokenizer
    if model_type == "char":
        characters = set(b"".join(LINES).decode()) - {" "}
        assert {soft.decode([i]) for i in range(4, len(soft))} == characters
        assert train(model_type=model_type, vocab_size=30_000).model == soft.model  # it has no hard limit
        return
    with pytest.raises(VocabularyError) as caught:
        train(model_type=model_type, vocab_size=30_000)
    assert len(soft) == caught.value.largest


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_a_vocabulary_needs_all_characters(model_type: str) -> None:
    characters = len(set(b"".join(LINES).decode()) - {" "})
    needed = characters + 1 + 3  # the space; <unk>, <s> and </s>
    with pytest.raises(TokenizerError) as caught:
        train(model_type=model_type, vocab_size=8)
    assert str(caught.value) == (
        f"8 pieces are too few for the {needed} characters of the text; "
        f"use more than {needed} pieces, or spm-train with a lower --character-coverage"
    )
    assert len(train(model_type=model_type, vocab_size=needed + 1).tokenizer) == needed + 1


@pytest.mark.parametrize("seed_of_one", [0, 1, 2])
def test_the_seed_selects_the_lines(seed_of_one: int) -> None:
    first = train(sample_lines=100, seed=seed_of_one, hard_vocab_limit=False)
    assert (first.usable, first.used) == (400, 100)
    assert train(sample_lines=100, seed=seed_of_one, hard_vocab_limit=False) == first
    others = {train(sample_lines=100, seed=seed, hard_vocab_limit=False).model for seed in range(10, 13)}
    assert len(others | {first.model}) == 4


def test_all_lines_are_sampled_with_the_same_frequency() -> None:
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
def test_blank_lines_do_not_count_as_samples(shuffle: bool) -> None:
    letters = "abcdefghijklmnopqrst"
    lines = [line for letter in letters for line in (b" ", b"\t", letter.encode() * 2)]
    trained = train(lines, model_type="char", sample_lines=20, shuffle=shuffle)
    seen = {trained.tokenizer.decode([i]) for i in range(3, len(trained.tokenizer))} & set(letters)
    assert (trained.lines, trained.usable, trained.used, len(seen)) == (60, 20, 20, 20)


@pytest.mark.parametrize("how", [{}, {"sample_lines": 0}, {"sample_lines": 50}, {"sample_lines": 50, "shuffle": False}])
def test_a_refusal_is_the_same_with_sampling(how: dict[str, Any]) -> None:
    with pytest.raises(VocabularyError):
        train(vocab_size=30_000, **how)
    with pytest.raises(TokenizerError, match=r"^8 pieces are too few for the \d+ characters"):
        train(vocab_size=8, **how)


@pytest.mark.parametrize("sample_lines", [0, 400, 401])
def test_without_a_lower_limit_every_line_is_used(sample_lines: int) -> None:
    assert train(sample_lines=sample_lines, seed=1) == train(seed=2)


def test_used_and_skipped_lines_are_counted() -> None:
    odd = [
        *(b"", b" \t ", "\u3000".encode()),  # blank
        *(b"q" * MAX_LINE_BYTES, "가".encode() * (MAX_LINE_BYTES // 3)),  # as long as allowed
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


def test_the_length_of_lines_can_be_limited() -> None:
    lines = [b"x" * 12, b"y" * 13, *[b"aa bb"] * 3]
    trained = train(lines, model_type="char", max_sentence_length=12)
    assert (trained.too_long, trained.max_bytes, trained.used) == (1, 12, 4)
    assert set("xyab") - {trained.tokenizer.decode([i]) for i in range(len(trained.tokenizer))} == {"y"}


def test_a_line_that_becomes_too_long_as_utf_8_is_counted() -> None:
    odd = b"Q" * 50 + b"\xff" * 2000  # each byte that is not UTF-8 becomes three
    trained = train([*LINES, odd], model_type="char")
    in_vocabulary = "Q\t" in trained.tokenizer.format_vocab()
    assert (in_vocabulary, trained.too_long, trained.used) in [(True, 0, 401), (False, 1, 400)]


CURE = "; --max-sentence-length N raises the limit"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "the input is empty"),
        ([b"", b"  ", "\u3000".encode()], "all lines are blank"),
        ([b"a\x00", "\u2585".encode()], "no usable line (0 of more than 4,192 bytes, 2 with NUL or U+2585)"),
        ([b"a" * 5000, b"a\x00"], f"no usable line (1 of more than 4,192 bytes, 1 with NUL or U+2585){CURE}"),
    ],
)
@pytest.mark.parametrize("how", [{}, {"sample_lines": 0}, {"shuffle": False}])
def test_unusable_text_is_refused(lines: list[bytes], reason: str, how: dict[str, Any]) -> None:
    with pytest.raises(TokenizerError) as caught:
        train(lines, **how)
    assert str(caught.value) == f"no text to train a tokenizer on: {reason}"


def test_text_that_normalization_removes_is_refused() -> None:
    with pytest.raises(TokenizerError, match=r"^no text to train a tokenizer on: normalization"):
        train(["\u200b\ufeff".encode()])


def fail_after(lines: list[bytes], error: BaseException) -> Iterator[bytes]:
    yield from lines
    raise error


@pytest.mark.parametrize("how", [{}, {"sample_lines": 0}, {"shuffle": False}, {"sample_lines": 5}])
@pytest.mark.parametrize("good", [0, 50])
@pytest.mark.parametrize(
    "error", [DataError("corpus.gz", 51, "cut short"), OSError(5, "disk"), KeyError("k"), KeyboardInterrupt()]
)
def test_an_error_of_the_source_is_raised_unchanged(how: dict[str, Any], good: int, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        train(fail_after(LINES[:good], error), **how)
    assert caught.value is error


OWN = ("sentence_iterator", "model_writer", "minloglevel", "input_format")
FLAGS = [
    *("input", "model-prefix", "model-type", "vocab-size", "hard-vocab-limit", "input-sentence-size"),
    *("shuffle-input-sentence", "max-sentence-length"),
]


@pytest.mark.parametrize("how", [{}, {"sample_lines": 0}, {"shuffle": False}])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({name: "1"}, f"{name}: is set by textrnn") for name in OWN),
        *(({flag.replace("-", "_"): "1"}, f"{flag.replace('-', '_')}: use --{flag}") for flag in FLAGS),
        ({"bogus": 1}, "bogus: SentencePiece has no such option; its documentation lists the options of training"),
        ({"num_threads": "many"}, "SentencePiece: 'many' is not a value of type int"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str, how: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        train(options=options, **how)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "part"),
    [({"options": {"character_coverage": 3.0}}, "character_coverage"), ({"model_type": "morphemes"}, '"morphemes"')],
)
def test_errors_of_sentencepiece_become_one_line(arguments: dict[str, Any], part: str) -> None:
    with pytest.raises(TokenizerError) as caught:
        train(**arguments)
    assert str(caught.value).startswith("SentencePiece: ")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ".cc(" not in str(caught.value)


def test_options_reach_sentencepiece() -> None:
    options = {"user_defined_symbols": "<mask>", "unk_id": 2, "bos_id": -1, "eos_id": -1}
    spm = train(options={**ONE_THREAD, **options, "normalization_rule_name": "nfkc_cf"}).tokenizer
    assert spm.encode_pieces("KA<mask>")[-1] == "<mask>"
    assert spm.normalize("KA É") == "ka é"
    assert spm.encode_all([""], max_length=5) == [[2]]
    assert "<s>" not in spm.format_vocab()
