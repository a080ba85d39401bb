"""SentencePiece: training a model from lines of text, reading one, encoding and decoding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import sentencepiece

from textrnn.errors import TokenizerError

MAX_NBEST = 512
"""The most segmentations that SentencePiece ranks."""
_META = "\u2581"  # SentencePiece writes a blank so
_RETURNS_ARRAYS = hasattr(sentencepiece.SentencePieceProcessor, "EncodeAsNumpy")  # newer versions do


class Tokenizer:
    """A SentencePiece model.

    Raises:
        TokenizerError: ``model`` is not one.
    """

    def __init__(self, model: bytes, *, name: object) -> None:
        if not model:
            raise TokenizerError(f"{name}: not a SentencePiece model (it is empty)")
        self.model = model
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except (RuntimeError, ValueError):
            raise TokenizerError(f"{name}: not a SentencePiece model") from None

    @classmethod
    def read(cls, path: Path) -> Tokenizer:
        """Read the ``.model`` file at ``path``; raises TokenizerError where that cannot be done."""
        try:
            return cls(path.read_bytes(), name=path)
        except FileNotFoundError:
            raise TokenizerError(f"{path}: no such tokenizer; 'textrnn spm-train' makes one") from None
        except OSError as error:
            raise TokenizerError(f"{path}: cannot be read ({error.strerror})") from None

    def __len__(self) -> int:
        return int(self._processor.vocab_size())

    def encode_ids(self, text: str) -> list[int]:
        """Return the ids of ``text``; none where it is blank."""
        ids: list[int] = self._processor.encode(text)
        return ids

    def encode_all(self, texts: Sequence[str], *, max_length: int) -> list[list[int]]:
        """Return the ids of each text, cut to ``max_length``, computed on all cores.

        A text without any becomes one unknown piece, so that no sequence is empty.
        """
        unknown = [self._processor.unk_id()]
        return [ids[:max_length] or unknown for ids in self._processor.encode(list(texts), num_threads=-1)]

    def encode_packed(
        self, texts: Sequence[str] | Sequence[bytes], *, max_length: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return what :meth:`encode_all` does of texts, as bytes in UTF-8: their ids end to end, and each's length.

        One thread computes it, without Python's lock for most of the time, so that several can do so at once.
        """
        encoded = self._processor.encode(
            cast("list[bytes]", list(texts)), num_threads=1, out_type="numpy" if _RETURNS_ARRAYS else int
        )
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        if _RETURNS_ARRAYS:
            ids = np.frombuffer(b"".join(encoded), np.int32)
        else:
            ids = np.fromiter(chain.from_iterable(encoded), np.int32, int(lengths.sum()))
        if len(lengths) and (lengths.max() > max_length or lengths.min() == 0):
            return _cut(ids, lengths, max_length=max_length, unknown=self._processor.unk_id())
        return ids, lengths

    def count_pieces(self, texts: Sequence[bytes]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return how many pieces each text in UTF-8 has (B,), 1 at least, and how many of them are unknown (B,)."""
        if not texts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        ids, lengths = self.encode_packed(texts, max_length=np.iinfo(np.int32).max)
        starts = np.cumsum(lengths) - lengths
        return lengths, np.add.reduceat((ids == self._processor.unk_id()).astype(np.int64), starts)

    @cached_property
    def fingerprint(self) -> str:
        """A name for the model and for what computes with it: the same name, the same ids."""
        return blake2b(self.model + sentencepiece.__version__.encode(), digest_size=16).hexdigest()

    def encode_pieces(self, text: str) -> list[str]:
        """Return the pieces of ``text``; joined, with U+2581 for a blank, they give the normalised text."""
        pieces: list[str] = self._processor.encode(text, out_type=str)
        return pieces

    def sample(self, text: str, *, ids: bool, nbest_size: int, alpha: float) -> list[int] | list[str]:
        """Draw a segmentation of ``text``: by ``alpha`` among ``nbest_size`` (unigram), or by BPE dropout ``alpha``.

        Raises:
            TokenizerError: the model is of a type that has one segmentation only.
        """
        try:
            drawn: list[int] | list[str] = self._processor.encode(
                text, out_type=int if ids else str, enable_sampling=True, nbest_size=nbest_size, alpha=alpha
            )
        except RuntimeError:
            raise TokenizerError("this tokenizer cannot sample; unigram and bpe tokenizers can") from None
        return drawn

    @cached_property
    def kind(self) -> str:
        """``unigram``, ``bpe``, or ``word or char``: the latter have one segmentation of a text only."""
        try:
            self._processor.encode("a", enable_sampling=True, nbest_size=-1, alpha=0.1)
        except RuntimeError:
            return "word or char"
        # a merge's score is minus its rank; a unigram's is the logarithm of a probability
        return "bpe" if all(score.is_integer() for score in self.list_scores().values()) else "unigram"

    def list_scores(self) -> dict[int, float]:
        """Return the score of each of :meth:`list_pieces`, by its id."""
        return {i: float(self._processor.get_score(i)) for i in self.list_pieces()}

    @property
    def unknown_id(self) -> int:
        """The id of the unknown piece."""
        return int(self._processor.unk_id())

    def decode(self, pieces: Sequence[str] | Sequence[int]) -> str:
        """Return the text of pieces or of ids.

        Raises:
            TokenizerError: an id is not in the vocabulary.
        """
        for piece in pieces:
            if isinstance(piece, int) and not 0 <= piece < len(self):
                raise TokenizerError(f"id {piece} is not in the vocabulary (0 to {len(self) - 1})")
        return str(self._processor.decode([*pieces]))

    def normalize(self, text: str) -> str:
        """Return ``text`` as the model sees it, which is what decoding its pieces gives."""
        return str(self._processor.normalize(text)).replace(_META, " ").strip(" ")

    def list_pieces(self) -> dict[int, str]:
        """Return the pieces that stand for text, by their ids: all but those for control, bytes and what is unknown."""
        spm, ids = self._processor, list(range(len(self)))
        listed = (spm.id_to_piece, spm.is_control, spm.is_byte, spm.is_unknown, spm.is_unused)
        rows = zip(*(of(ids) for of in listed), strict=True)
        return {i: piece for i, (piece, *special) in enumerate(rows) if not any(special)}

    def list_bytes(self) -> dict[int, int]:
        """Return the byte of each piece that stands for one (``<0x41>``), by its id: of byte fallback."""
        spm = self._processor
        are_bytes = spm.is_byte(list(range(len(self))))
        return {i: int(spm.id_to_piece(i)[3:5], 16) for i, is_byte in enumerate(are_bytes) if is_byte}

    def list_words(self) -> dict[int, str]:
        """Return the word of each piece that is a whole one, by its id: it has a blank at an end, or no letter."""
        words = {}
        for i, piece in self.list_pieces().items():
            word = piece.strip(_META)
            if word and (word != piece or not any(map(str.isalpha, word))):
                words[i] = word
        return words

    def format_vocab(self) -> str:
        """Return the content of a ``.vocab`` file: a line ``piece<TAB>score`` for each piece."""
        spm = self._processor
        return "".join(f"{spm.id_to_piece(i)}\t{spm.get_score(i):g}\n" for i in range(len(self)))


def _cut(
    ids: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64], *, max_length: int, unknown: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Cut each text to ``max_length`` and put one unknown piece where a text has none."""
    cut = np.clip(lengths, 1, max_length)
    starts = np.repeat(np.cumsum(lengths) - lengths, cut)
    within = np.arange(len(starts)) - np.repeat(np.cumsum(cut) - cut, cut)
    padded = np.append(ids, np.int32(unknown))
    index = np.where(np.repeat(lengths == 0, cut), len(ids), starts + within)
    return padded[index], cut
