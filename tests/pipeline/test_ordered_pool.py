"""Results are ordered and immediate, all workers compute, and memory is bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing

import pytest

from textrnn.pipeline.ordered_pool import _AHEAD, _CHUNK_BYTES, _ITEM_BYTES, run_in_order

SECONDS = 60  # a test that hangs fails after this time
LARGE = _CHUNK_BYTES - _ITEM_BYTES  # the size of an item that fills a chunk

Emit = Callable[[Sequence[int]], None]


def give(*blocks: Sequence[int]) -> Callable[[Emit], None]:
    def read(emit: Emit) -> None:
        for block in blocks:
            emit(block)

    return read


def run(read: Callable[[Emit], None], compute: Callable[[list[int], int], object], *, size: int = 1, jobs: int = 2):  # type: ignore[no-untyped-def]
    return run_in_order(read, compute, size=lambda item: size, jobs=jobs)


@pytest.mark.parametrize("jobs", [1, 2, 7])
@pytest.mark.parametrize("size", [0, 1000, LARGE, 10 * LARGE])
def test_every_item_is_computed_once_and_in_order(jobs: int, size: int) -> None:
    rows = list(range(3000 if size < LARGE else 60))
    blocks = [rows[start : start + 17] for start in range(0, len(rows), 17)]
    chunks = list(run(give(*blocks), lambda chunk, threads: chunk, size=size, jobs=jobs))
    assert [row for chunk in chunks for row in chunk] == rows
    most = max(1, _CHUNK_BYTES // (size + _ITEM_BYTES))
    assert max(map(len, chunks)) <= most


def test_no_items_give_no_results() -> None:
    assert list(run(give(), lambda chunk, threads: chunk)) == []
    assert list(run(give([]), lambda chunk, threads: chunk)) == []


def test_a_single_chunk_is_computed_by_the_caller_with_all_threads() -> None:
    def compute(chunk: list[int], threads: int) -> tuple[str, int]:
        return threading.current_thread().name, threads

    before = threading.active_count()
    here = threading.current_thread().name
    assert list(run(give([1]), compute, jobs=3)) == [(here, 3)]
    assert threading.active_count() <= before + 1  # the reader may still be ending; there are no workers
    names, threads = zip(*run(give([1] * 4), compute, size=LARGE, jobs=3), strict=True)
    assert here not in names[:3]
    assert set(threads[:3]) == {1}


def test_workers_compute_at_the_same_time() -> None:
    together = threading.Barrier(3)

    def compute(chunk: list[int], threads: int) -> int:
        together.wait(SECONDS)  # breaks unless three are here
        return chunk[0]

    assert list(run(give(range(6)), compute, size=LARGE, jobs=3)) == list(range(6))


def test_a_later_result_waits_for_an_earlier_one() -> None:
    later_done = threading.Event()

    def compute(chunk: list[int], threads: int) -> int:
        if chunk[0] == 0:
            assert later_done.wait(SECONDS)
        else:
            later_done.set()
        return chunk[0]

    assert list(run(give([0, 1]), compute, size=LARGE, jobs=2)) == [0, 1]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("at_once", [1, 3])
def test_results_are_returned_before_more_is_read(jobs: int, at_once: int) -> None:
    answered = threading.Semaphore(0)

    def read(emit: Emit) -> None:
        for start in range(0, 30, at_once):
            emit(range(start, start + at_once))
            for _ in range(at_once):
                assert answered.acquire(timeout=SECONDS), "the result waited for more input"

    count = 0
    for row in run(read, lambda chunk, threads: chunk[0], size=LARGE, jobs=jobs):
        assert row == count
        count += 1
        answered.release()
    assert count == 30


def test_items_that_arrive_while_workers_are_busy_form_one_chunk() -> None:
    arrived, read_all = threading.Event(), threading.Event()

    def read(emit: Emit) -> None:
        emit([0])
        assert arrived.wait(SECONDS)
        for row in range(1, 6):
            emit([row])
        read_all.set()

    def compute(chunk: list[int], threads: int) -> list[int]:
        if chunk == [0]:
            arrived.set()
            assert read_all.wait(SECONDS)
        return chunk

    assert list(run(read, compute, jobs=1)) == [[0], [1, 2, 3, 4, 5]]


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_slow_caller_limits_the_items_in_memory(jobs: int) -> None:
    given = 0

    def read(emit: Emit) -> None:
        nonlocal given
        for row in range(200):
            given += 1
            emit([row])

    most = 0
    for taken, _ in enumerate(run(read, lambda chunk, threads: chunk, size=LARGE, jobs=jobs), start=1):
        most = max(most, given - taken)
    assert given == 200
    assert most <= 2 * _AHEAD * jobs + 2


def test_an_error_in_reading_follows_the_earlier_results() -> None:
    def read(emit: Emit) -> None:
        emit([1, 2, 3])
        raise OSError("gone")

    results = run(read, lambda chunk, threads: chunk[0], size=LARGE)
    assert [next(results) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(OSError, match="gone"):
        next(results)


@pytest.mark.parametrize("bad", [0, 5])
def test_an_error_in_computing_follows_the_earlier_results(bad: int) -> None:
    def compute(chunk: list[int], threads: int) -> int:
        if chunk[0] == bad:
            raise ValueError(f"chunk {bad}")
        return chunk[0]

    found = []
    with pytest.raises(ValueError, match=f"chunk {bad}"):
        found.extend(run(give(range(20)), compute, size=LARGE))
    with closing(run(give(range(20)), compute, size=LARGE)) as results:
        assert [next(results) for _ in range(bad)] == list(range(bad))


def test_closing_ends_reader_and_workers() -> None:
    before, ended = set(threading.enumerate()), threading.Event()

    def read(emit: Emit) -> None:
        try:
            while True:
                emit([1])
        finally:
            ended.set()

    with closing(run(read, lambda chunk, threads: chunk, size=LARGE)) as results:
        next(results)
    assert ended.wait(SECONDS)
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name.startswith("worker")]
