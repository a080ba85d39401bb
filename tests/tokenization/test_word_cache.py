"""The cache of words: ids equal SentencePiece's, whatever the model and the text."""

from __future__ import annotations

import copy
import lzma
import os
import pickle
import random
import struct
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece

from made_up_text import LINES, ONE_THREAD, make_lines, train
from textrnn.native import library
from textrnn.tokenization import tokenizer as tokenizer_module
from textrnn.tokenization.tokenizer import META, Tokenizer
from textrnn.tokenization.word_cache import WordCache

pytestmark = pytest.mark.skipif(not library.is_available(), reason="the library was not compiled")


@pytest.fixture(autouse=True)
def _cache_from_the_first_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_module, "_FIRST_TEXTS", 0)
    monkeypatch.setattr(tokenizer_module, "_MIN_TEXTS", 1)


def check(tokenizer: Tokenizer, texts: Sequence[bytes], *, max_length: int = 1000) -> None:
    """Compare with SentencePiece itself."""
    expected = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model).encode(list(texts))
    rows = [row[:max_length] or [tokenizer.unknown_id] for row in expected]
    ids, lengths = tokenizer.encode_packed(texts, max_length=max_length)
    if lengths.tolist() != list(map(len, rows)) or ids.tolist() != [token for row in rows for token in row]:
        mine = np.split(ids, np.cumsum(lengths)[:-1])
        wrong = [(text, a.tolist(), b) for text, a, b in zip(texts, mine, rows, strict=True) if a.tolist() != b]
        pytest.fail(f"{len(wrong)} texts differ, such as {wrong[0]}")


def uses_cache(tokenizer: Tokenizer) -> bool:
    return tokenizer._words is not None


# models


def varint(number: int) -> bytes:
    return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])


def field(number: int, value: bytes | float) -> bytes:
    """A field of a Protocol Buffers message: a string or message, a float, or an integer."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def make_model(
    pieces: Iterable[tuple[str, float]], *, trainer: bytes = b"", normalizer: bytes = b"", special: bytes = b""
) -> Tokenizer:
    """A unigram model with <unk> and these pieces, without normalization."""
    unknown = field(1, b"<unk>") + field(2, 0.0) + field(3, 2)
    rows = [unknown, *(field(1, piece.encode()) + field(2, float(score)) for piece, score in pieces)]
    model = b"".join(field(1, row) for row in rows) + special + field(2, field(3, 1) + trainer) + field(3, normalizer)
    return Tokenizer(model, name="it")


def make_ties(seed: int) -> Tokenizer:
    """A model of scores near multiples of one, so that many segmentations are equally good but for rounding."""
    rng = random.Random(seed)
    texts = [a + b + c for a in "abc" for b in ("", *"abc") for c in ("", *"abc")]
    pieces = {META: 0.0} | {start + text: 0.0 for text in texts for start in ("", META)}
    step, noise = rng.choice([0.1, 0.3, 1.0]), rng.choice([0, 10 ** -rng.uniform(3, 7)])
    scores = [-step * rng.randint(1, 4) * (1 + len(piece.strip(META))) for piece in pieces]
    return make_model(zip(pieces, [score * (1 + noise * rng.random()) for score in scores], strict=True))


RULES = {
    "nmt_nfkc": {},
    "nmt_nfkc_cf": {"normalization_rule_name": "nmt_nfkc_cf"},
    "nfkc bytes": {"normalization_rule_name": "nfkc", "byte_fallback": True},
    "nfkc_cf": {"normalization_rule_name": "nfkc_cf"},
    "identity": {"normalization_rule_name": "identity"},
    "identity bytes": {"normalization_rule_name": "identity", "byte_fallback": True},
    "control": {"control_symbols": ["<b>", "[CLS]"]},
}
OTHERS = {
    "symbols": {"user_defined_symbols": ["<b>", "new york", "ka"]},
    "suffix": {"treat_whitespace_as_suffix": True},
    "spaces in pieces": {"split_by_whitespace": False},
    "space pieces": {"allow_whitespace_only_pieces": True, "remove_extra_whitespaces": False},
    "no prefix": {"add_dummy_prefix": False},
}


@cache
def make_tokenizer(model_type: str, options: str) -> Tokenizer:
    size = 140 if options in ("nmt_nfkc", "nfkc_cf", "identity") else 500
    settings = {**ONE_THREAD, **{**RULES, **OTHERS}.get(options, {})}
    lines = [*LINES, *make_lines(200, seed=1), *(" ".join(WORDS).encode() for _ in range(3))]
    return train(lines, model_type=model_type, vocab_size=size, hard_vocab_limit=False, options=settings).tokenizer


CACHED = [(kind, options) for options in RULES for kind in ("unigram", "bpe")]
UNCACHED = [(kind, options) for options in OTHERS for kind in ("unigram", "bpe")] + [("word", ""), ("char", "")]

# texts

WORDS = [
    "the",
    "film",
    "it's",
    "(and)",
    "new",
    "york",
    "karulo",
    "tesno",
    "나무",
    "갈새",
    "영화ㅋㅋ",
    "3.5",
    "Ka",
    "KALO",
]
ODD = [
    *("e\u0301", "\u0301", "\u1112\u1161\u11ab\u1100\u1173\u11af", "\u1161", "Ａｂ", "\u3000", "\u00a0", "\u2009"),
    *("\u200b", "\u200d", "\ufeff", "\u00ad", "👩\u200d👩\u200d👧", "❤\ufe0f", META, META * 2, META + "ka", "\x00"),
    *("\x01", "\x7f", "\t", "\r", "\n", "\x85", "\u2028", "\u00a8", "\u00b4", "\ufdfa", "\uff76\uff9e", "\uff9e", "ﬁ"),
    *("ß", "İ", "Σς", "ก็", "\u0e33", "مرحبا", "\U0001d15e", "日本", "\ufffd", "\U0010ffff", "\ue000", "<s>", "</s>"),
    *("<unk>", "<0x41>", "<b>", "[CLS]", "new york", "x" * 300, "카" * 80, "가나" * 90 + " ", "\u0344", "\u1e9b\u0323"),
]
BROKEN = [b"\xff", b"\xc3", b"\xe2\x96", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\x80", b"\xe2\x96\x81"]
SEPARATORS = [b" "] * 12 + [b"", b"", b"  ", "\u3000".encode(), "\u00a0".encode(), b"\t"]


def draw_texts(rng: random.Random, count: int, longest: int = 8) -> list[bytes]:
    """Texts of words, odd characters, invalid UTF-8 and separators."""
    plain, odd = [word.encode() for word in WORDS], [text.encode() for text in ODD] + BROKEN
    points = [chr(rng.choice((rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)))).encode() for _ in range(64)]
    texts = []
    for _ in range(count):
        size = rng.randrange(longest + 1)
        kinds = rng.choices((plain, odd, points), (16, rng.choice((0, 1, 4)), 1), k=size)
        words = [rng.choice(kind) for kind in kinds]
        texts.append(
            b"".join(part for pair in zip(words, rng.choices(SEPARATORS, k=size), strict=True) for part in pair)
        )
    return texts


def draw_letters(rng: random.Random, count: int) -> list[bytes]:
    """Texts of few letters, of which some are long."""
    words = ["".join(rng.choices("abc", k=rng.randint(1, 9))).encode() for _ in range(200)]
    return [b" ".join(rng.choices(words, k=rng.randrange(rng.choice((8, 20, 60, 300))))) for _ in range(count)]


# tests


@pytest.mark.parametrize(("kind", "options"), CACHED)
def test_drawn_texts(kind: str, options: str) -> None:
    tokenizer = make_tokenizer(kind, options)
    rng = random.Random(1)
    for max_length in (1, 5, 1000, 1000):
        check(tokenizer, draw_texts(rng, 800), max_length=max_length)
    assert uses_cache(tokenizer)


@pytest.mark.parametrize(("kind", "options"), UNCACHED)
def test_models_that_do_not_encode_word_by_word(kind: str, options: str) -> None:
    tokenizer = make_tokenizer(kind, options)
    assert WordCache.open(tokenizer.model) is None
    check(tokenizer, draw_texts(random.Random(2), 300))


def test_equally_good_segmentations() -> None:
    for seed in range(100):
        tokenizer = make_ties(seed)
        check(tokenizer, [b"a"])
        check(tokenizer, draw_letters(random.Random(seed), 200))
        assert uses_cache(tokenizer)


def test_a_segmentation_that_rounding_changes_later_in_a_text() -> None:
    tokenizer = make_model([(META, -3.0), ("a", -2.0), ("b", -2.5), ("ab", -4.50001), ("x", -9.0)])
    text = b" ".join([b"ab"] + [b"x"] * 3000 + [b"ab"])
    pieces = tokenizer.encode_pieces(text.decode())
    assert pieces[:3] == [META, "a", "b"]
    assert pieces[-2:] == [META, "ab"]  # SentencePiece itself is not consistent
    check(tokenizer, [b"ab x ab"])
    check(tokenizer, [text, b"ab x", text], max_length=10_000)
    assert uses_cache(tokenizer)


PLAIN = [(META, -2.0), ("a", -3.0), ("b", -3.5), (f"{META}ab", -4.0)]


def test_a_plain_model_is_cached() -> None:
    assert WordCache.open(make_model(PLAIN).model) is not None


@pytest.mark.parametrize(
    ("pieces", "settings"),
    [
        (PLAIN[1:], {}),  # a word may begin with an unknown piece, which would join the one before
        ([*PLAIN, (f"a{META}b", -1.0)], {}),
        ([*PLAIN, (META * 2, -1.0)], {}),
        ([*PLAIN, ("ba", 0.5)], {}),  # sums may fall again
        (PLAIN, {"normalizer": field(3, 0)}),
        (PLAIN, {"normalizer": field(4, 0)}),
        (PLAIN, {"normalizer": field(5, 0)}),
        (PLAIN, {"trainer": field(24, 1)}),
        (PLAIN, {"special": field(1, field(1, b"ba") + field(2, -1.0) + field(3, 4))}),
        (PLAIN, {"special": field(1, field(1, b"ba") + field(2, -1.0) + field(3, 5))}),
    ],
)
def test_models_that_may_join_words(pieces: list[tuple[str, float]], settings: dict[str, Any]) -> None:
    tokenizer = make_model(pieces, **settings)
    assert WordCache.open(tokenizer.model) is None
    check(tokenizer, [b"ab a", b"b  zz z ba", b"", b" a"])


@pytest.mark.parametrize("junk", [b"x", b"\x0a\xff", b"\x0a\x05\x0a\xffabc", b"\xff" * 40, b"\x0b", b"\x08"])
def test_junk_is_not_a_model(junk: bytes) -> None:
    assert WordCache.open(make_model(PLAIN).model + junk) is None


@pytest.mark.parametrize(
    "rule", ["61 20 62\t63", "20 62\t63", "61 20\t78 20", "20\t5F", "61\t62 20", "61\t", "20 20\t61"]
)
def test_rules_that_reach_beyond_a_word(rule: str, tmp_path: Path) -> None:
    (tmp_path / "rules.tsv").write_text(rule + "\n")
    options = {"normalization_rule_tsv": str(tmp_path / "rules.tsv"), **ONE_THREAD}
    tokenizer = train([*LINES, b"a b ab ba aab abb x c"] * 2, options=options).tokenizer
    check(tokenizer, [b"ka", b"lo"])  # the cache is open before a rule applies
    assert uses_cache(tokenizer) == (not rule.startswith(("20\t", "20 20")))
    rng = random.Random(3)
    check(tokenizer, [" ".join(rng.choices(["a", "b", "ab", "ba", "ka", "", "aa"], k=6)).encode() for _ in range(500)])


def test_a_full_cache() -> None:
    tokenizer = make_model([(META, -2.0), *((letter, -3.0 - i / 7) for i, letter in enumerate("0123456789abcdef"))])
    rng = random.Random(5)
    words = [rng.randbytes(4).hex().encode() for _ in range(600_000)]
    texts = [b" ".join(words[i : i + 100]) for i in range(0, len(words), 100)]
    tokenizer.encode_packed(texts, max_length=1000)
    check(tokenizer, [*texts[:200], *texts[-200:], *texts[-1:]])
    check(tokenizer, draw_texts(rng, 300))


LONG = [
    b" ".join(
        [b"karulo", "새갈".encode(), b"sno,", "日本".encode(), "e\u0301mi".encode()][i % 5] for i in range(20_000)
    ),
    "karu새갈q".encode() * 20_000,
    b" \t" * 100_000 + b"karulo  sno",
    "日".encode() * 3000 + b" ka" * 5000,
    b"ka lo mi " * 700 + b"x" * 900 + b" ka" * 5000,
    b" ka" * 800 + "나".encode() * 80 + b" lo" * 9000,
]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("max_length", [1, 40, 512])
def test_long_texts(kind: str, max_length: int) -> None:
    tokenizer = make_tokenizer(kind, "nmt_nfkc")
    texts = [*LONG, *(text.replace(b" ", b"  ") for text in LONG), b"ka"]
    ids, lengths = tokenizer.encode_packed(texts, max_length=max_length)
    expected = tokenizer._encode_whole(texts, max_length)
    np.testing.assert_array_equal(ids, expected[0])
    np.testing.assert_array_equal(lengths, expected[1])


def test_threads_share_the_cache() -> None:
    tokenizer = Tokenizer(make_tokenizer("unigram", "nmt_nfkc").model, name="it")
    rng = random.Random(6)
    blocks = [draw_texts(rng, 400) for _ in range(40)]
    with ThreadPoolExecutor(4) as pool:
        mine = list(pool.map(lambda block: tokenizer.encode_packed(block, max_length=50), blocks))
    for block, (ids, lengths) in zip(blocks, mine, strict=True):
        expected = tokenizer._encode_whole(block, 50)
        np.testing.assert_array_equal(ids, expected[0])
        np.testing.assert_array_equal(lengths, expected[1])


def test_a_tokenizer_with_a_cache_can_be_copied_and_pickled() -> None:
    tokenizer = make_tokenizer("unigram", "nmt_nfkc")
    texts = draw_texts(random.Random(7), 100)
    check(tokenizer, texts)
    for again in (copy.copy(tokenizer), copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        check(again, texts)
        assert uses_cache(again)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_a_copy() -> None:
    tokenizer = make_tokenizer("unigram", "nmt_nfkc")
    texts = draw_texts(random.Random(8), 100)
    check(tokenizer, texts)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            check(tokenizer, [*texts, *draw_texts(random.Random(9), 100)])
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    check(tokenizer, texts)


def test_a_sentencepiece_that_encodes_otherwise_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = Tokenizer(make_tokenizer("unigram", "nmt_nfkc").model, name="it")
    encode = tokenizer._encode
    monkeypatch.setattr(tokenizer, "_encode", lambda texts: (encode(texts)[0] + 1, encode(texts)[1]))
    ids, _ = tokenizer.encode_packed([b"ka lo"], max_length=9)
    assert ids.tolist() == [i + 1 for i in tokenizer.encode_ids("ka lo")]
    assert not uses_cache(tokenizer)


def test_few_texts_do_not_open_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    tokenizer = Tokenizer(make_tokenizer("unigram", "nmt_nfkc").model, name="it")
    for _ in range(10):
        tokenizer.encode_packed([b"ka lo"] * 10, max_length=9)
    assert not tokenizer._is_words_open


@pytest.mark.long
@pytest.mark.parametrize(("kind", "options"), [*CACHED, *(("ties", str(seed)) for seed in range(6))])
def test_ten_million_drawn_texts(kind: str, options: str) -> None:
    """500,000 texts for each of 20 models."""
    rng = random.Random(f"{kind} {options}")
    if kind == "ties":
        for _ in range(250):
            tokenizer = make_ties(rng.randrange(1 << 30))
            check(tokenizer, draw_letters(rng, 2000))
        return
    tokenizer = make_tokenizer(kind, options)
    for _ in range(100):
        check(tokenizer, draw_texts(rng, 5000), max_length=rng.choice((5, 40, 1000)))
    assert uses_cache(tokenizer)


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_real_text(model_type: str, measuring_data: Path) -> None:
    lines = [line for path in ("mr/train.tsv", "chatbot_ko/train.tsv") for line in read_texts(measuring_data / path)]
    tokenizer = train(lines, model_type=model_type, vocab_size=8000, hard_vocab_limit=False).tokenizer
    check(tokenizer, lines)
    assert uses_cache(tokenizer)


@pytest.mark.long
@pytest.mark.parametrize(("kind", "options"), [*CACHED, *UNCACHED])
def test_all_real_text(kind: str, options: str, measuring_data: Path) -> None:
    paths = sorted(path for path in measuring_data.rglob("*") if {".tsv", ".txt"} & set(path.suffixes))
    settings = {**ONE_THREAD, **{**RULES, **OTHERS}.get(options, {})}
    sample = [line for path in paths for line in read_texts(path)[:4000]]
    tokenizer = train(sample, model_type=kind, vocab_size=8000, hard_vocab_limit=False, options=settings).tokenizer
    for path in paths:
        lines = read_texts(path)
        for start in range(0, len(lines), 20_000):
            check(tokenizer, lines[start : start + 20_000])


def read_texts(path: Path) -> list[bytes]:
    content = path.read_bytes()
    lines = (lzma.decompress(content) if path.suffix == ".xz" else content).split(b"\n")
    return [line.split(b"\t", 1)[-1] for line in lines] if ".tsv" in path.suffixes else lines
