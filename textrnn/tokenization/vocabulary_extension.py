"""Words of a vectors file as pieces of a tokenizer: which of them are worth it, and how a trained model gets them."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from textrnn.data.word_vectors import WordBlock
from textrnn.tokenization.tokenizer import Tokenizer

TYPES = ("unigram", "word")
"""The kinds of tokenizer that take words in. BPE reaches a piece by its merges only, and char has no words."""

_META = "\u2581"  # SentencePiece writes a blank so
_START = re.compile(r"\w+")
_MARK = re.compile(r"<.*>|\[.*\]")  # <unk>, </s>, [PAD]: no words of a text
_LONGEST = 100  # characters of a word: SentencePiece refuses pieces that are much longer
_MARGIN = 0.01  # above the best split, for each character


def count_words(texts: Iterable[list[bytes]], tokenizer: Tokenizer) -> Counter[str]:
    """Count what could be a piece at the beginning of a word: what lies between blanks, and the letters that begin it.

    Of ``refund,`` that is the whole and ``refund``. They are counted as ``tokenizer`` normalises them; the texts are
    in UTF-8.
    """
    whole = Counter(word for batch in texts for text in batch for word in text.decode(errors="replace").split())
    counts: Counter[str] = Counter()
    for word, count in whole.items():
        normal = tokenizer.normalize(word)
        counts[normal] += count
        if (start := _START.match(normal)) and start[0] != normal:
            counts[start[0]] += count
    return counts


def choose_words(
    blocks: Iterable[WordBlock], counts: Mapping[str, int], tokenizer: Tokenizer, *, limit: int
) -> list[str]:
    """Return at most ``limit`` words of ``blocks`` that are no pieces of ``tokenizer`` and would be useful ones.

    Half of them at most are words of the text, the most frequent by ``counts``: as they stand, if the file has them so
    or in lower case. The others are the file's first: published files are sorted by frequency. Where these are too few,
    more of the text follow. All have a letter, and the normalisation leaves them as they are. There are none where the
    text has no word of the file, which must be of another language.
    """
    wanted: dict[bytes, list[str]] = {}
    for word in counts:
        for form in {word, word.lower()}:
            wanted.setdefault(form.encode(), []).append(word)
    of_text: dict[str, None] = {}
    of_file: dict[str, None] = {}
    is_new, meets = _News(tokenizer), False
    for block in blocks:
        for found in block.words:
            if words := wanted.pop(found, None):
                meets = True
                of_text.update(dict.fromkeys(filter(is_new, words)))
            if len(of_file) < limit and is_new(word := found.decode()):
                of_file[word] = None
    if not meets:
        return []
    ranked = sorted(of_text, key=lambda word: (-counts[word], word))
    half = limit // 2
    return [*dict.fromkeys([*ranked[:half], *of_file, *ranked[half:]])][:limit]


class _News:
    """Whether a word would be a useful piece that ``tokenizer`` has not."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._normalize, self._pieces = tokenizer.normalize, set(tokenizer.list_pieces().values())

    def __call__(self, word: str) -> bool:
        return (
            any(map(str.isalpha, word))
            and _META + word not in self._pieces
            and not _MARK.fullmatch(word)
            and len(word) <= _LONGEST
            and "\0" not in word
            and self._normalize(word) == word
        )


def add_words(tokenizer: Tokenizer, words: Iterable[str]) -> bytes:
    """Return the model of ``tokenizer`` with a piece U+2581 + word for each of ``words``, none of which it has.

    The pieces that it has keep their ids and scores. A word's score is a little more than that of its best split
    (0.01 for each character), so that the word is one piece, whatever others are added: of two that a text begins with,
    the longer one has more. SentencePiece's trainer would not do: a unigram model takes no substring for a piece that
    only one word of its text holds, however frequent.
    """
    scores = tokenizer.list_scores()
    unknown = min(scores.values(), default=0.0) - 10.0  # as SentencePiece counts what has no piece
    entries = []
    for word in words:
        best = sum(scores.get(piece, unknown) for piece in tokenizer.encode_ids(word))
        entries.append(_write_piece(_META + word, best + _MARGIN * len(word)))
    # a message of Protocol Buffers is extended by what is written behind it: ModelProto's pieces are its field 1
    return tokenizer.model + b"".join(entries)


def _write_piece(piece: str, score: float) -> bytes:
    """Return field 1 of SentencePiece's ModelProto, a piece with its fields 1, the text, and 2, the score."""
    text = piece.encode()
    body = b"\x0a" + bytes(_write_number(len(text))) + text + b"\x15" + struct.pack("<f", score)
    return b"\x0a" + bytes(_write_number(len(body))) + body


def _write_number(number: int) -> Iterator[int]:
    """Yield ``number`` as a varint: seven bits a byte, the lowest first, the top bit set in all but the last."""
    while number > 127:
        yield number & 127 | 128
        number >>= 7
    yield number
