"""The log."""

from __future__ import annotations

import json
import sys

from textrnn.server.monitoring import JsonFormatter, log


def test_the_log_has_no_texts() -> None:
    try:
        raise ValueError("my secret text")
    except ValueError:
        record = log.makeRecord(log.name, 40, "x", 1, "failed", (), sys.exc_info())
    line = JsonFormatter().format(record)
    assert json.loads(line)["exception"] == "ValueError"
    assert "secret" not in line
