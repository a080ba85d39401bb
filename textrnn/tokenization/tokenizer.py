"""A SentencePiece model: reading, encoding, decoding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import sentencepiece

from textrnn.data.batch import gather_index, make_offsets
from textrnn.errors import TokenizerError
from textrnn.tokenization.long_texts import MAX_PART, check_memory, cut, join_words, list_parts
from textrnn.tokenization.word_cache import Encoded, WordCache

MAX_NBEST = 512
"""The most segmentations that SentencePiece ranks."""
META = "\u2581"
"""The character that SentencePiece writes for a space."""
_BYTES_PER_PIECE = 16  # far more than a piece has in most texts
_MARGIN = 64  # pieces; so far before the end of a part, where it ends changes nothing
_FIRST_TEXTS = 512  # SentencePiece encodes fewer texts in the time that it takes to open the cache of words
_CHECKED_TEXTS = 64  # that are encoded with and without the cache at first
_MIN_TEXTS = 8  # of a call; SentencePiece encodes fewer in the time that a call of the cache takes
_RETURNS_ARRAYS = hasattr(sentencepiece.SentencePieceProcessor, "EncodeAsNumpy")  # newer versions only


class Tokenizer:
    """A SentencePiece model; ``name`` appears in error messages.

    Raises:
        TokenizerError: ``model`` is not a SentencePiece model.
    """

    def __init__(self, model: bytes, *, name: object) -> None:
        if not model:
            raise TokenizerError(f"{name}: empty file, not a SentencePiece model")
        self.model = model
        self._texts_seen = 0
        self._words: WordCache | None = None
        self._is_words_open = False
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except (RuntimeError, ValueError):
            raise TokenizerError(f"{name}: not a SentencePiece model") from None

    @classmethod
    def read(cls, path: Path) -> Tokenizer:
        """Read the ``.model`` file at ``path``; raises TokenizerError if that fails."""
        try:
            return cls(path.read_bytes(), name=path)
        except FileNotFoundError:
            raise TokenizerError(f"{path}: no such tokenizer; train one with 'textrnn spm-train'") from None
        except OSError as error:
            raise TokenizerError(f"{path}: cannot be read ({error.strerror})") from None

    def __len__(self) -> int:
        return int(self._processor.vocab_size())

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the model and the library version: equal fingerprints give equal ids."""
        from hashlib import blake2b  # noqa: PLC0415 - prediction does not need it

        return blake2b(self.model + sentencepiece.__version__.encode(), digest_size=16).hexdigest()

    @cached_property
    def kind(self) -> str:
        """``unigram``, ``bpe``, or ``word or char``, which have a single segmentation of each text."""
        try:
            self._processor.encode("a", enable_sampling=True, nbest_size=-1, alpha=0.1)
        except RuntimeError:
            return "word or char"
        # the score of a BPE merge is its negative rank; that of a unigram piece is a log probability
        return "bpe" if all(score.is_integer() for score in self.list_scores().values()) else "unigram"

    @property
    def unknown_id(self) -> int:
        """The id of the unknown piece."""
        return int(self._processor.unk_id())

    def encode_ids(self, text: str) -> list[int]:
        """Return the ids of ``text``; blank text has none."""
        check_memory(text)
        ids: list[int] = self._processor.encode(text)
        return ids

    def encode_pieces(self, text: str, *, max_length: int | None = None) -> list[str]:
        """Return the pieces of ``text``, the first ``max_length`` if given.

        Joined, with spaces for U+2581, they are the normalized text.
        """
        if max_length is not None:
            text = self._shorten(text.encode(), max_length).decode()
        check_memory(text)
        pieces: list[str] = self._processor.encode(text, out_type=str)
        return pieces[:max_length]

    def encode_all(self, texts: Sequence[str], *, max_length: int) -> list[list[int]]:
        """Return the ids of each text, truncated to ``max_length``.

        Blank text becomes one unknown piece: no sequence is empty.
        """
        ids, lengths = self.encode_packed(texts, max_length=max_length)
        return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])] if texts else []

    def encode_packed(self, texts: Sequence[str] | Sequence[bytes], *, max_length: int | None = None) -> Encoded:
        """Return the ids of :meth:`encode_all` end to end (N,) int32, and their lengths (B,) int64.

        Without ``max_length`` the texts are not truncated, and those longer than MAX_PART are encoded in parts.
        ``texts`` may be in UTF-8. It runs on one thread and mostly without the interpreter's lock: several threads can
        encode at the same time. They share a cache of words (:class:`textrnn.tokenization.word_cache.WordCache`), which
        changes no id.
        """
        if max_length is None:
            parts = [list_parts(_to_bytes(text)) for text in texts]
            counts = np.fromiter(map(len, parts), np.int64, len(parts))
            ids, lengths = self.encode_packed([*chain.from_iterable(parts)], max_length=np.iinfo(np.int32).max)
            return ids, np.add.reduceat(lengths, make_offsets(counts)[:-1]) if parts else lengths
        self._texts_seen += len(texts)
        if len(texts) < _MIN_TEXTS or self._texts_seen < _FIRST_TEXTS or max_length < 1:
            return self._encode_whole(texts, max_length)
        try:
            encoded = [_to_bytes(text) for text in texts]
        except UnicodeEncodeError:  # lone surrogates, which SentencePiece refuses
            return self._encode_whole(texts, max_length)
        if max(map(len, encoded)) > MAX_PART or (words := self._open_words(encoded, max_length)) is None:
            return self._encode_whole(texts, max_length)
        return self._encode_words(words, encoded, max_length)

    def _open_words(self, texts: list[bytes], max_length: int) -> WordCache | None:
        """Return the cache of words, or None if it does not encode the first texts as this SentencePiece does."""
        if not self._is_words_open:
            words, first = WordCache.open(self.model), texts[:_CHECKED_TEXTS]
            if words is not None:
                mine, theirs = self._encode_words(words, first, max_length), self._encode_whole(first, max_length)
                if not (np.array_equal(mine[0], theirs[0]) and np.array_equal(mine[1], theirs[1])):
                    words = None
            self._words, self._is_words_open = words, True
        return self._words

    def _encode_words(self, words: WordCache, texts: list[bytes], max_length: int) -> Encoded:
        ids, lengths = words.encode(texts, self._encode, max_length=max_length, unknown=self.unknown_id)
        whole = np.flatnonzero(lengths < 0)
        if not len(whole):
            return ids, lengths
        return _insert((ids, lengths), self._encode_whole([texts[i] for i in whole], max_length), whole)

    def _encode_whole(self, texts: Sequence[str] | Sequence[bytes], max_length: int) -> Encoded:
        """Return what :meth:`encode_packed` does, without the cache."""
        short = 2 * _BYTES_PER_PIECE * max_length
        ids, lengths = self._encode([text if len(text) <= short else self._shorten(text, max_length) for text in texts])
        if len(lengths) and (lengths.max() > max_length or lengths.min() == 0):
            return _truncate(ids, lengths, max_length=max_length, unknown=self.unknown_id)
        return ids, lengths

    def _encode(self, texts: Sequence[str | bytes]) -> Encoded:
        """Return SentencePiece's ids of all texts end to end (N,) int32, and their lengths (B,) int64."""
        encode = partial(self._processor.encode, num_threads=1, out_type="numpy" if _RETURNS_ARRAYS else int)
        # a list starts a thread, which takes a millisecond
        encoded = [*map(encode, texts)] if len(texts) < _MIN_TEXTS else encode(cast("list[bytes]", texts))
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        if _RETURNS_ARRAYS:
            return np.frombuffer(b"".join(encoded), np.int32), lengths
        return np.fromiter(chain.from_iterable(encoded), np.int32, int(lengths.sum())), lengths

    def count_pieces(self, texts: Sequence[bytes]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the number of pieces (B,) of each text in UTF-8, at least 1, and of unknown ones (B,)."""
        if not texts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        if max(map(len, texts)) > MAX_PART:  # the ids of all parts together may be too many
            sums = [np.sum([self.count_pieces([part]) for part in list_parts(text)], axis=0) for text in texts]
            counts, unknown = np.concatenate(sums, axis=1)
            return counts, unknown
        ids, lengths = self.encode_packed(texts)
        starts = np.cumsum(lengths) - lengths
        return lengths, np.add.reduceat((ids == self.unknown_id).astype(np.int64), starts)

    def _shorten(self, text: str | bytes, max_length: int) -> bytes:
        """Return the beginning of ``text`` that has its first ``max_length`` pieces, in UTF-8.

        If MAX_PART bytes have fewer pieces, it is the first words, joined by single spaces.
        """
        least = _BYTES_PER_PIECE * max(max_length, _MARGIN)
        most = max(least, MAX_PART)
        head = _to_bytes(text[: 2 * most + 1])  # the whole of shorter texts
        for size in (least, min(8 * least, most), most):
            if len(head) <= 2 * size:
                return head
            part = head[: cut(head, size)]
            if len(self._processor.encode(part)) >= max_length + _MARGIN:
                return part
        return join_words(_to_bytes(text), most)

    def sample(self, text: str, *, ids: bool, nbest_size: int, alpha: float) -> list[int] | list[str]:
        """Draw a segmentation of ``text``: unigram with smoothing ``alpha`` among the ``nbest_size`` best (-1: all),
        BPE with dropout ``alpha``.

        Raises:
            TokenizerError: a word or char model has a single segmentation.
        """
        check_memory(text)
        try:
            drawn: list[int] | list[str] = self._processor.encode(
                text, out_type=int if ids else str, enable_sampling=True, nbest_size=nbest_size, alpha=alpha
            )
        except RuntimeError:
            raise TokenizerError("this tokenizer cannot sample; unigram and bpe tokenizers can") from None
        return drawn

    def decode(self, pieces: Sequence[str] | Sequence[int]) -> str:
        """Return the text of pieces or ids; raises TokenizerError if an id is not in the vocabulary."""
        for piece in pieces:
            if isinstance(piece, int) and not 0 <= piece < len(self):
                raise TokenizerError(f"id {piece} is not in the vocabulary (0 to {len(self) - 1})")
        return str(self._processor.decode([*pieces]))

    def normalize(self, text: str) -> str:
        """Return the normalized ``text``, which is also what decoding its pieces gives."""
        return str(self._processor.normalize(text)).replace(META, " ").strip(" ")

    def list_pieces(self) -> dict[int, str]:
        """Return the pieces of text by id, without control, byte, unknown and unused pieces."""
        spm, ids = self._processor, list(range(len(self)))
        properties = (spm.id_to_piece, spm.is_control, spm.is_byte, spm.is_unknown, spm.is_unused)
        rows = zip(*(read(ids) for read in properties), strict=True)
        return {i: piece for i, (piece, *special) in enumerate(rows) if not any(special)}

    def list_scores(self) -> dict[int, float]:
        """Return the score of each piece of :meth:`list_pieces` by id."""
        return {i: float(self._processor.get_score(i)) for i in self.list_pieces()}

    def list_bytes(self) -> dict[int, int]:
        """Return the byte of each byte-fallback piece (``<0x41>``) by id."""
        spm = self._processor
        are_bytes = spm.is_byte(list(range(len(self))))
        return {i: int(spm.id_to_piece(i)[3:5], 16) for i, is_byte in enumerate(are_bytes) if is_byte}

    def list_words(self) -> dict[int, str]:
        """Return the word of each whole-word piece by id: it starts or ends with a space, or has no letter."""
        words = {}
        for i, piece in self.list_pieces().items():
            word = piece.strip(META)
            if word and (word != piece or not any(map(str.isalpha, word))):
                words[i] = word
        return words

    def format_vocab(self) -> str:
        """Return the content of a ``.vocab`` file: a line ``piece<TAB>score`` for each piece."""
        spm = self._processor
        return "".join(f"{spm.id_to_piece(i)}\t{spm.get_score(i):g}\n" for i in range(len(self)))


def _to_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _truncate(ids: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64], *, max_length: int, unknown: int) -> Encoded:
    """Truncate each text to ``max_length`` ids, and give an empty text one unknown piece."""
    kept = np.clip(lengths, 1, max_length)
    starts = np.repeat(np.cumsum(lengths) - lengths, kept)
    within = np.arange(len(starts)) - np.repeat(np.cumsum(kept) - kept, kept)
    padded = np.append(ids, np.int32(unknown))
    index = np.where(np.repeat(lengths == 0, kept), len(ids), starts + within)
    return padded[index], kept


def _insert(kept: Encoded, more: Encoded, places: npt.NDArray[np.intp]) -> Encoded:
    """Return the texts ``kept``, whose lengths are -1 at ``places``, with those of ``more`` there."""
    lengths = np.concatenate([kept[1][kept[1] >= 0], more[1]])
    order = np.concatenate([np.flatnonzero(kept[1] >= 0), places])
    rows = np.empty_like(order)
    rows[order] = np.arange(len(order))
    _, index = gather_index(make_offsets(lengths), rows)
    return np.concatenate([kept[0], more[0]])[index], lengths[rows]
