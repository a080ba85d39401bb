"""Packages of extras: a missing one is a message with the command that installs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from textrnn.errors import ConfigError
from textrnn.extras import import_extra


def test_an_installed_module_is_returned() -> None:
    assert import_extra("json.decoder", extra="x", feature="y") is sys.modules["json.decoder"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "needs the package speedup"),
        ("import gone_away.part", "needs the package gone_away"),
        ("raise ImportError('too old')", "too old"),
    ],
)
def test_a_missing_module_is_named_with_its_extra(
    source: str | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    if source is not None:
        (tmp_path / "speedup.py").write_text(source)
    with pytest.raises(ConfigError, match=rf"^tune: {reason}; pip install 'textrnn\[fast\]'$"):
        import_extra("speedup", extra="fast", feature="tune")
