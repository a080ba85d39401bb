"""The token, CORS and the counters."""

from __future__ import annotations

from collections.abc import Callable

from starlette.testclient import TestClient

MakeClient = Callable[..., TestClient]


def test_a_token_protects_all_but_health_and_page(make_client: MakeClient) -> None:
    client = make_client(token=b"secret")
    assert [client.get(path).status_code for path in ("/", "/healthz", "/readyz")] == [200] * 3
    for given in ("", "Bearer other", "Basic secret", "Bearer secret2"):
        answer = client.post("/predict", json={"text": "a"}, headers={"Authorization": given})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert client.get("/metrics").status_code == client.get("/openapi.json").status_code == 401
    allowed = {"Authorization": "Bearer secret"}
    assert client.post("/predict", json={"text": "a"}, headers=allowed).status_code == 200


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
