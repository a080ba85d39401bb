"""The door to the C++ library: errors of calls, and its absence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from textrnn.errors import BackendError
from textrnn.native import library


def call() -> None:
    one = np.ones((1, 1), np.float32)
    library.gemm(one, one, one.copy(), threads=1)


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


def test_a_library_that_cannot_be_loaded_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / f"_native{library._ENDING}").write_bytes(b"no library")
    monkeypatch.setattr(library.textrnn.native, "__path__", [str(tmp_path)])
    native = library.load_native.__wrapped__()
    assert native.library is None
    assert "cannot be loaded" in native.reason
    (tmp_path / f"_native{library._ENDING}").unlink()
    assert "not compiled" in library.load_native.__wrapped__().reason
