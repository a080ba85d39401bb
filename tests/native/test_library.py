"""Loading the C++ library, its threads, and the errors of its calls."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textrnn.errors import BackendError
from textrnn.native import functions, library

NATIVE = library.load_native()
needs_library = pytest.mark.skipif(
    NATIVE.library is None and "TEXTRNN_WITHOUT_NATIVE" in os.environ, reason="installed without a compiler"
)


@needs_library
def test_the_library_was_built() -> None:
    assert NATIVE.library is not None, NATIVE.reason


FORK = """
import importlib, os, sys
import numpy as np
for name in sys.argv[2:]:
    importlib.import_module(name)
from textrnn.native import functions, library
N, D = 4096, 256
u = np.random.default_rng(1).standard_normal((N, 1, 4, D), np.float32)
v = np.zeros((1, 2, D), np.float32)
offsets = np.arange(0, N + 1, 64)
def run():
    h, final = np.full((N, 1, D), np.nan, np.float32), np.empty((len(offsets) - 1, 1, D), np.float32)
    functions.sru_forward(u=u, offsets=offsets, v=v, b=v, alpha=1.0, h=h, final=final, threads=3)
    return h
pool = library.load_native().library.textrnn_pool
assert pool() == sys.argv[1].encode(), pool()
first = run()
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(run(), first) and pool() == b"own" else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child's results differ"
assert np.array_equal(run(), first)
"""


@needs_library
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("modules", [[], ["sentencepiece", "sklearn.linear_model"], ["torch"]], ids=" ".join)
def test_a_forked_child_has_threads_of_its_own(modules: list[str]) -> None:
    pool = "openmp" if modules == ["torch"] and sys.platform == "linux" else "own"  # others load OpenMP runtimes too
    done = subprocess.run([sys.executable, "-c", FORK, pool, *modules], check=False, timeout=60, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


LATE = """
import os, torch
torch.set_num_threads(2)
torch.softmax(torch.ones(2000, 2000), 1)
child = os.fork()
if child == 0:
    from textrnn.native import library
    os._exit(0 if library.load_native().library.textrnn_pool() == b"own" else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@needs_library
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch has another pool")
def test_a_child_that_loads_the_library_after_the_fork_does_not_wait_for_torchs_threads() -> None:
    done = subprocess.run([sys.executable, "-c", LATE], check=False, timeout=60, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_default_threads_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3,1")
    assert library.default_threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert library.default_threads() >= 1


def test_a_library_of_another_version_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "INTERFACE", -1)
    native = library.load_native.__wrapped__()
    assert native.library is None
    assert "another version" in native.reason


def call() -> None:
    one = np.ones((1, 1), np.float32)
    functions.gemm(a=one, b=one, c=one.copy(), threads=1)


@pytest.mark.parametrize(("status", "error"), [(1, MemoryError), (2, ValueError)])
def test_a_status_becomes_an_error(monkeypatch: pytest.MonkeyPatch, status: int, error: type[Exception]) -> None:
    class Library:
        @staticmethod
        def textrnn_gemm(args: bytes, threads: int) -> int:
            return status

    failing: Any = Library()
    monkeypatch.setattr(library, "load_native", lambda: library.Native(failing, ""))
    with pytest.raises(error):
        call()


def test_calls_without_the_library_give_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "load_native", lambda: library.Native(None, "it was not compiled"))
    assert not library.is_available()
    with pytest.raises(BackendError, match="it was not compiled"):
        call()


def test_a_library_that_cannot_be_loaded_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / f"_native{library._ENDING}").write_bytes(b"no library")
    monkeypatch.setattr(library.textrnn.native, "__path__", [str(tmp_path)])
    native = library.load_native.__wrapped__()
    assert native.library is None
    assert "cannot be loaded" in native.reason
    (tmp_path / f"_native{library._ENDING}").unlink()
    assert "not compiled" in library.load_native.__wrapped__().reason
