"""Packed batches: every sequence once, whole, with its class, in the batches that were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textrnn.data import encoded, sampler
from textrnn.data.batch import PackedBatch, make_offsets, pack
from textrnn.data.encoded import Corpus
from textrnn.data.sampler import bucket_batches, bucket_rows, count_batches, sorted_batches
from textrnn.data.split import hold_out, hold_out_fold


def make_corpus(
    rows: int, *, longest: int = 9, shortest: int = 1, seed: int = 0
) -> tuple[PackedBatch, list[list[int]]]:
    """Return a corpus whose row ``i`` has class ``i``, and its sequences."""
    rng = np.random.default_rng(seed)
    sequences = [rng.integers(0, 1000, rng.integers(shortest, longest + 1)).tolist() for _ in range(rows)]
    return pack(sequences, range(rows)), sequences


def split(batch: PackedBatch) -> list[list[int]]:
    return [batch.ids[a:b].tolist() for a, b in zip(batch.offsets[:-1], batch.offsets[1:], strict=True)]


def assert_well_formed(batch: PackedBatch) -> None:
    assert batch.ids.dtype == np.int32
    assert batch.offsets.dtype == np.int64
    assert batch.classes.dtype == np.int64
    assert batch.offsets[0] == 0
    assert batch.offsets[-1] == len(batch.ids)
    assert len(batch.classes) == len(batch) == len(batch.offsets) - 1


@pytest.mark.parametrize(
    "sequences", [[], [[]], [[5]], [[1, 2], [], [3]], [[], [], [7, 8, 9]], [[4, 4], [4]], [[2**31 - 1, 0]]]
)
def test_pack_keeps_every_sequence(sequences: list[list[int]]) -> None:
    batch = pack(sequences)
    assert_well_formed(batch)
    assert split(batch) == sequences
    assert batch.classes.tolist() == [-1] * len(sequences)


def test_pack_keeps_the_classes() -> None:
    batch = pack([[1], [2, 3]], [4, -1])
    assert_well_formed(batch)
    assert batch.classes.tolist() == [4, -1]


@pytest.mark.parametrize(("lengths", "offsets"), [([], [0]), ([3], [0, 3]), ([2, 0, 5], [0, 2, 2, 7])])
def test_offsets_are_the_sums_of_lengths(lengths: list[int], offsets: list[int]) -> None:
    made = make_offsets(np.array(lengths, np.int64))
    assert made.dtype == np.int64
    assert made.tolist() == offsets


@pytest.mark.parametrize("rows", [[], [0], [6], [6, 0], [3, 3, 3], [0, 1, 2, 3, 4, 5, 6], [5, 1, 5, 0], [2, 4, 2]])
def test_select_gives_those_rows_in_that_order(rows: list[int]) -> None:
    sequences = [[1, 2, 3], [4], [], [5, 6], [], [7, 8, 9, 10], [11]]
    batch = pack(sequences, [10, 11, 12, 13, 14, 15, 16]).select(np.array(rows, np.int64))
    assert_well_formed(batch)
    assert split(batch) == [sequences[row] for row in rows]
    assert batch.classes.tolist() == [[10, 11, 12, 13, 14, 15, 16][row] for row in rows]


def test_select_does_not_change_its_source() -> None:
    corpus, sequences = make_corpus(9)
    picked = corpus.select(np.arange(9))
    picked.ids[:] = -5
    picked.classes[:] = -5
    assert split(corpus) == sequences
    assert corpus.classes.tolist() == list(range(9))


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 199, 200, 201, 450])
@pytest.mark.parametrize("batch_size", [1, 4, 1000])
def test_buckets_hold_everything_once(rows: int, batch_size: int) -> None:
    corpus, sequences = make_corpus(rows, shortest=0)
    batches = list(bucket_batches(corpus, batch_size, np.random.default_rng(3)))
    seen = []
    for batch in batches:
        assert_well_formed(batch)
        assert split(batch) == [sequences[row] for row in batch.classes]
        seen += batch.classes.tolist()
    assert sorted(seen) == list(range(rows))
    full, rest = divmod(rows, batch_size)
    assert sorted(map(len, batches)) == sorted([batch_size] * full + [rest] * (rest > 0))


def test_buckets_hold_texts_of_like_length() -> None:
    corpus, _ = make_corpus(200, longest=60)
    batches = list(bucket_batches(corpus, 4, np.random.default_rng(0)))  # one pool
    drawn = [(min(lengths), max(lengths)) for lengths in (np.diff(batch.offsets) for batch in batches)]
    spans = sorted(drawn)
    assert drawn != spans  # the short ones do not all come first
    assert all(first[1] <= second[0] for first, second in zip(spans[:-1], spans[1:], strict=True))


def test_buckets_draw_from_pools() -> None:
    corpus, _ = make_corpus(2000, longest=500)
    batches = list(bucket_batches(corpus, 4, np.random.default_rng(0)))
    spans = [int(np.ptp(np.diff(batch.offsets))) for batch in batches]
    assert np.mean(spans) < 25  # texts put together at random lie 300 apart
    assert max(spans) > 0


def bucket_order(corpus: PackedBatch, rng: np.random.Generator) -> list[list[int]]:
    return [batch.classes.tolist() for batch in bucket_batches(corpus, 8, rng)]


def test_buckets_are_fixed_by_the_seed() -> None:
    corpus, _ = make_corpus(900)
    first = bucket_order(corpus, np.random.default_rng(5))
    assert bucket_order(corpus, np.random.default_rng(5)) == first
    assert bucket_order(corpus, np.random.default_rng(6)) != first


def test_buckets_differ_from_epoch_to_epoch() -> None:
    corpus, _ = make_corpus(60)
    rng = np.random.default_rng(5)
    first, second = bucket_order(corpus, rng), bucket_order(corpus, rng)
    assert first != second
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))  # not only the order of the batches


@pytest.mark.parametrize("rows", [0, 1, 2, 150])
@pytest.mark.parametrize("max_tokens", [1, 5, 9, 10, 64, 100_000])
def test_sorted_batches_hold_everything_once_and_not_too_much(rows: int, max_tokens: int) -> None:
    corpus, sequences = make_corpus(rows)
    seen: list[int] = []
    lengths: list[int] = []
    sizes: list[int] = []
    for numbers, batch in sorted_batches(corpus, max_tokens):
        assert_well_formed(batch)
        assert batch.classes.tolist() == numbers.tolist()
        assert split(batch) == [sequences[row] for row in numbers]
        assert len(batch.ids) <= max_tokens or len(batch) == 1
        seen += numbers.tolist()
        lengths += np.diff(batch.offsets).tolist()
        sizes.append(len(batch))
    assert sorted(seen) == list(range(rows))
    assert lengths == sorted(lengths)
    starts = np.cumsum(sizes)[:-1]  # a batch ends only where the next text would not fit
    for size, start in zip(sizes, starts, strict=False):
        assert sum(lengths[start - size : start + 1]) > max_tokens


def test_a_text_longer_than_the_bound_stands_alone() -> None:
    corpus = pack([[1] * 50, [2], [3] * 11, [4] * 10, [5] * 3], range(5))
    got = [(rows.tolist(), split(batch)) for rows, batch in sorted_batches(corpus, 10)]
    assert got == [
        ([1, 4], [[2], [5] * 3]),
        ([3], [[4] * 10]),
        ([2], [[3] * 11]),
        ([0], [[1] * 50]),
    ]


def test_texts_of_one_length_stay_in_order() -> None:
    corpus = pack([[i, i] for i in range(7)], range(7))
    assert [rows.tolist() for rows, _ in sorted_batches(corpus, 6)] == [[0, 1, 2], [3, 4, 5], [6]]


def test_texts_without_a_token_are_not_lost() -> None:
    corpus = pack([[], [1], [], [2, 3], []], range(5))
    rows = [row for numbers, _ in sorted_batches(corpus, 2) for row in numbers.tolist()]
    assert rows == [0, 2, 4, 1, 3]


@pytest.mark.parametrize(
    ("share", "held_of"),
    [
        (0.1, {0: 5, 1: 2, 2: 1, 3: 1, 4: 0}),
        (0.5, {0: 25, 1: 10, 2: 4, 3: 1, 4: 0}),
        (0.001, {0: 1, 1: 1, 2: 1, 3: 1, 4: 0}),
        (0.999, {0: 49, 1: 19, 2: 6, 3: 1, 4: 0}),
    ],
)
def test_each_class_gives_its_share(share: float, held_of: dict[int, int]) -> None:
    sizes = {0: 50, 1: 20, 2: 7, 3: 2, 4: 1}
    classes = [label for label, size in sizes.items() for _ in range(size)]
    classes = np.random.default_rng(8).permutation(classes).tolist()
    kept, held = (rows.tolist() for rows in hold_out(classes, share, np.random.default_rng(1)))
    assert sorted(kept + held) == list(range(80))
    assert (kept, held) == (sorted(kept), sorted(held))
    assert {label: [classes[row] for row in held].count(label) for label in sizes} == held_of


def split_rows(classes: list[int], share: float, *, seed: int) -> tuple[list[int], list[int]]:
    kept, held = hold_out(classes, share, np.random.default_rng(seed))
    assert kept.dtype == held.dtype == np.int64
    return kept.tolist(), held.tolist()


def test_a_class_with_one_row_keeps_it() -> None:
    assert split_rows([3, 1, 2], 0.5, seed=0) == ([0, 1, 2], [])


def test_of_two_rows_either_may_be_held_out() -> None:
    assert {tuple(split_rows([7, 7], 0.5, seed=seed)[1]) for seed in range(20)} == {(0,), (1,)}


def test_nothing_gives_nothing() -> None:
    assert split_rows([], 0.5, seed=0) == ([], [])


def test_what_is_held_out_is_fixed_by_the_seed() -> None:
    classes = [row % 3 for row in range(90)]
    first = split_rows(classes, 0.2, seed=4)
    assert split_rows(classes, 0.2, seed=4) == first
    assert split_rows(classes, 0.2, seed=5) != first


# --- texts in files


def make_files(
    folder: Path, rows: int, *, longest: int = 9, ids: str = "<u2", seed: int = 0
) -> tuple[Corpus, list[list[int]]]:
    """Return a corpus in files whose row ``i`` has label number ``i``, and its sequences."""
    batch, sequences = make_corpus(rows, longest=longest, seed=seed)
    batch.ids.astype(ids).tofile(folder / "ids")
    batch.offsets.tofile(folder / "offsets")
    np.arange(rows, dtype="<i4").tofile(folder / "labels")
    parts = [
        np.memmap(folder / name, kind, "r") for name, kind in (("ids", ids), ("offsets", "<i8"), ("labels", "<i4"))
    ]
    return Corpus(*parts, class_of=np.arange(rows)), sequences


@pytest.mark.parametrize("ids", ["<u2", "<i4"])
def test_a_corpus_selects_as_a_batch_does(tmp_path: Path, ids: str) -> None:
    corpus, sequences = make_files(tmp_path, 50, ids=ids)
    assert len(corpus) == 50
    assert corpus.lengths.dtype == np.int32
    assert corpus.lengths.tolist() == [len(sequence) for sequence in sequences]
    assert corpus.tokens == sum(map(len, sequences))
    for rows in ([3, 3, 49, 0], [], list(range(50))):
        batch = corpus.select(np.array(rows, np.int64))
        assert_well_formed(batch)
        assert split(batch) == [sequences[row] for row in rows]
        assert batch.classes.tolist() == rows


def test_a_part_of_a_corpus_shares_its_files(tmp_path: Path) -> None:
    corpus, sequences = make_files(tmp_path, 50)
    part = corpus.keep(np.array([40, 7, 9, 8]))
    assert part.ids is corpus.ids
    assert part.lengths.tolist() == [len(sequences[row]) for row in (40, 7, 9, 8)]
    assert part.classes.tolist() == [40, 7, 9, 8]
    assert split(part.select(np.array([2, 0]))) == [sequences[9], sequences[40]]
    assert part.keep(np.array([3, 1])).classes.tolist() == [8, 7]


@pytest.mark.parametrize("block", [3, 1 << 14])
def test_ids_are_counted(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "_BLOCK", block)
    corpus, sequences = make_files(tmp_path, 50)
    kept = [40, 7, 9, 8]
    V = 2 + max(map(max, filter(len, sequences)))
    for texts, chosen in ((corpus, range(50)), (corpus.keep(np.array(kept)), kept)):
        every = [token for row in chosen for token in sequences[row]]
        assert texts.count_ids(V).tolist() == [every.count(token) for token in range(V)]


def test_classes_are_those_of_the_model(tmp_path: Path) -> None:
    corpus, _ = make_files(tmp_path, 6)
    mapped = Corpus(corpus.ids, corpus.offsets, corpus.label_numbers, np.array([1, -1, 0, 1, 1, -1]))
    assert mapped.classes.tolist() == [1, -1, 0, 1, 1, -1]
    assert mapped.select(np.array([5, 3])).classes.tolist() == [-1, 1]
    assert mapped.count_classes(2) == [1, 3]
    assert mapped.keep(np.array([0, 1, 2])).count_classes(2) == [1, 1]


def test_both_kinds_of_texts_give_the_same_batches(tmp_path: Path) -> None:
    corpus, _ = make_files(tmp_path, 300)
    batch, _ = make_corpus(300)
    for how in ({"batch_size": 8}, {"batch_size": None, "batch_tokens": 40}):
        pairs = zip(
            bucket_batches(corpus, rng=np.random.default_rng(1), **how),  # type: ignore[arg-type]
            bucket_batches(batch, rng=np.random.default_rng(1), **how),  # type: ignore[arg-type]
            strict=True,
        )
        assert all(first.ids.tolist() == second.ids.tolist() for first, second in pairs)
    in_order = zip(sorted_batches(corpus, 30), sorted_batches(batch, 30), strict=True)
    assert all(first[0].tolist() == second[0].tolist() for first, second in in_order)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the system does not tell which pages are there")
def test_pages_that_were_read_are_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "_MAPPED_BYTES", 4 << 20)
    rows, length = 40_000, 400
    np.zeros(rows * length, "<u2").tofile(tmp_path / "ids")
    np.arange(0, rows * length + 1, length).tofile(tmp_path / "offsets")
    np.zeros(rows, "<i4").tofile(tmp_path / "labels")
    parts = [
        np.memmap(tmp_path / name, kind, "r") for name, kind in (("ids", "<u2"), ("offsets", "<i8"), ("labels", "<i4"))
    ]
    corpus = Corpus(*parts, class_of=np.zeros(1, np.int64))
    most = 0
    for number, _ in enumerate(bucket_batches(corpus, 32, np.random.default_rng(0))):
        if number % 50 == 0:
            text = Path("/proc/self/smaps").read_text()
            mapped = text.split(f"{tmp_path / 'ids'}\n", 1)[1].split("\nRss:", 1)[1].split("kB")[0]
            most = max(most, int(mapped))
    assert 0 < most < 8 << 10  # of 31 MiB


# --- batches by ids


@pytest.mark.parametrize("rows", [0, 1, 3, 199, 1000])
@pytest.mark.parametrize("batch_tokens", [1, 7, 64, 300, 100_000])
def test_batches_by_ids_hold_everything_once_and_not_too_much(rows: int, batch_tokens: int) -> None:
    corpus, sequences = make_corpus(rows, longest=90, shortest=0)
    for seed in range(3):
        seen = []
        batches = list(bucket_batches(corpus, None, np.random.default_rng(seed), batch_tokens=batch_tokens))
        for batch in batches:
            assert_well_formed(batch)
            assert len(batch.ids) <= batch_tokens or len(batch) == 1
            assert split(batch) == [sequences[row] for row in batch.classes]
            seen += batch.classes.tolist()
        assert sorted(seen) == list(range(rows))
        assert len(batches) == count_batches(corpus, None, batch_tokens=batch_tokens)


def test_batches_by_ids_are_nearly_full() -> None:
    corpus, _ = make_corpus(5000, longest=120)
    needed = int(corpus.lengths.sum()) / 2000
    assert needed <= count_batches(corpus, None, batch_tokens=2000) < 1.08 * needed


def test_batches_by_ids_hold_texts_of_like_length_and_differ_from_epoch_to_epoch() -> None:
    corpus, _ = make_corpus(3000, longest=200)
    first, second = (
        list(bucket_batches(corpus, None, np.random.default_rng([1, epoch]), batch_tokens=1000)) for epoch in (1, 2)
    )
    spans = [int(np.ptp(batch.lengths)) / int(batch.lengths.max()) for batch in first if len(batch) > 1]
    assert np.mean(spans) < 0.1
    lengths = [int(batch.lengths.max()) for batch in first]
    assert lengths not in (sorted(lengths), sorted(lengths, reverse=True))
    together = [{frozenset(batch.classes.tolist()) for batch in batches} for batches in (first, second)]
    assert len(together[0] & together[1]) < len(first) / 10


@pytest.mark.parametrize("length", [1, 2, 15, 16, 31, 32, 33, 63, 64, 65, 511, 512, 999_999, 1_000_000])
def test_a_text_counts_as_a_little_longer_at_most(length: int) -> None:
    cost = int(sampler._cost_of(sampler._bucket_of(np.array([length], np.int32)).astype(np.int64))[0])
    assert length <= cost <= max(length, 1.0626 * length)


def test_buckets_rise_with_the_length() -> None:
    found = sampler._bucket_of(np.arange(100_000, dtype=np.int32)).astype(np.int64)
    assert (np.diff(found) >= 0).all()
    assert (np.diff(found) <= 1).all()


@pytest.mark.parametrize("how", [{"batch_size": 8}, {"batch_size": None, "batch_tokens": 50}])
@pytest.mark.parametrize("skip", [0, 1, 17, 10_000])
def test_batches_can_be_passed_over(how: dict[str, Any], skip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, _ = make_corpus(400)
    whole = [batch.classes.tolist() for batch in bucket_batches(corpus, rng=np.random.default_rng(2), **how)]
    selected = []
    monkeypatch.setattr(PackedBatch, "select", lambda self, rows: selected.append(rows.tolist()))
    list(bucket_batches(corpus, rng=np.random.default_rng(2), skip=skip, **how))
    assert selected == whole[skip:]  # and no other text was read
    rows = [rows.tolist() for rows in bucket_rows(corpus, rng=np.random.default_rng(2), skip=skip, **how)]
    assert rows == whole[skip:]


@pytest.mark.parametrize("rows", [0, 1, 8, 9, 801])
def test_batches_are_counted(rows: int) -> None:
    corpus, _ = make_corpus(rows)
    assert count_batches(corpus, 8) == len(list(bucket_batches(corpus, 8, np.random.default_rng(0))))


@pytest.mark.parametrize(("sizes", "folds"), [((10, 10), 5), ((7, 2, 1, 13), 3), ((4, 4, 4), 4), ((2, 5), 2)])
def test_folds_hold_out_each_row_once_and_even_parts_of_each_class(sizes: tuple[int, ...], folds: int) -> None:
    classes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    parts = []
    for number in range(1, folds + 1):
        kept, held = hold_out_fold(classes, number, folds, rng=np.random.default_rng(7))
        assert sorted([*kept, *held]) == list(range(len(classes)))
        assert held.tolist() == sorted(held)
        parts.append(held)
    together = np.concatenate(parts)
    assert len(set(together.tolist())) == len(together) == sum(size for size in sizes if size > 1)
    assert np.ptp([len(part) for part in parts]) <= 1
    for number, size in enumerate(sizes):
        counts = [int((classes[part] == number).sum()) for part in parts]
        assert (sum(counts) == size and np.ptp(counts) <= 1) or size == 1
    other = hold_out_fold(classes, 1, folds, rng=np.random.default_rng(8))[1]
    again = hold_out_fold(classes, 1, folds, rng=np.random.default_rng(7))[1]
    assert again.tolist() == parts[0].tolist()
    assert sum(sizes) < 10 or other.tolist() != again.tolist()
