"""Subword sampling: subword regularization for unigram tokenizers, BPE-dropout for BPE."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import PackedBatch, make_offsets
from textrnn.errors import ConfigError
from textrnn.tokenization.tokenizer import META, Tokenizer

_MAX_PIECES = 16  # per word; longer words, and text without spaces, are split into parts
_VARIANTS = 64  # segmentations drawn per word, at most
_CACHED = 200_000  # drawn words, and a twentieth as many lattices, which take a few KB each

Pieces = tuple[int, ...]


class SegmentSampler:
    """Draws segmentations of encoded texts, word by word.

    Unigram: each segmentation of a word has a probability proportional to ``exp(alpha * sum of the piece scores)``,
    drawn by forward filtering and backward sampling (Kudo, "Subword Regularization", ACL 2018, with l = infinity).
    BPE: each merge is skipped with probability ``alpha`` (Provilkov, Emelianenko, Voita, "BPE-Dropout", ACL 2020).

    Words start at pieces that start with a space. A word with an unknown piece is not resampled. SentencePiece's own
    sampling cannot be seeded across processes; this one depends only on the seed, the word and the key.

    Raises:
        ConfigError: the tokenizer has a single segmentation of each text.
    """

    def __init__(self, tokenizer: Tokenizer, *, alpha: float, seed: int) -> None:
        kind = tokenizer.kind
        if kind not in ("unigram", "bpe"):
            raise ConfigError(f"tokenizer.alpha: a {kind} tokenizer cannot sample; use a unigram or bpe tokenizer")
        self._alpha, self._seed = alpha, seed
        self._draw_word = self._draw_unigram if kind == "unigram" else self._draw_bpe
        self._texts = tokenizer.list_pieces()
        scores = tokenizer.list_scores()
        self._pieces = {piece: (number, scores[number]) for number, piece in self._texts.items()}
        self._longest = max(map(len, self._pieces), default=0)
        self._starts_word = np.zeros(len(tokenizer), np.bool_)
        self._starts_word[[number for number, piece in self._texts.items() if piece.startswith(META)]] = True
        self._draw = lru_cache(_CACHED)(self._draw_uncached)
        self._filter = lru_cache(_CACHED // 20)(self._filter_forward)

    def resample(self, batch: PackedBatch, key: list[int], *, max_length: int) -> PackedBatch:
        """Return ``batch`` in other pieces, each text truncated to ``max_length``; ``key`` fixes the result."""
        starts = self._find_words(batch)
        rng = np.random.default_rng([self._seed, *key])
        data, bounds = batch.ids.tobytes(), [*(4 * starts).tolist(), 4 * len(batch.ids)]
        numbers = rng.integers(0, _VARIANTS, len(starts)).tolist()
        words = [self._draw(data[bounds[i] : bounds[i + 1]], number) for i, number in enumerate(numbers)]
        sizes = np.fromiter(map(len, words), np.int64, len(words))
        ids = np.fromiter(chain.from_iterable(words), np.int32, int(sizes.sum()))
        lengths = np.add.reduceat(sizes, np.searchsorted(starts, batch.offsets[:-1]))
        if lengths.max() > max_length:
            within = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            ids, lengths = ids[within < max_length], np.minimum(lengths, max_length)
        return replace(batch, ids=ids, offsets=make_offsets(lengths))

    def _find_words(self, batch: PackedBatch) -> npt.NDArray[np.int64]:
        """Return the positions where words of all texts, and parts of long words, start."""
        flags = self._starts_word[batch.ids]
        flags[batch.offsets[:-1]] = True
        starts = np.flatnonzero(flags)
        sizes = np.diff(starts, append=len(flags))
        if sizes.max() > _MAX_PIECES:
            within = np.arange(len(flags)) - np.repeat(starts, sizes)
            starts = np.flatnonzero(flags | (within % _MAX_PIECES == 0))
        return starts.astype(np.int64)

    def _draw_uncached(self, word: bytes, number: int) -> Pieces:
        pieces = tuple(np.frombuffer(word, np.int32).tolist())
        if not all(piece in self._texts for piece in pieces):
            return pieces
        seed = blake2b(word, digest_size=8, key=f"{self._seed} {number}".encode()).digest()
        rng = random.Random(int.from_bytes(seed, "little"))
        return self._draw_word("".join(self._texts[piece] for piece in pieces), rng) or pieces

    def _filter_forward(self, text: str) -> list[list[tuple[float, int, int]]]:
        """Return the pieces that end at each position of ``text``: the log of the summed weight of all segmentations
        that end with the piece, its start, and its id."""
        lattice: list[list[tuple[float, int, int]]] = [[]]
        totals = [0.0]
        for end in range(1, len(text) + 1):
            edges = []
            for start in range(max(0, end - self._longest), end):
                entry = self._pieces.get(text[start:end])
                if entry is not None and totals[start] > -math.inf:
                    edges.append((totals[start] + self._alpha * entry[1], start, entry[0]))
            top = max((edge[0] for edge in edges), default=-math.inf)
            totals.append(top + math.log(sum(math.exp(edge[0] - top) for edge in edges)) if edges else top)
            lattice.append(edges)
        return lattice

    def _draw_unigram(self, text: str, rng: random.Random) -> Pieces:
        lattice = self._filter(text)
        end, pieces = len(text), []
        while end:
            edges = lattice[end]
            if not edges:
                return ()
            top = max(edge[0] for edge in edges)
            (edge,) = rng.choices(edges, [math.exp(edge[0] - top) for edge in edges])
            pieces.append(edge[2])
            end = edge[1]
        return tuple(reversed(pieces))

    def _draw_bpe(self, text: str, rng: random.Random) -> Pieces:
        parts: list[str] = [*text]
        after = [*range(1, len(parts)), -1]
        before = [*range(-1, len(parts) - 1)]
        queue: list[tuple[float, int, int, str]] = []

        def offer(left: int) -> None:
            right = after[left]
            if right >= 0 and (entry := self._pieces.get(parts[left] + parts[right])) is not None:
                heapq.heappush(queue, (-entry[1], left, right, parts[left] + parts[right]))

        for left in range(len(parts) - 1):
            offer(left)
        while queue:
            _, left, right, merged = heapq.heappop(queue)
            if not parts[left] or after[left] != right or parts[left] + parts[right] != merged:
                continue  # an earlier merge has changed one of the two
            if rng.random() < self._alpha:
                continue
            parts[left], parts[right] = merged, ""
            after[left] = after[right]
            if after[left] >= 0:
                before[after[left]] = left
            offer(left)
            if before[left] >= 0:
                offer(before[left])
        pieces = [self._pieces.get(part) for part in parts if part]
        return () if None in pieces else tuple(entry[0] for entry in pieces if entry is not None)
