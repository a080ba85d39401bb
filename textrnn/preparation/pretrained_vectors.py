"""Pretrained word vectors in the embedding: which pieces are words of a file, and what their rows begin with."""

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
from textrnn.data.word_vectors import Vectors, WordBlock, check_vectors, digest_vectors, read_vectors
from textrnn.errors import DataError
from textrnn.tokenization.tokenizer import Tokenizer

_VALUES, _PIECES = "values", "pieces"


@dataclass(frozen=True)
class PieceVectors:
    """What the rows of some pieces begin with: ``values`` (R, D) float32 for ``pieces`` (R,) int64, rising."""

    pieces: npt.NDArray[np.int64]
    values: Vectors
    note: str

    @property
    def width(self) -> int:
        """D, which is that of the embedding too: columns beside them were no gain (docs/vectors.md)."""
        return int(self.values.shape[1])

    @torch.no_grad()
    def place(self, weight: Tensor) -> None:
        """Write the values into the embedding's ``weight`` (V, D); the rows of other pieces stay as they are drawn."""
        weight[torch.from_numpy(self.pieces)] = torch.from_numpy(self.values)


class FrozenRows:
    """The rows of an embedding (V, D) that ``vectors`` gave, on ``device``: no step moves them."""

    def __init__(self, vectors: PieceVectors, V: int, device: torch.device) -> None:
        self._is_frozen = torch.zeros(V, dtype=torch.bool)
        self._is_frozen[torch.from_numpy(vectors.pieces)] = True
        self._is_frozen = self._is_frozen.to(device)

    @contextmanager
    def holding(self, weight: Tensor, rows: Tensor, gradient: Tensor) -> Iterator[None]:
        """Make a step on the ``rows`` (R,) int64 of ``weight`` inside of this, by ``gradient`` (R, D).

        Its frozen rows are set to 0, so that they have no share in the norm and give no moments; decay is undone.
        """
        frozen = self._is_frozen[rows]
        gradient[frozen] = 0
        before = weight[rows[frozen]]
        yield
        weight[rows[frozen]] = before


def load_vectors(path: str, tokenizer: Tokenizer, store: Cache, *, width: int) -> PieceVectors:
    """Return what the word vectors of the file ``path`` give the embedding for ``tokenizer``, ``width`` wide at most.

    A piece with U+2581 before it is a word, and so is one without letters; it takes the vector of the word as it
    stands, or else in lower case. Of a word that stands twice the first counts. Other pieces, which are parts of words,
    take none: the mean over the words that hold one was tried and gave nothing (docs/vectors.md). The result is kept in
    ``store``.

    Raises:
        DataError: the file cannot be used, or no piece is a word of it.
    """
    check_vectors(path)
    key = make_key("vectors", digest_vectors(path, store), tokenizer.fingerprint, width)
    entry = store.get("vectors", key)
    if entry is None:
        pieces, vectors, words = match_words(read_vectors(path), tokenizer.list_words())
        if not len(pieces):
            raise DataError(
                path,
                None,
                f"none of its {words:,} words is a piece of the tokenizer; has it the language, the tokenizer words?",
            )
        meta = {"words": words, "wide": vectors.shape[1]}
        with store.draft() as draft:
            draft.write(_PIECES, pieces.astype("<i8", copy=False).data)
            draft.write(_VALUES, np.ascontiguousarray(standardize(vectors, width), "<f4").data)
            entry = draft.commit("vectors", key, meta)
    pieces = np.fromfile(entry.folder / _PIECES, "<i8").astype(np.int64, copy=False)
    values = np.fromfile(entry.folder / _VALUES, "<f4").astype(np.float32, copy=False).reshape(len(pieces), -1)
    cut = f", cut to {width}," if entry.meta["wide"] > width else ""
    note = f"{entry.meta['words']:,} words of {entry.meta['wide']} numbers{cut} from {path}"
    return PieceVectors(pieces, values, note)


def match_words(
    blocks: Iterable[WordBlock], words: dict[int, str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], int]:
    """Return the pieces (R,) that are words of ``blocks``, their vectors (R, D), and how many words there are.

    ``words`` gives the word of each piece that is one, by its id.
    """
    wanted: dict[bytes, list[tuple[int, int]]] = {}
    for piece, word in words.items():
        for rank, form in enumerate((word, word.lower())):
            wanted.setdefault(form.encode(), []).append((piece, rank))
    found: dict[int, tuple[int, Vectors]] = {}
    count = 0
    for block in blocks:
        count += len(block.words)
        rows = [row for row, word in enumerate(block.words) if word in wanted]
        for row, vector in zip(rows, block.take(rows), strict=True):
            for piece, rank in wanted[block.words[row]]:
                if piece not in found or rank < found[piece][0]:
                    found[piece] = (rank, vector)
    pieces = sorted(found)
    return np.array(pieces, np.int64), np.array([found[piece][1] for piece in pieces], np.float32), count


def standardize(vectors: Vectors, width: int) -> Vectors:
    """Return ``vectors`` (R, D) with a mean of 0 and a deviation of 1 in each column, as new embeddings have.

    Where D is more than ``width`` they are turned, and the ``width`` directions in which they differ most are kept,
    with a deviation of 1 over all (principal components, Pearson 1901).
    """
    x = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    deviation = x.std(axis=0)
    x /= np.where(deviation > 0, deviation, 1.0)
    if x.shape[1] > width:
        directions = np.linalg.eigh(x.T @ x)[1][:, : -width - 1 : -1]
        largest = np.abs(directions).argmax(axis=0)  # of a direction and its opposite either would do: fix one
        directions = directions * np.sign(directions[largest, np.arange(width)])
        x = x @ directions
        x /= x.std() or 1.0
    standard: Vectors = x.astype(np.float32)
    return standard


def describe(vectors: PieceVectors, tokenizer: Tokenizer, corpus: Corpus) -> str:
    """Return one line on how many pieces have a vector, of the vocabulary and of the text that is trained on."""
    counts = corpus.count_ids(len(tokenizer))
    pieces = len(tokenizer.list_pieces())
    of_text = counts[vectors.pieces].sum() / max(1, counts.sum())
    return (
        f"vectors: {vectors.note}; {len(vectors.pieces):,} of {pieces:,} pieces ({len(vectors.pieces) / pieces:.0%}) "
        f"have one, which are {of_text:.0%} of the training text's"
    )
