"""Errors say what happened, where, and what to do, and have no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from starlette.testclient import TestClient

from textrnn.inference.engine import Engine
from textrnn.server.model_store import ModelStore


def test_a_fault_of_the_server_is_no_traceback(trained: Path, make_client: Callable[..., TestClient]) -> None:
    engine = Engine.load(trained / "runs/small")
    engine.predict_log_probabilities = None  # type: ignore[assignment]
    answer = make_client(ModelStore({"default": None}, lambda _: engine)).post("/predict", json={"text": "my secret"})
    assert (answer.status_code, answer.json()["error"]["what"]) == (500, "internal error")
    assert "secret" not in answer.text
