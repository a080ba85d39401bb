"""The ids and pieces that are read of long texts."""

from __future__ import annotations

import numpy as np
import pytest

from textrnn.data.windows import Windows
from textrnn.tokenization.long_texts import MAX_PART
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.window_encoding import encode_and_count, encode_window_pieces, encode_windows

TEXTS = ["my parcel is late again", "", "the kettle boils " * 30, "the blue one is sold out " * 200]
ALL = [Windows(9, 1), Windows(9, 3), Windows(9, None)]


@pytest.mark.parametrize("windows", ALL)
def test_the_windows_of_the_whole_ids_are_encoded(tokenizer: Tokenizer, windows: Windows) -> None:
    whole = [tokenizer.encode_ids(text) or [tokenizer.unknown_id] for text in TEXTS]
    lengths = np.array([*map(len, whole)])
    expected = windows.keep(np.concatenate(whole).astype(np.int32), lengths)
    for texts in (TEXTS, [text.encode() for text in TEXTS]):
        ids, read = encode_windows(tokenizer, texts, windows)
        assert (ids.tolist(), read.tolist()) == (expected[0].tolist(), expected[1].tolist())
    ids, read, counts = encode_and_count(tokenizer, [text.encode() for text in TEXTS], windows)
    assert (ids.tolist(), read.tolist()) == (expected[0].tolist(), expected[1].tolist())
    assert counts.tolist() == lengths.tolist()


@pytest.mark.parametrize("windows", ALL)
def test_pieces_are_those_of_the_ids(tokenizer: Tokenizer, windows: Windows) -> None:
    names = tokenizer.list_pieces()
    for text in TEXTS[2:]:
        ids, _ = encode_windows(tokenizer, [text], windows)
        assert encode_window_pieces(tokenizer, text, windows) == [names[index] for index in ids.tolist()]
    assert encode_window_pieces(tokenizer, "", windows) == []


def test_parts_of_a_very_long_text_have_the_ids_of_the_text(tokenizer: Tokenizer) -> None:
    sentence = "the blue one is sold out "
    times = 3 * MAX_PART // len(sentence)
    own, windows = tokenizer.encode_ids(sentence), Windows(9, 3)
    ids, read, counts = encode_and_count(
        tokenizer, [b"tea", (sentence * times).encode(), b" " * (MAX_PART + 1)], windows
    )
    assert counts.tolist()[1:] == [len(own) * times, 1]
    tea = len(tokenizer.encode_ids("tea"))
    middle = (len(own) * times - 9) // 2 % len(own)
    assert ids.tolist()[tea:-1] == [*(own * 9)[:9], *(own * 9)[middle : middle + 9], *(own * 9)[-9:]]
    assert read.tolist() == [tea, 27, 1]
    assert len(encode_window_pieces(tokenizer, sentence * times, Windows(9, None))) == len(own) * times
