"""Drawing the pieces of a text anew: subword regularization for unigram tokenizers, BPE dropout for BPE."""

from __future__ import annotations

import heapq
import math
import random
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import PackedBatch, make_offsets
from textrnn.errors import ConfigError
from textrnn.tokenization.tokenizer import Tokenizer

_LONGEST = 16  # pieces that are drawn together: a word, or a part of a text without blanks
_POOL = 64  # ways of writing one of them, at most
_KEPT = 200_000  # of them that are remembered, and a twentieth of the lattices, which take some KB each

Pieces = tuple[int, ...]


class SegmentSampler:
    """Draws segmentations of encoded texts, word by word.

    A unigram tokenizer's are drawn with probability proportional to ``exp(alpha * sum of the pieces' scores)`` from all
    that a word has, by forward filtering and backward sampling (Kudo 2018, with l unbounded). A BPE tokenizer leaves
    out each merge with probability ``alpha`` (Provilkov et al. 2020). Words are told by the pieces that begin with a
    blank; one that holds an unknown piece stays as it is. SentencePiece's own sampling cannot be seeded from process to
    process; here what is drawn is a function of the seed, the word and the key.

    Raises:
        ConfigError: the tokenizer has one segmentation of a text only.
    """

    def __init__(self, tokenizer: Tokenizer, *, alpha: float, seed: int) -> None:
        kind = tokenizer.kind
        if kind not in ("unigram", "bpe"):
            raise ConfigError(f"tokenizer.alpha: a {kind} tokenizer cannot draw pieces; unigram and bpe can")
        self._alpha, self._seed = alpha, seed
        self._draw_word = self._draw_unigram if kind == "unigram" else self._draw_bpe
        self._texts = tokenizer.list_pieces()
        scores = tokenizer.list_scores()
        self._scores = {piece: (number, scores[number]) for number, piece in self._texts.items()}
        self._longest = max(map(len, self._scores), default=0)
        self._begins = np.zeros(len(tokenizer), np.bool_)
        self._begins[[number for number, piece in self._texts.items() if piece.startswith("\u2581")]] = True
        self._draw = lru_cache(_KEPT)(self._draw_anew)
        self._filter = lru_cache(_KEPT // 20)(self._filter_forward)

    def resample(self, batch: PackedBatch, key: list[int], *, max_length: int) -> PackedBatch:
        """Return ``batch`` in other pieces, each text cut to ``max_length``; the same ``key``, the same pieces."""
        starts = self._find_words(batch)
        rng = np.random.default_rng([self._seed, *key])
        data, bounds = batch.ids.tobytes(), [*(4 * starts).tolist(), 4 * len(batch.ids)]
        numbers = rng.integers(0, _POOL, len(starts)).tolist()
        words = [self._draw(data[bounds[i] : bounds[i + 1]], number) for i, number in enumerate(numbers)]
        sizes = np.fromiter(map(len, words), np.int64, len(words))
        ids = np.fromiter(chain.from_iterable(words), np.int32, int(sizes.sum()))
        lengths = np.add.reduceat(sizes, np.searchsorted(starts, batch.offsets[:-1]))
        if lengths.max() > max_length:
            within = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            ids, lengths = ids[within < max_length], np.minimum(lengths, max_length)
        return PackedBatch(ids, make_offsets(lengths), batch.classes)

    def _find_words(self, batch: PackedBatch) -> npt.NDArray[np.int64]:
        """Return where the words of all texts begin, and where long ones are cut."""
        flags = self._begins[batch.ids]
        flags[batch.offsets[:-1]] = True
        starts = np.flatnonzero(flags)
        sizes = np.diff(starts, append=len(flags))
        if sizes.max() > _LONGEST:
            within = np.arange(len(flags)) - np.repeat(starts, sizes)
            starts = np.flatnonzero(flags | (within % _LONGEST == 0))
        return starts.astype(np.int64)

    def _draw_anew(self, word: bytes, number: int) -> Pieces:
        pieces = tuple(np.frombuffer(word, np.int32).tolist())
        if not all(piece in self._texts for piece in pieces):
            return pieces
        seed = blake2b(word, digest_size=8, key=f"{self._seed} {number}".encode()).digest()
        rng = random.Random(int.from_bytes(seed, "little"))
        return self._draw_word("".join(self._texts[piece] for piece in pieces), rng) or pieces

    def _filter_forward(self, text: str) -> list[list[tuple[float, int, int]]]:
        """Return for each end in ``text`` the pieces that end there: the logarithm of the sum over all ways through it,
        where it starts, and its number."""
        found: list[list[tuple[float, int, int]]] = [[]]
        totals = [0.0]
        for end in range(1, len(text) + 1):
            ways = []
            for start in range(max(0, end - self._longest), end):
                entry = self._scores.get(text[start:end])
                if entry is not None and totals[start] > -math.inf:
                    ways.append((totals[start] + self._alpha * entry[1], start, entry[0]))
            top = max((way[0] for way in ways), default=-math.inf)
            totals.append(top + math.log(sum(math.exp(way[0] - top) for way in ways)) if ways else top)
            found.append(ways)
        return found

    def _draw_unigram(self, text: str, rng: random.Random) -> Pieces:
        found = self._filter(text)
        end, pieces = len(text), []
        while end:
            ways = found[end]
            if not ways:
                return ()
            top = max(way[0] for way in ways)
            (way,) = rng.choices(ways, [math.exp(way[0] - top) for way in ways])
            pieces.append(way[2])
            end = way[1]
        return tuple(reversed(pieces))

    def _draw_bpe(self, text: str, rng: random.Random) -> Pieces:
        parts: list[str] = [*text]
        after = [*range(1, len(parts)), -1]
        before = [*range(-1, len(parts) - 1)]
        queue: list[tuple[float, int, int, str]] = []

        def offer(left: int) -> None:
            right = after[left]
            if right >= 0 and (entry := self._scores.get(parts[left] + parts[right])) is not None:
                heapq.heappush(queue, (-entry[1], left, right, parts[left] + parts[right]))

        for left in range(len(parts) - 1):
            offer(left)
        while queue:
            _, left, right, merged = heapq.heappop(queue)
            if not parts[left] or after[left] != right or parts[left] + parts[right] != merged:
                continue  # one of them has become a part of another since
            if rng.random() < self._alpha:
                continue
            parts[left], parts[right] = merged, ""
            after[left] = after[right]
            if after[left] >= 0:
                before[after[left]] = left
            offer(left)
            if before[left] >= 0:
                offer(before[left])
        pieces = [self._scores.get(part) for part in parts if part]
        return () if None in pieces else tuple(entry[0] for entry in pieces if entry is not None)
