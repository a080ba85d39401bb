"""``textrnn serve`` as a process: its signals, and torch."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from server_process import Server
from textrnn.errors import ModelError
from textrnn.inference.engine import Engine
from textrnn.server.model_store import ModelStore
from textrnn.server.worker import reload

Start = Callable[..., Server]


def test_requests_survive_a_reload_and_the_end(start: Start, trained: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    shutil.copy(trained / "runs/small/model.safetensors", model)
    server = start("-m", model)
    expected = server.post({"text": "green tea"}).text
    answers: list[str] = []
    failed: list[object] = []

    def send() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while len(answers) < 100_000:
                try:
                    answers.append(client.post("/predict", json={"text": "green tea"}).text)
                except httpx.TransportError as error:
                    failed.append(error)  # the end
                    return

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for count in range(1, 4):
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("reloaded", count)
    assert failed == []
    model.with_name("new").write_bytes(b"not a model")
    model.with_name("new").replace(model)
    server.process.send_signal(signal.SIGHUP)
    assert "not a textrnn model" in server.wait_for("reload failed")["error"]
    assert server.post({"text": "green tea"}).text == expected
    assert server.stop() == 0
    for thread in threads:
        thread.join()
    assert set(answers) == {expected}
    assert len(failed) == 4
    assert [line["event"] for line in server.lines if line["event"] != "request"][-2:] == ["stopping", "stopped"]
    assert "green tea" not in json.dumps(server.lines)


def test_a_request_that_has_begun_is_answered_after_the_signal(start: Start) -> None:
    server = start()
    host, port = server.url.removeprefix("http://").split(":")
    body = b'{"text": "green tea"}'
    head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as begun:
        begun.sendall(head.encode() + body[:5])
        httpx.get(server.url + "/healthz")
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("stopping")
        begun.sendall(body[5:])
        answer = b""
        while part := begun.recv(65536):
            answer += part
    assert server.process.wait(30) == 0
    assert answer.startswith(b"HTTP/1.1 200")
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_torch_is_not_loaded(start: Start) -> None:
    server = start()
    server.post({"text": "green tea"})
    server.post({"text": "green tea"}, "/explain")
    maps = Path(f"/proc/{server.process.pid}/maps")
    if maps.exists():
        assert "libtorch" not in maps.read_text()


SLOW = """
import time
from pathlib import Path
from textrnn.__main__ import main
from textrnn.inference.engine import Engine

def predict(self, texts, *, threads=None):
    Path("begun").touch()
    time.sleep(20)
    Path("ended").touch()

Engine.predict_log_probabilities = predict
main()
"""


def test_a_second_signal_does_not_wait_for_a_batch(start: Start, tmp_path: Path) -> None:
    server = start(program=SLOW)

    def send() -> None:
        with pytest.raises(httpx.TransportError):
            server.post({"text": "green tea"})

    thread = threading.Thread(target=send)
    thread.start()
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    server.process.send_signal(signal.SIGTERM)
    server.wait_for("stopping")
    assert server.stop(signal.SIGINT) == 128 + signal.SIGINT
    assert not (tmp_path / "ended").exists()
    assert server.lines[-1]["event"] == "stopped before all requests were answered"
    thread.join()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModelError("x", "damaged"), "x: damaged"),
        (MemoryError(), "MemoryError"),
        (ValueError("bad"), "ValueError: bad"),
    ],
)
def test_a_reload_that_fails_is_logged(
    error: Exception, reason: str, store: ModelStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(path: object) -> Engine:
        raise error

    monkeypatch.setattr(store, "_load", fail)
    assert not reload(store)
    assert caplog.records[-1].__dict__["fields"]["error"] == reason
