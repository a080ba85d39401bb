"""``textrnn serve`` as a process: signals, workers, bad connections, the log."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest

from server_process import Server

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
                except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError) as error:
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
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
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


def test_workers_share_a_port_and_their_metrics(start: Start, tmp_path: Path) -> None:
    server = start("--workers", 2)
    assert len(list(tmp_path.glob("textrnn-metrics-*"))) == 1
    for _ in range(12):
        assert server.post({"text": "green tea"}).json()["label"] == "tea"
    metrics = httpx.get(server.url + "/metrics").text
    assert 'textrnn_requests_total{route="/predict",status="200"} 12.0' in metrics
    children = subprocess.check_output(["ps", "-o", "pid=", "--ppid", str(server.process.pid)]).split()
    os.kill(int(children[0]), signal.SIGKILL)
    assert server.wait_for("worker ended")["status"] == -signal.SIGKILL
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("reloaded", 2)
    assert server.post({"text": "green tea"}).json()["label"] == "tea"
    assert server.stop(signal.SIGINT) == 0
    assert list(tmp_path.glob("textrnn-metrics-*")) == []
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(int(child), 0)


def test_bad_connections_do_not_harm_the_others(start: Start) -> None:
    server = start("--timeout", 0.3, "--max-body", 0.01)
    host, port = server.url.removeprefix("http://").split(":")
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
    cases = {
        b"GARBAGE\r\n\r\n": b"HTTP/1.1 400",
        head + b'20000\r\n\r\n{"text": "' + b"a" * 19_990: b"HTTP/1.1 413",
        head + b"1000000000\r\n\r\n": b"HTTP/1.1 413",
        head + b'100\r\n\r\n{"text": "': b"HTTP/1.1 408",
    }
    for request, expected in cases.items():
        with socket.create_connection((host, int(port)), timeout=30) as bad:
            bad.sendall(request)
            answer = b"".join(iter(partial(bad.recv, 65536), b""))
        assert answer.startswith(expected), request[:80]
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["fix"]
    endless = b"GET / HTTP/1.1\r\nA: " + b"b" * (64 << 20)
    with socket.create_connection((host, int(port)), timeout=30) as bad, pytest.raises(ConnectionError):
        bad.sendall(endless)
    for _ in range(20):
        with socket.create_connection((host, int(port)), timeout=30) as bad:
            bad.sendall(head + b'30\r\n\r\n{"text": "a"')
    assert server.post({"text": "green tea"}).json()["label"] == "tea"
    assert server.stop() == 0


def test_torch_is_not_loaded(start: Start) -> None:
    server = start()
    server.post({"text": "green tea"})
    server.post({"text": "green tea"}, "/explain")
    maps = Path(f"/proc/{server.process.pid}/maps")
    if maps.exists():
        assert "libtorch" not in maps.read_text()


def test_workers_end_with_their_parent(start: Start) -> None:
    server = start("--workers", 2)
    server.post({"text": "green tea"})
    children = subprocess.check_output(["ps", "-o", "pid=", "--ppid", str(server.process.pid)]).split()
    server.process.kill()
    server.process.wait()
    for child in map(int, children):
        for _ in range(1000):
            try:
                os.kill(child, 0)
            except ProcessLookupError:
                break
            time.sleep(0.01)
        else:
            pytest.fail(f"worker {child} runs without its parent")
