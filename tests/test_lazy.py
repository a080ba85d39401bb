"""A cached property: computed once for each object, and free of locks."""

from __future__ import annotations

import os
import threading

import pytest

from textrnn.lazy import lazy_property


class Counted:
    def __init__(self) -> None:
        self.calls = 0

    @lazy_property
    def value(self) -> int:
        """Return the number of calls."""
        self.calls += 1
        return self.calls


def test_the_value_is_computed_once_for_each_object() -> None:
    one, other = Counted(), Counted()
    assert (one.value, one.value, other.value, one.calls) == (1, 1, 1, 1)
    assert Counted.value.__doc__ == "Return the number of calls."


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_computes_what_a_thread_of_the_parent_was_computing() -> None:
    began, end = threading.Event(), threading.Event()
    parent = os.getpid()

    class Slow:
        @lazy_property
        def value(self) -> int:
            if os.getpid() == parent:
                began.set()
                end.wait(60)
            return 7

    slow = Slow()
    worker = threading.Thread(target=lambda: slow.value)
    worker.start()
    began.wait(60)
    child = os.fork()
    if child == 0:
        threading.Timer(30, os._exit, [9]).start()
        os._exit(0 if slow.value == 7 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    end.set()
    worker.join()
    assert slow.value == 7
