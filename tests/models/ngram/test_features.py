"""N-gram keys: fixed for saved models, defined in Python, and equal bit for bit in the C++ library."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import numpy.typing as npt
import pytest

from pieces import CODES, draw_texts, make_spelling
from textrnn.data.batch import PackedBatch, pack
from textrnn.models.ngram.features import Spelling, hash_ngrams, hash_text
from textrnn.native.library import is_available
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer

needs_library = pytest.mark.skipif(not is_available(), reason="the library was not compiled")
everywhere = pytest.mark.parametrize("library", [False, pytest.param(True, marks=needs_library)])
RAGGED = [3, 0, 1, 0, 40, 2, 257, 9, 1, 0]


def keys_of(batch: PackedBatch, *, library: bool, threads: int = 1) -> list[npt.NDArray[np.uint32]]:
    keys, bounds = hash_ngrams(batch.ids, batch.offsets, make_spelling(), threads=threads, library=library)
    assert (keys.dtype, bounds.dtype, len(bounds)) == (np.uint32, np.int64, len(batch) + 1)
    assert (bounds[0], bounds[-1]) == (0, len(keys))
    return np.split(keys, bounds[1:-1])


@everywhere
def test_the_keys_of_saved_models_never_change(library: bool) -> None:
    (found,) = keys_of(pack([[6, 2, 7]]), library=library)  # "a e"
    assert found.tolist() == [
        *(0x8002C6F1, 0xAFB91DC9, 0x281D8056, 0x069E7768, 0x390BC3E3, 0x25184A5B),
        *(0x88FF574F, 0x9C5826DF, 0x1B7EF147, 0x22CC3948, 0x1903C05D, 0x3C3F5707),
        *(0x8B8ED4E9, 0x44FA3917, 0x44597429, 0x4A92A4A5, 0x4EA4A714),
    ]


@everywhere
def test_the_keys_of_long_words_unknown_pieces_and_bytes_never_change(library: bool) -> None:
    texts = pack([[3, 17, 1, 14, 19], [5, 13, 16, 22, 8]])
    keys = np.concatenate(keys_of(texts, library=library)).astype("<u4")
    assert len(keys) == 100
    assert sha256(keys.tobytes()).hexdigest() == "1924ec107e0fd4442591b938b0bcb30dbfffd82c8f57d761e80abb0dfbf3f43f"


@everywhere
@pytest.mark.parametrize("seed", range(4))
def test_texts_have_the_keys_of_the_definition(library: bool, seed: int) -> None:
    batch = draw_texts(RAGGED, seed=seed)
    for text, found in enumerate(keys_of(batch, library=library)):
        ids = batch.ids[batch.offsets[text] : batch.offsets[text + 1]]
        assert found.tolist() == hash_text([code for i in ids for code in CODES[i]])


@everywhere
def test_keys_of_a_short_text_by_kind(library: bool) -> None:
    # " a" and "e": one word of two code points; with spaces around it, 2 + 3 + 2 + 1 windows
    (found,) = keys_of(pack([[6, 7]]), library=library)
    assert len(found) == 8 + 3
    assert (found >> 30).tolist() == [2, 2, *[0] * 8, 2]
    assert len(set(found.tolist())) == 11
    # other pieces spell the same text; more spaces add nothing
    for same in ([2, 2, 6, 0, 7], [6, 7, 2], [0, 6, 7, 0, 0]):
        assert keys_of(pack([same]), library=library)[0].tolist() == found.tolist()
    # the order of code points, and of words, counts
    swapped, apart = keys_of(pack([[2, 7, 9], [6, 2, 7]]), library=library)
    assert sorted(swapped.tolist()) != sorted(found.tolist())
    # and "a e", " a e", "a e ", " a e " across words
    assert (apart >> 30).tolist() == [*[2, 2, 0, 0, 0, 0] * 2, 2, 1, 1, 1, 1]


@everywhere
@pytest.mark.parametrize("ids", [[], [0], [2], [2, 2, 0, 2]])
def test_a_text_without_words_has_no_ngrams(library: bool, ids: list[int]) -> None:
    assert [len(found) for found in keys_of(pack([ids, [4], ids]), library=library)] == [0, 13 + 3, 0]


@everywhere
def test_no_texts_at_all(library: bool) -> None:
    keys, bounds = hash_ngrams(np.zeros(0, np.int32), np.zeros(1, np.int64), make_spelling(), library=library)
    assert (keys.tolist(), bounds.tolist()) == ([], [0])


@needs_library
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_library_equals_the_definition(threads: int) -> None:
    for lengths in ([4000], [3] * 100, [0] * 40 + [1000] + [1, 7, 0] * 30, RAGGED):
        batch = draw_texts(lengths, seed=len(lengths))
        expected, found = (keys_of(batch, library=library, threads=threads) for library in (False, True))
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(one, other)


@everywhere
def test_a_word_as_long_as_its_text(library: bool) -> None:
    (found,) = keys_of(pack([[4] * 5_000]), library=library)
    assert len(found) == 6 * 15_002 - 15 - 2 + 3  # windows without the two spaces; a word and two pairs
    other = hash_ngrams(*(pack([[4] * 5_000 + [5]]).ids, np.array([0, 5_001])), make_spelling(), library=library)[0]
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
def test_offsets_and_ids_out_of_range_are_refused(library: bool, ids: list[int], offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets should"):
        hash_ngrams(np.array(ids, np.int32), np.array(offsets, np.int64), make_spelling(), library=library)


def test_ids_may_have_other_layouts_and_dtypes() -> None:
    batch = draw_texts([50, 50])
    expected, _ = hash_ngrams(batch.ids, batch.offsets, make_spelling())
    for ids in (np.repeat(batch.ids, 2)[::2], batch.ids.astype(np.uint16)):
        np.testing.assert_array_equal(hash_ngrams(ids, batch.offsets, make_spelling())[0], expected)


def test_few_keys_collide() -> None:
    # about n^2 / 2^31 of n random 30-bit numbers collide
    texts = [[*map(int, f"{i:05d}")] for i in range(100_000)]
    batch = pack(texts)
    digits = Spelling(np.arange(0x30, 0x3A, dtype=np.uint32), np.arange(11))
    keys, bounds = hash_ngrams(batch.ids, batch.offsets, digits)
    words = keys[bounds[:-1]]
    assert len(words) - len(np.unique(words)) < 20  # 4.7 are expected
    pairs = keys[bounds[:-1] + 1]
    assert len(pairs) - len(np.unique(pairs)) < 20
    # windows of 1 to 5 digits inside a word, at its start and at its end
    expected = sum(10**n for n in range(1, 6)) + 2 * sum(10**n for n in range(1, 6))
    assert expected - len(np.unique(keys[keys < 2**30])) < 100


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


def test_byte_pieces_are_symbols_after_the_last_code_point() -> None:
    lines = [b"the kettle boils in two minutes", b"the blue one is sold out"] * 5
    options = {"num_threads": 1, "byte_fallback": True}
    tokenizer = train_tokenizer(lines, vocab_size=290, hard_vocab_limit=False, options=options).tokenizer
    spelling = Spelling.of(tokenizer)
    ids = tokenizer.encode_ids("the \u03b6")
    spelled = [code for i in ids for code in spelling.codes[spelling.offsets[i] : spelling.offsets[i + 1]].tolist()]
    assert spelled[-2:] == [0x110000 + byte for byte in "\u03b6".encode()]
    assert sorted(tokenizer.list_bytes().values()) == list(range(256))
