"""The choice of a backend."""

from __future__ import annotations

import pytest

from textrnn.errors import BackendError
from textrnn.native import library
from textrnn.ops.sru import backends


@pytest.mark.skipif(not library.is_available(), reason="the library was not compiled")
def test_auto_chooses_the_fastest_backend_for_device_and_dtype() -> None:
    assert backends.choose_backend("auto") == "cpu"
    assert backends.choose_backend("auto", dtype="bfloat16") == "cpu"
    assert backends.choose_backend("auto", dtype="float64") == "reference"
    assert backends.choose_backend("auto", device="mps") == "reference"
    with pytest.raises(BackendError, match="float32 and bfloat16"):
        backends.choose_backend("cpu", dtype="float16")


def test_auto_chooses_the_reference_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "load_native", lambda: library.Native(None, "it was not compiled"))
    backends._choose_fastest.cache_clear()
    try:
        assert backends.choose_backend("auto") == "reference"
        with pytest.raises(BackendError, match="not compiled"):
            backends.choose_backend("cpu")
    finally:
        backends._choose_fastest.cache_clear()
