"""Added pieces: choosing words of a vectors file, and adding them to a trained SentencePiece model."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from textrnn.data.vectors.word_block import WordBlock
from textrnn.tokenization.tokenizer import META, Tokenizer

TYPES = ("unigram", "word")
"""The model types that accept new words. BPE reaches pieces only through merges, and char has no words."""

_LETTERS = re.compile(r"\w+")
_SPECIAL = re.compile(r"<.*>|\[.*\]")  # <unk>, </s>, [PAD]
_MAX_CHARACTERS = 100  # SentencePiece refuses pieces that are much longer
_MARGIN = 0.01  # score above the best split, per character


def count_words(texts: Iterable[list[bytes]], tokenizer: Tokenizer) -> Counter[str]:
    """Count the words of texts in UTF-8, normalized, and also the letters that a word starts with.

    ``refund,`` counts as ``refund,`` and as ``refund``: either could be a piece.
    """
    words = Counter(word for batch in texts for text in batch for word in text.decode(errors="replace").split())
    counts: Counter[str] = Counter()
    for word, count in words.items():
        normal = tokenizer.normalize(word)
        counts[normal] += count
        if (letters := _LETTERS.match(normal)) and letters[0] != normal:
            counts[letters[0]] += count
    return counts


def choose_words(
    blocks: Iterable[WordBlock], counts: Mapping[str, int], tokenizer: Tokenizer, *, limit: int
) -> list[str]:
    """Return at most ``limit`` words of ``blocks`` that would be useful new pieces of ``tokenizer``.

    Up to half of them are the most frequent words of the text by ``counts``, if the file has them, possibly in lower
    case. The rest are the first words of the file, since published files are sorted by frequency, and then more words
    of the text. All contain a letter and are normalized. If the file has no word of the text, it is of another
    language, and the result is empty.
    """
    spellings: dict[bytes, list[str]] = {}
    for word in counts:
        for form in {word, word.lower()}:
            spellings.setdefault(form.encode(), []).append(word)
    of_text: dict[str, None] = {}
    of_file: dict[str, None] = {}
    pieces = set(tokenizer.list_pieces().values())

    def is_useful(word: str) -> bool:
        return (
            any(map(str.isalpha, word))
            and META + word not in pieces
            and not _SPECIAL.fullmatch(word)
            and len(word) <= _MAX_CHARACTERS
            and "\0" not in word
            and tokenizer.normalize(word) == word
        )

    same_language = False
    for block in blocks:
        for data in block.words:
            if words := spellings.pop(data, None):
                same_language = True
                of_text.update(dict.fromkeys(filter(is_useful, words)))
            if len(of_file) < limit and is_useful(word := data.decode()):
                of_file[word] = None
    if not same_language:
        return []
    ranked = sorted(of_text, key=lambda word: (-counts[word], word))
    half = limit // 2
    return [*dict.fromkeys([*ranked[:half], *of_file, *ranked[half:]])][:limit]


def add_words(tokenizer: Tokenizer, words: Iterable[str]) -> bytes:
    """Return the model of ``tokenizer`` with a new piece U+2581 + word for each of ``words``.

    Existing pieces keep their ids and scores. A word scores 0.01 per character more than its best split, so it becomes
    one piece, and the longest of several words wins. SentencePiece's trainer cannot do that: its unigram model never
    makes a piece of a substring that occurs in one word only, however frequent.
    """
    scores = tokenizer.list_scores()
    unknown = min(scores.values(), default=0.0) - 10.0  # SentencePiece's score of the unknown piece
    entries = []
    for word in words:
        best = sum(scores.get(piece, unknown) for piece in tokenizer.encode_ids(word))
        entries.append(_encode_piece(META + word, best + _MARGIN * len(word)))
    # appending to a serialized protocol buffer adds to its repeated fields; pieces are field 1 of ModelProto
    return tokenizer.model + b"".join(entries)


def _encode_piece(piece: str, score: float) -> bytes:
    """Return field 1 of SentencePiece's ModelProto: a piece with field 1, the text, and field 2, the score."""
    text = piece.encode()
    body = b"\x0a" + bytes(_encode_varint(len(text))) + text + b"\x15" + struct.pack("<f", score)
    return b"\x0a" + bytes(_encode_varint(len(body))) + body


def _encode_varint(number: int) -> Iterator[int]:
    while number > 127:
        yield number & 127 | 128
        number >>= 7
    yield number
