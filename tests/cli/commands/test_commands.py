"""The table of the commands."""

from __future__ import annotations

import pytest

from textrnn.cli.commands import COMMANDS, load_command


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_begins_the_docstring(name: str) -> None:
    assert (load_command(name).__doc__ or "").splitlines()[:2] == [COMMANDS[name][1], ""]
