"""The application in this process, and as a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from server_process import Server
from textrnn.inference.engine import Engine
from textrnn.server.application import Service
from textrnn.server.model_store import ModelStore
from textrnn.server.settings import Settings

MakeClient = Callable[..., TestClient]


@pytest.fixture(scope="module")
def store(trained: Path) -> ModelStore:
    """One model."""
    return ModelStore({"default": trained / "runs/small"}, lambda path: Engine.load(path or Path()))


@pytest.fixture
def make_client(store: ModelStore) -> Iterator[MakeClient]:
    """Return a client of an application with these settings, or with another ``store``."""
    with ExitStack() as stack:

        def make(other: ModelStore = store, **settings: Any) -> TestClient:
            service = Service(Settings(**settings), other)
            return stack.enter_context(TestClient(service.app, raise_server_exceptions=False))

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    """A client of an application with default settings."""
    return make_client()


@pytest.fixture
def start(trained: Path, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start ``textrnn serve`` with options, by default with the model of ``trained``."""
    servers: list[Server] = []

    def run(*options: object, program: str | None = None) -> Server:
        options = options if "-m" in options else ("-m", trained / "runs/small", *options)
        servers.append(Server(tmp_path, *options, program=program))
        return servers[-1]

    yield run
    for server in servers:
        server.process.kill()
        server.process.wait()
        server.log.close()
