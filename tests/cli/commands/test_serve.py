"""``textrnn serve``: its options and what it refuses. ``tests/server`` has the server itself."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from command import Run


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of :func:`serve`, which returns at once."""
    calls: list[dict[str, Any]] = []

    def serve(settings: object, store: Any, opened: socket.socket, **options: object) -> None:
        calls.append({"settings": settings, "models": [*store.engines], "address": opened.getsockname(), **options})

    monkeypatch.setattr("textrnn.server.serving.serve", serve)
    return calls


def test_options(
    trained: Path, invoke: Run, served: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "token").chmod(0o600)
    options = ("--port", 0, "--batch-wait", 5, "--max-body", 0.5, "--timeout", 2, "--token-file", tmp_path / "token")
    done = invoke("serve", "-m", "a=runs/small", "-m", "b=runs/small", *options, "--cors", "http://x.org", cwd=trained)
    assert (done.returncode, done.stderr) == (0, b"")
    [call] = served
    settings = call["settings"]
    assert (call["models"], call["workers"], call["address"][0]) == (["a", "b"], 1, "127.0.0.1")
    assert (settings.batch_wait, settings.max_body, settings.timeout) == (0.005, 1 << 19, 2.0)
    assert (settings.token, settings.origins) == (b"secret", ("http://x.org",))
    assert settings.hosts is None
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "missing"))
    assert invoke("serve", "--port", 0, "--host", "localhost", cwd=trained).returncode == 0
    assert served[1]["models"] == ["default"]
    assert served[1]["settings"].hosts == {"localhost", "127.0.0.1", "::1"}
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ
    assert invoke("serve", "--port", 0, "--host", "0.0.0.0", cwd=trained).returncode == 0
    assert served[2]["settings"].hosts is None


def test_a_token_that_all_can_read_is_a_warning(
    trained: Path, invoke: Run, served: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret")
    (tmp_path / "token").chmod(0o644)
    done = invoke("serve", "--port", 0, "--token-file", tmp_path / "token", cwd=trained)
    assert b"every user of this machine can read it; run: chmod 600" in done.stderr
    assert served


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("-m", "runs/small", "-m", "x"), 2, "--model runs/small: several models need names; write --model NAME="),
        (("-m", "a=runs/small", "-m", "a=x"), 2, "--model a=x: another model has this name; choose another"),
        (("-m", "a=nothing"), 1, "nothing: no such model file or run folder"),
        (("--host", "no such host"), 2, "--host no such host: unknown; give an address of this machine"),
        (
            ("--host", "203.0.113.1"),
            2,
            "--host 203.0.113.1 --port 0: cannot assign requested address; choose another --host",
        ),
        (("--cors", "example.org/x"), 2, "--cors example.org/x: not an origin; write it as https://example.org"),
        (("--token-file", "missing"), 2, "--token-file missing: cannot be read (No such file or directory)"),
        (("--token-file", "rows.tsv"), 2, "--token-file rows.tsv: should hold one word of ASCII characters"),
        (("--batch-wait", "-1"), 2, "invalid value for '--batch-wait'"),
    ],
)
def test_faults(options: tuple[str, ...], status: int, message: str, trained: Path, invoke: Run) -> None:
    done = invoke("serve", "--port", "0", *options, cwd=trained)
    assert done.returncode == status
    assert done.stderr.decode().startswith(f"textrnn: {message}")
    assert done.stderr.count(b"\n") == 1


def test_a_port_in_use(trained: Path, invoke: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = invoke("serve", "--port", port, cwd=trained)
    message = f"textrnn: --host 127.0.0.1 --port {port}: address already in use; choose another --port\n"
    assert (done.returncode, done.stderr.decode()) == (2, message)


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "httptools", "prometheus_client"])
def test_a_missing_package(package: str, trained: Path, invoke: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    done = invoke("serve", "--port", 0, cwd=trained)
    assert (done.returncode, done.stderr.decode()) == (
        2,
        f"textrnn: serve: needs the package {package}; pip install 'textrnn[serve]'\n",
    )
