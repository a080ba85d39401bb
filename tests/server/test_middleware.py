"""The token, names of the host, CORS, the limit of open requests, and the counters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
from starlette.testclient import TestClient

from textrnn.server.application import Service
from textrnn.server.model_store import ModelStore
from textrnn.server.settings import Settings

MakeClient = Callable[..., TestClient]


def test_a_token_protects_all_but_health_and_page(make_client: MakeClient) -> None:
    client = make_client(token=b"secret")
    assert [client.get(path).status_code for path in ("/", "/healthz", "/readyz")] == [200] * 3
    for given in ("", "Bearer other", "Basic secret", "Bearer secret2"):
        answer = client.post("/predict", json={"text": "a"}, headers={"Authorization": given})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert client.get("/metrics").status_code == client.get("/openapi.json").status_code == 401
    for given in ("Bearer secret", "bearer  secret"):
        assert client.post("/predict", json={"text": "a"}, headers={"Authorization": given}).status_code == 200


def test_names_of_other_sites_are_refused(make_client: MakeClient) -> None:
    client = make_client(hosts=frozenset({"localhost", "127.0.0.1", "::1"}))
    for host in ("localhost:8000", "LOCALHOST", "127.0.0.1:1", "[::1]:8000"):
        assert client.get("/models", headers={"Host": host}).status_code == 200
    for host in ("evil.example", "localhost.evil.example:8000", "127.0.0.1.evil.example", "[::1"):
        answer = client.get("/models", headers={"Host": host})
        assert (answer.status_code, answer.json()["error"]["where"]) == (421, "Host")
        assert "--token-file" in answer.json()["error"]["fix"]


def test_open_requests_have_a_limit(store: ModelStore) -> None:
    async def talk() -> None:
        service = Service(Settings(max_requests=1), store)
        scope = {"type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict", "query_string": b""}
        scope |= {"headers": [(b"content-type", b"application/x-ndjson")], "root_path": ""}
        stream = asyncio.ensure_future(service.app(scope, asyncio.Queue().get, asyncio.Queue().put))
        await asyncio.sleep(0)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://x") as client:
            refused = await client.post("/predict", json={"text": "a"})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert (await client.get("/healthz")).status_code == 200
            stream.cancel()
            await asyncio.wait([stream])
            assert (await client.post("/predict", json={"text": "a"})).status_code == 200

    asyncio.run(talk())


def test_only_named_origins_may_use_it(make_client: MakeClient) -> None:
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    client = make_client(origins=("https://a.example",), token=b"secret")
    assert client.options("/predict", headers=asked).headers["access-control-allow-origin"] == "https://a.example"
    assert client.options("/predict", headers={**asked, "Origin": "https://b.example"}).status_code == 400
    assert (
        "access-control-allow-origin" not in make_client().post("/predict", json={"text": "a"}, headers=asked).headers
    )


def test_metrics_count_requests_and_texts(client: TestClient) -> None:
    client.post("/predict", json={"texts": ["a", "b", "c"]})
    client.post("/predict", content=b'{"text": "a"}\n{"text": 1}\n', headers={"Content-Type": "application/x-ndjson"})
    client.get("/x")
    lines = client.get("/metrics").text.splitlines()
    for line in (
        'textrnn_requests_total{route="/predict",status="200"} 2.0',
        'textrnn_requests_total{route="other",status="404"} 1.0',
        'textrnn_texts_total{model="default"} 4.0',
        'textrnn_request_seconds_count{route="/predict"} 2.0',
        "textrnn_batch_texts_sum 4.0",
        "textrnn_queue_texts 0.0",
    ):
        assert line in lines
