"""Pretrained word vectors as initial rows of the embedding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from textrnn.data.cache import Cache, make_key
from textrnn.data.encoded import Corpus
from textrnn.data.vectors.word_block import Vectors, WordBlock
from textrnn.data.word_vectors import check_vectors, digest_vectors, open_composer, read_vectors
from textrnn.errors import DataError
from textrnn.tokenization.tokenizer import META, Tokenizer

_VALUES, _PIECES = "values", "pieces"


@dataclass(frozen=True)
class PieceVectors:
    """Initial embedding rows ``values`` (R, D) float32 of the ``pieces`` (R,) int64, ascending."""

    pieces: npt.NDArray[np.int64]
    values: Vectors
    note: str

    @property
    def width(self) -> int:
        """D, which is also that of the embedding; additional columns gave no gain (docs/results/word-vectors.md)."""
        return int(self.values.shape[1])

    @torch.no_grad()
    def initialize(self, weight: Tensor) -> None:
        """Write the values into the embedding's ``weight`` (V, D); all other rows keep their random values."""
        weight[torch.from_numpy(self.pieces)] = torch.from_numpy(self.values)


class FrozenRows:
    """The rows of an embedding (V, D) on ``device`` that come from ``vectors``, and that no step changes."""

    def __init__(self, vectors: PieceVectors, V: int, device: torch.device) -> None:
        self._is_frozen = torch.zeros(V, dtype=torch.bool)
        self._is_frozen[torch.from_numpy(vectors.pieces)] = True
        self._is_frozen = self._is_frozen.to(device)

    @contextmanager
    def preserved(self, weight: Tensor, rows: Tensor, gradient: Tensor) -> Iterator[None]:
        """Preserve frozen rows while the block changes the ``rows`` (R,) int64 of ``weight`` by ``gradient`` (R, D).

        Sets their gradients to 0, for the sake of the gradient norm and the optimizer's moments, and undoes weight
        decay.
        """
        frozen = self._is_frozen[rows][:, None]  # no list of them: a GPU would have to count them first
        gradient.masked_fill_(frozen, 0)
        before = weight[rows]
        yield
        weight.index_copy_(0, rows, torch.where(frozen, before, weight[rows]))


def load_vectors(path: str, tokenizer: Tokenizer, cache: Cache, *, width: int) -> PieceVectors:
    """Return embedding rows of at most ``width`` columns from the word vectors in the file ``path``. They are cached.

    A piece counts as a word if it begins with U+2581 or has no letters. It takes the vector of the same word, or else
    that of the word in lower case; the first of equal words counts. A folder of model2vec and a binary model of
    fastText also make vectors of words that they lack, and the former of parts of words. Otherwise these take none: the
    mean over all words with such a part gave no gain (docs/results/word-vectors.md).

    Raises:
        DataError: the file is unusable, or no piece is a word of it.
    """
    check_vectors(path)
    key = make_key("vectors", digest_vectors(path, cache), tokenizer.fingerprint, width)
    entry = cache.get("vectors", key)
    if entry is None:
        pieces, vectors, words = match_words(read_vectors(path), tokenizer.list_words())
        if not len(pieces):
            reason = f"none of its {words:,} words is a piece of the tokenizer; is it of the same language and case?"
            raise DataError(path, None, reason)
        pieces, vectors = compose_vectors(path, tokenizer, pieces, vectors)
        meta = {"words": words, "wide": vectors.shape[1]}
        with cache.draft() as draft:
            draft.write(_PIECES, pieces.astype("<i8", copy=False).data)
            draft.write(_VALUES, np.ascontiguousarray(standardize(vectors, width), "<f4").data)
            entry = draft.commit("vectors", key, meta)
    pieces = np.fromfile(entry.folder / _PIECES, "<i8").astype(np.int64, copy=False)
    values = np.fromfile(entry.folder / _VALUES, "<f4").astype(np.float32, copy=False).reshape(len(pieces), -1)
    reduced = f", reduced to {width}," if entry.meta["wide"] > width else ""
    note = f"{entry.meta['words']:,} words of {entry.meta['wide']} dimensions{reduced} from {path}"
    return PieceVectors(pieces, values, note)


def match_words(
    blocks: Iterable[WordBlock], words: dict[int, str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], int]:
    """Match pieces with the words of a file of word vectors.

    Args:
        blocks: the words of the file and their vectors.
        words: the word of each piece that is one, by its id.

    Returns:
        The matched pieces (R,) int64, their vectors (R, D) float32, and the number of words in the file.
    """
    wanted: dict[bytes, list[tuple[int, int]]] = {}
    for piece, word in words.items():
        for rank, form in enumerate((word, word.lower())):
            wanted.setdefault(form.encode(), []).append((piece, rank))
    matches: dict[int, tuple[int, Vectors]] = {}
    count = 0
    for block in blocks:
        count += len(block.words)
        rows = [row for row, word in enumerate(block.words) if word in wanted]
        for row, vector in zip(rows, block.take(rows), strict=True):
            for piece, rank in wanted[block.words[row]]:
                if piece not in matches or rank < matches[piece][0]:
                    matches[piece] = (rank, vector)
    pieces = sorted(matches)
    return np.array(pieces, np.int64), np.array([matches[piece][1] for piece in pieces], np.float32), count


def compose_vectors(
    path: str, tokenizer: Tokenizer, pieces: npt.NDArray[np.int64], vectors: Vectors
) -> tuple[npt.NDArray[np.int64], Vectors]:
    """Return ``pieces`` (R,) and ``vectors`` (R, D), and those that ``path`` can make of parts of words."""
    composer = open_composer(path)
    if composer is None:
        return pieces, vectors
    found = dict(zip(pieces.tolist(), vectors, strict=True))
    words = tokenizer.list_words()
    for piece, text in tokenizer.list_pieces().items():
        bare = text.strip(META)
        if piece not in found and bare:
            vector = composer.compose(bare, is_word=piece in words)
            if vector is not None:
                found[piece] = vector
    order = sorted(found)
    return np.array(order, np.int64), np.array([found[piece] for piece in order], np.float32)


def standardize(vectors: Vectors, width: int) -> Vectors:
    """Return ``vectors`` (R, D) float32 with mean 0 and standard deviation 1 per column, as new embeddings have.

    If D exceeds ``width``, they are reduced to their first ``width`` principal components (Pearson 1901), which
    together have standard deviation 1.
    """
    x = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    deviation = x.std(axis=0)
    x /= np.where(deviation > 0, deviation, 1.0)
    if x.shape[1] > width:
        directions = np.linalg.eigh(x.T @ x)[1][:, : -width - 1 : -1]
        largest = np.abs(directions).argmax(axis=0)  # fix the sign, which is arbitrary
        directions = directions * np.sign(directions[largest, np.arange(width)])
        x = x @ directions
        x /= x.std() or 1.0
    standard: Vectors = x.astype(np.float32)
    return standard


def describe(vectors: PieceVectors, tokenizer: Tokenizer, corpus: Corpus) -> str:
    """Return one line on the share of the vocabulary, and of the tokens in ``corpus``, that has a vector."""
    counts = corpus.count_ids(len(tokenizer))
    pieces = len(tokenizer.list_pieces())
    share = counts[vectors.pieces].sum() / max(1, counts.sum())
    return (
        f"vectors: {vectors.note}, for {len(vectors.pieces):,} of {pieces:,} pieces "
        f"({len(vectors.pieces) / pieces:.0%}) and {share:.0%} of the training tokens"
    )
