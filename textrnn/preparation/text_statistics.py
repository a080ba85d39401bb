"""A short look at encoded texts before training: what comes again, what is empty, what is cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.data.batch import PackedBatch, pack
from textrnn.data.cache import Cache, make_key
from textrnn.data.encoded import Corpus
from textrnn.errors import pluralize
from textrnn.tokenization.tokenizer import Tokenizer

Hashes = npt.NDArray[np.uint64]

_BLOCK = 1 << 14  # texts that are hashed together
_BLOCK_IDS = 1 << 21  # of them, which take 28 bytes each


@dataclass(frozen=True)
class Repeats:
    """Counts of texts; two are the same where their pieces are, as far as these are read.

    ``again`` come again in the training text and ``other_label`` of them with another label; ``valid`` and ``test`` are
    those of these sets that are in the training text. ``empty`` ones of all sets have no piece, or one that is unknown,
    and count for nothing else; ``full`` ones have as many pieces as are read, or more.
    """

    again: int
    other_label: int
    valid: int
    test: int
    empty: int
    full: int


def count_repeats(
    sets: Mapping[str, Corpus], tokenizer: Tokenizer, *, max_length: int, store: Cache, key: object
) -> Repeats:
    """Count what is odd in the sets train, valid and (if there is one) test, or find it in ``store`` under ``key``.

    It takes 8 bytes for each text, twice, and one pass over the ids: some seconds for a gigabyte of text, once.
    """
    name = make_key("repeats", key)
    entry = store.get("repeats", name)
    if entry is None:
        found = _count(sets, _Hasher(len(tokenizer), max_length), tokenizer, max_length=max_length)
        with store.draft() as draft:
            entry = draft.commit("repeats", name, vars(found))
    return Repeats(**{field: int(entry.meta[field]) for field in Repeats.__dataclass_fields__})


def describe_repeats(found: Repeats, sets: Mapping[str, Corpus], *, max_length: int) -> list[str]:
    """Return up to two lines that say what a user should know."""
    again = []
    if found.again:
        other = f", {found.other_label:,} of them with another label" if found.other_label else ""
        comes = pluralize(found.again, "text comes", "texts come")
        again.append(f"{comes} again in the training text{other}")
    for part, doing in (("valid", "stop"), ("test", "score")):
        if count := getattr(found, part):
            of_all = f"of the {len(sets[part]):,} texts to {doing} on"
            again.append(f"{pluralize(count, f'{of_all} is', f'{of_all} are')} in the training text too")
    odd = []
    if found.empty:
        odd.append(f"{pluralize(found.empty, 'text is', 'texts are')} empty or one unknown piece")
    if found.full:
        share = 100 * found.full / sum(map(len, sets.values()))
        texts = pluralize(found.full, "text", "texts")
        odd.append(f"of {texts} ({share:.1f} %) data.max_length={max_length} pieces are read, and no more")
    lines = [f"data: {'; '.join(parts)}" for parts in (again, odd) if parts]
    if lines:
        lines[-1] += "; 'textrnn data check' shows which"
    return lines


def _count(sets: Mapping[str, Corpus], hasher: _Hasher, tokenizer: Tokenizer, *, max_length: int) -> Repeats:
    nothing = hasher.hash(pack(tokenizer.encode_all([""], max_length=max_length)))
    train = hasher.hash_all(sets["train"])
    empty = train == nothing
    empties = int(empty.sum())
    ordered = np.sort(train)
    known = _count_distinct(ordered)
    inside = {}
    for part in ("valid", "test"):
        hashes = hasher.hash_all(sets[part]) if part in sets else np.zeros(0, np.uint64)
        odd = hashes == nothing
        place = np.minimum(np.searchsorted(ordered, hashes), len(ordered) - 1)
        inside[part] = int(np.count_nonzero((ordered[place] == hashes) & ~odd))
        empties += int(odd.sum())
    del ordered
    _add_classes(train, sets["train"])
    train[empty] = nothing
    train.sort()
    again = len(train) - known - max(0, int(empty.sum()) - 1)
    return Repeats(
        again=again,
        other_label=_count_distinct(train) - known,
        empty=empties,
        full=sum(int(np.count_nonzero(corpus.lengths >= max_length)) for corpus in sets.values()),
        **inside,
    )


def _add_classes(hashes: Hashes, corpus: Corpus) -> None:
    """Make the hashes (B,) differ where the classes do."""
    classes = corpus.classes
    for start in range(0, len(hashes), _BLOCK):
        block = slice(start, start + _BLOCK)
        hashes[block] += classes[block].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)


def _count_distinct(ordered: Hashes) -> int:
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + (len(ordered) > 0)


class _Hasher:
    """Hashes texts by their pieces and the pieces' places: the sum over both of the product of two numbers drawn."""

    def __init__(self, vocab_size: int, max_length: int) -> None:
        rng = np.random.default_rng(0)
        self._of_piece = rng.integers(0, 1 << 64, vocab_size, np.uint64)
        self._of_place = rng.integers(0, 1 << 63, max_length, np.uint64) * np.uint64(2) + np.uint64(1)

    def hash(self, batch: PackedBatch) -> Hashes:
        """Return the hash (B,) uint64 of each text, none of which is empty."""
        starts = batch.offsets[:-1]
        place = np.arange(len(batch.ids)) - np.repeat(starts, batch.lengths)
        found: Hashes = np.add.reduceat(self._of_piece[batch.ids] * self._of_place[place], starts)
        return found

    def hash_all(self, corpus: Corpus) -> Hashes:
        """Return the hash (B,) uint64 of each text of a set."""
        hashes = np.empty(len(corpus), np.uint64)
        rows = max(1, min(_BLOCK, _BLOCK_IDS // max(1, int(corpus.lengths.max(initial=1)))))
        for start in range(0, len(corpus), rows):
            stop = min(start + rows, len(corpus))
            hashes[start:stop] = self.hash(corpus.select(np.arange(start, stop)))
        return hashes
