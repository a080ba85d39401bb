"""Facts about a SentencePiece model, read from its file.

The file is a Protocol Buffers message, ModelProto in SentencePiece's sentencepiece_model.proto. Its few fields are read
here, without a package for the format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from textrnn.tokenization.tokenizer import Tokenizer

_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3  # fields of ModelProto
_TEXT, _TYPE = 1, 3  # fields of a piece
_USER_DEFINED = 4  # a type of piece
_MODEL_TYPE, _BYTE_FALLBACK = 3, 35  # fields of TrainerSpec
_NAME, _REMOVE_SPACES = 1, 4  # fields of NormalizerSpec
_TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}


@dataclass(frozen=True)
class TokenizerFacts:
    """Facts about a tokenizer of ``size`` bytes; ``pieces`` counts its vocabulary, with control and byte pieces.

    ``normalization`` is SentencePiece's name of the rules, such as ``nmt_nfkc``; ``keeps_spaces``: repeated spaces are
    not merged.
    """

    type: str
    pieces: int
    normalization: str
    keeps_spaces: bool
    byte_fallback: bool
    user_defined_symbols: tuple[str, ...]
    size: int


def describe_tokenizer(tokenizer: Tokenizer) -> TokenizerFacts:
    """Return the facts about ``tokenizer``."""
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    symbols = []
    for number, value in _read_fields(tokenizer.model):
        if not isinstance(value, bytes):
            continue
        if number == _PIECES:
            piece = dict(_read_fields(value))
            if piece.get(_TYPE) == _USER_DEFINED:
                symbols.append(_to_text(piece.get(_TEXT)))
        elif number in (_TRAINER, _NORMALIZER):
            (trainer if number == _TRAINER else normalizer).update(_read_fields(value))
    return TokenizerFacts(
        type=_TYPES.get(int(trainer.get(_MODEL_TYPE, 1)), "unknown"),
        pieces=len(tokenizer),
        normalization=_to_text(normalizer.get(_NAME)) or "unnamed",
        keeps_spaces=not normalizer.get(_REMOVE_SPACES, 1),
        byte_fallback=bool(trainer.get(_BYTE_FALLBACK, 0)),
        user_defined_symbols=tuple(symbols),
        size=len(tokenizer.model),
    )


def _to_text(value: int | bytes | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a valid ``message``: an integer, or bytes (of a float, too)."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _read_varint(message, at)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            size, at = _read_varint(message, at)
        yield key >> 3, message[at : at + size]
        at += size


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the integer at ``at``, and where it ends."""
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
