"""Counts of duplicate and empty texts, and of those that are not read to their end, made before training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from textrnn.data.batch import pack
from textrnn.data.cache import Cache, make_key
from textrnn.data.encoded import Corpus
from textrnn.data.windows import Windows
from textrnn.errors import pluralize
from textrnn.preparation.text_hashes import Hashes, TextHasher
from textrnn.tokenization.tokenizer import Tokenizer

_BLOCK = 1 << 14  # texts whose classes are looked up together


@dataclass(frozen=True)
class TextStatistics:
    """Counts of texts. Texts count as duplicates if the tokens that are read of them match.

    ``again`` training texts repeat an earlier one, ``other_label`` of them with a label that no equal text before has.
    ``valid`` and ``test`` texts of these sets are in the training set too. In all sets together, ``empty`` texts have
    no token or a single unknown one, and count nowhere else; ``cut`` texts are not read to their end, which leaves
    ``unread`` of all ``tokens``.
    """

    again: int
    other_label: int
    valid: int
    test: int
    empty: int
    cut: int
    unread: int
    tokens: int


def compute_statistics(
    corpora: Mapping[str, Corpus], tokenizer: Tokenizer, *, cache: Cache, key: object
) -> TextStatistics:
    """Return the statistics of the sets train, valid and, if there is one, test, cached under ``key``.

    It takes 16 bytes per text, and one pass over the ids: some seconds for a gigabyte of text.
    """
    name = make_key("repeats", key)
    entry = cache.get("repeats", name)
    if entry is None:
        longest = max(int(corpus.lengths.max(initial=1)) for corpus in corpora.values())
        counts = _count(corpora, TextHasher(len(tokenizer), longest), tokenizer)
        with cache.draft() as draft:
            entry = draft.commit("repeats", name, vars(counts))
    return TextStatistics(**{field: int(entry.meta[field]) for field in TextStatistics.__dataclass_fields__})


def describe_statistics(counts: TextStatistics, corpora: Mapping[str, Corpus], windows: Windows) -> list[str]:
    """Return up to three lines for the user; texts are read in ``windows``."""
    repeats, odd, long = [], [], []
    if counts.again:
        other = f" ({counts.other_label:,} with another label)" if counts.other_label else ""
        repeats.append(
            f"{pluralize(counts.again, 'training text is a duplicate', 'training texts are duplicates')}{other}"
        )
    for part, name in (("valid", "validation"), ("test", "test")):
        if count := getattr(counts, part):
            of_all = f"of {len(corpora[part]):,} {name} texts"
            repeats.append(f"{pluralize(count, f'{of_all} is', f'{of_all} are')} in the training set")
    if counts.empty:
        odd.append(f"{pluralize(counts.empty, 'text is', 'texts are')} empty or one unknown token")
    if counts.cut:
        long.append(_describe_unread(counts, sum(map(len, corpora.values())), windows))
    lines = [f"data: {'; '.join(parts)}" for parts in (repeats, odd, long) if parts]
    if lines:
        lines[-1] += "; 'textrnn data check' lists them"
    return lines


def _describe_unread(counts: TextStatistics, texts: int, windows: Windows) -> str:
    """Return what is not read of ``texts`` in all."""
    longer = f"{pluralize(counts.cut, 'text is', 'texts are')} longer than"
    cut, unread = f"({100 * counts.cut / texts:.1f} %)", f"{100 * counts.unread / counts.tokens:.1f} % of all tokens"
    if windows.most == 1:
        return f"{longer} data.max_length={windows.size} tokens {cut}, which cuts off {unread} (see data.long_texts)"
    return f"{longer} {windows.most} windows of {windows.size} tokens {cut}, which leave out {unread}"


def _count(corpora: Mapping[str, Corpus], hasher: TextHasher, tokenizer: Tokenizer) -> TextStatistics:
    empty_hash = hasher.hash(pack([[tokenizer.unknown_id]]))
    train = hasher.hash_all(corpora["train"])
    is_empty = train == empty_hash
    empty = int(is_empty.sum())
    ordered = np.sort(train)
    distinct = _count_distinct(ordered)
    shared = {}
    for part in ("valid", "test"):
        hashes = hasher.hash_all(corpora[part]) if part in corpora else np.zeros(0, np.uint64)
        odd = hashes == empty_hash
        index = np.minimum(np.searchsorted(ordered, hashes), len(ordered) - 1)
        shared[part] = int(np.count_nonzero((ordered[index] == hashes) & ~odd))
        empty += int(odd.sum())
    del ordered
    again = len(train) - distinct - max(0, int(is_empty.sum()) - 1)
    classes = corpora["train"].classes
    for start in range(0, len(train), _BLOCK):  # texts of different classes get different hashes
        block = slice(start, start + _BLOCK)
        train[block] += classes[block].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    train[is_empty] = empty_hash
    train.sort()
    unread = [corpus.piece_counts - corpus.lengths for corpus in corpora.values()]
    return TextStatistics(
        again=again,
        other_label=_count_distinct(train) - distinct,
        empty=empty,
        cut=sum(int(np.count_nonzero(lengths)) for lengths in unread),
        unread=sum(int(lengths.sum()) for lengths in unread),
        tokens=sum(int(corpus.piece_counts.sum()) for corpus in corpora.values()),
        **shared,
    )


def _count_distinct(ordered: Hashes) -> int:
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + (len(ordered) > 0)
