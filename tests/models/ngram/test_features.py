"""The n-grams of texts: keys against a way of counting written by itself, and the C++ library against numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from pieces import CODES, draw_texts, make_spelling
from textrnn.data.batch import PackedBatch, pack
from textrnn.models.ngram import native
from textrnn.models.ngram.features import Spelling, hash_ngrams
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer

WHOLE = 2**64
needs_library = pytest.mark.skipif(not native.is_available(), reason="the library was not compiled")
everywhere = pytest.mark.parametrize("library", [False, pytest.param(True, marks=needs_library)])
RAGGED = [3, 0, 1, 0, 40, 2, 257, 9, 1, 0]


def mix(x: int) -> int:
    x = (x ^ x >> 30) * 0x5EF3F4DCCCA7B2C1 % WHOLE
    x = (x ^ x >> 27) * 0x3C8C17F82B5C3331 % WHOLE
    return x ^ x >> 31


def add_up(codes: list[int]) -> int:
    return sum((code + 1) * 0xDAC8DC4917B45A3D**k for k, code in enumerate(codes))


def count_plainly(codes: list[int]) -> list[int]:
    """The keys of a text with these code points, as docs/ngrams.md has them."""
    words: list[list[int]] = [[]]
    for code in codes:
        if code == 0x2581:
            words.append([])
        else:
            words[-1].append(code)
    keys, before = [], 0xD450D8653459D86B

    def pair(one: int, other: int) -> int:
        return 2**31 + (mix((one * 0x7BF7B06DBE1E1B5D + other * 0x434AF8C5F5423E09) % WHOLE) >> 34)

    for word in filter(None, words):
        hashed = mix((add_up(word) + 0x2301531EA91AC263) % WHOLE)
        keys += [2**31 + (hashed >> 34), pair(before, hashed)]
        before, padded = hashed, [0x2581, *word, 0x2581]
        for start in range(len(padded)):
            for n in range(1, 7):
                window = padded[start : start + n]
                if len(window) == n and window != [0x2581]:
                    keys.append(mix((add_up(window) + n * 0x39643AEB745FCB87) % WHOLE) >> 34)
    if not keys:
        return []
    keys.append(pair(before, 0x9AB21290D1EB8FE7))
    return keys + count_across([0x2581, *[code for word in filter(None, words) for code in (*word, 0x2581)]])


def count_across(line: list[int]) -> list[int]:
    """The keys of the windows of ``line`` that have a blank inside."""
    windows = [line[start : start + n] for start in range(len(line)) for n in range(3, 7) if start + n <= len(line)]
    across = [window for window in windows if 0x2581 in window[1:-1]]
    return [2**30 + (mix((add_up(window) + len(window) * 0x6C1F2B9D4E83A705) % WHOLE) >> 34) for window in across]


def keys_of(batch: PackedBatch, *, library: bool, threads: int = 1) -> list[npt.NDArray[np.uint32]]:
    keys, bounds = hash_ngrams(batch.ids, batch.offsets, make_spelling(), threads=threads, library=library)
    assert (keys.dtype, bounds.dtype, len(bounds)) == (np.uint32, np.int64, len(batch) + 1)
    assert (bounds[0], bounds[-1]) == (0, len(keys))
    return np.split(keys, bounds[1:-1])


@everywhere
@pytest.mark.parametrize("seed", range(4))
def test_keys_are_those_counted_plainly(library: bool, seed: int) -> None:
    batch = draw_texts(RAGGED, seed=seed)
    for text, found in enumerate(keys_of(batch, library=library)):
        ids = batch.ids[batch.offsets[text] : batch.offsets[text + 1]]
        assert found.tolist() == count_plainly([code for i in ids for code in CODES[i]])


@everywhere
def test_a_short_text_by_hand(library: bool) -> None:
    # " a" and "e": one word of two code points, with blanks around it windows of 2 + 3 + 2 + 1
    (found,) = keys_of(pack([[6, 7]]), library=library)
    assert len(found) == 8 + 3
    assert (found >> 30).tolist() == [2, 2, *[0] * 8, 2]
    assert len(set(found.tolist())) == 11
    # in other pieces it is the same text; blanks add nothing
    for same in ([2, 2, 6, 0, 7], [6, 7, 2], [0, 6, 7, 0, 0]):
        assert keys_of(pack([same]), library=library)[0].tolist() == found.tolist()
    # the order of code points, and of words, counts
    swapped, apart = keys_of(pack([[2, 7, 9], [6, 2, 7]]), library=library)
    assert sorted(swapped.tolist()) != sorted(found.tolist())
    # and "a e", " a e", "a e ", " a e " across words
    assert (apart >> 30).tolist() == [*[2, 2, 0, 0, 0, 0] * 2, 2, 1, 1, 1, 1]


@everywhere
@pytest.mark.parametrize("ids", [[], [0], [2], [2, 2, 0, 2]])
def test_a_text_without_words_has_none(library: bool, ids: list[int]) -> None:
    assert [len(found) for found in keys_of(pack([ids, [4], ids]), library=library)] == [0, 13 + 3, 0]


@everywhere
def test_no_texts_at_all(library: bool) -> None:
    keys, bounds = hash_ngrams(np.zeros(0, np.int32), np.zeros(1, np.int64), make_spelling(), library=library)
    assert (keys.tolist(), bounds.tolist()) == ([], [0])


@needs_library
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_library_equals_numpy(threads: int) -> None:
    for lengths in ([20_000], [3] * 100, [0] * 40 + [5000] + [1, 7, 0] * 30, RAGGED):
        batch = draw_texts(lengths, seed=len(lengths))
        wanted, found = (keys_of(batch, library=library, threads=threads) for library in (False, True))
        for one, other in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(one, other)


@everywhere
def test_a_word_as_long_as_its_text(library: bool) -> None:
    (found,) = keys_of(pack([[4] * 30_000]), library=library)
    assert len(found) == 6 * 90_002 - 15 - 2 + 3  # windows, without the two blanks; a word and two pairs
    other = hash_ngrams(*(pack([[4] * 30_000 + [5]]).ids, np.array([0, 30_001])), make_spelling(), library=library)[0]
    assert other[0] != found[0]


@everywhere
def test_texts_do_not_depend_on_one_another(library: bool) -> None:
    batch = draw_texts(RAGGED, seed=5)
    together = keys_of(batch, library=library)
    order = np.random.default_rng(0).permutation(len(batch))
    for place, found in zip(order, keys_of(batch.select(order), library=library), strict=True):
        np.testing.assert_array_equal(found, together[place])
        np.testing.assert_array_equal(found, keys_of(batch.select(np.array([place])), library=library)[0])


@everywhere
@pytest.mark.parametrize(
    ("ids", "offsets"),
    [
        ([1, 2], [0, 3]),
        ([1, 2], [0, 1]),
        ([1, 2], [1, 2]),
        ([1, 2], [0, 2, 1, 2]),
        ([1, 2], []),
        ([len(CODES)], [0, 1]),
        ([-1], [0, 1]),
    ],
)
def test_what_would_read_elsewhere_is_refused(library: bool, ids: list[int], offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets should"):
        hash_ngrams(np.array(ids, np.int32), np.array(offsets, np.int64), make_spelling(), library=library)


def test_other_layouts_and_kinds_of_ids_will_do() -> None:
    batch = draw_texts([50, 50])
    wanted, _ = hash_ngrams(batch.ids, batch.offsets, make_spelling())
    for ids in (np.repeat(batch.ids, 2)[::2], batch.ids.astype(np.uint16)):
        np.testing.assert_array_equal(hash_ngrams(ids, batch.offsets, make_spelling())[0], wanted)


def test_few_keys_are_the_same() -> None:
    # of n random 30-bit numbers some n^2 / 2^31 come twice
    texts = [[*map(int, f"{i:05d}")] for i in range(100_000)]
    batch = pack(texts)
    digits = Spelling(np.arange(0x30, 0x3A, dtype=np.uint32), np.arange(11))
    keys, bounds = hash_ngrams(batch.ids, batch.offsets, digits)
    words = keys[bounds[:-1]]
    assert len(words) - len(np.unique(words)) < 20  # 4.7 are expected
    pairs = keys[bounds[:-1] + 1]
    assert len(pairs) - len(np.unique(pairs)) < 20
    # windows of 1 to 5 digits, those at the start of a word and at its end, and whole words between blanks are another
    wanted = sum(10**n for n in range(1, 6)) + 2 * sum(10**n for n in range(1, 6))
    assert wanted - len(np.unique(keys[keys < 2**30])) < 100


def test_the_spelling_of_a_tokenizer(tokenizer: Tokenizer) -> None:
    spelling = Spelling.of(tokenizer)
    assert len(spelling) == len(tokenizer)
    text = "the kettle 환불"
    ids = tokenizer.encode_ids(text)
    spelled = [code for i in ids for code in spelling.codes[spelling.offsets[i] : spelling.offsets[i + 1]].tolist()]
    assert "".join(map(chr, spelled)) == "\u2581the\u2581kettle\u2581환불"
    unknown = tokenizer.unknown_id
    assert spelling.codes[spelling.offsets[unknown] : spelling.offsets[unknown + 1]].tolist() == [0xFFFD]
    control = [i for i in range(len(tokenizer)) if i != unknown and i not in tokenizer.list_pieces()]
    assert control
    assert all(spelling.offsets[i] == spelling.offsets[i + 1] for i in control)


def test_bytes_are_symbols_of_their_own() -> None:
    lines = [b"the kettle boils in two minutes", b"the blue one is sold out"] * 5
    options = {"num_threads": 1, "byte_fallback": True}
    tokenizer = train_tokenizer(lines, vocab_size=290, hard_vocab_limit=False, options=options).tokenizer
    spelling = Spelling.of(tokenizer)
    ids = tokenizer.encode_ids("the \u03b6")
    spelled = [code for i in ids for code in spelling.codes[spelling.offsets[i] : spelling.offsets[i + 1]].tolist()]
    assert spelled[-2:] == [0x110000 + byte for byte in "\u03b6".encode()]
    assert sorted(tokenizer.list_bytes().values()) == list(range(256))
