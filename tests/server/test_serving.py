"""``textrnn serve`` as a process: several workers."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from server_process import Server

Start = Callable[..., Server]


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
