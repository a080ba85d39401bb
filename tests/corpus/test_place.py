"""Where the cache folder is on each system."""

from __future__ import annotations

from pathlib import Path

import pytest

from textrnn.corpus import place
from textrnn.corpus.place import find_cache_folder


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert find_cache_folder() == tmp_path / "textrnn"
    assert find_cache_folder("~/x") == tmp_path / "home" / "x"
    assert find_cache_folder("here") == Path.cwd() / "here"
    for value in ("", "not/absolute"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        for system, folder in (("linux", ".cache"), ("darwin", "Library/Caches")):
            monkeypatch.setattr(place.sys, "platform", system)
            assert find_cache_folder() == tmp_path / "home" / folder / "textrnn"
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.setattr(place.sys, "platform", "win32")
    assert find_cache_folder() == tmp_path / "local" / "textrnn"
