"""Bodies and options: limits, and errors with their place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from textrnn.server.http_error import HttpError
from textrnn.server.request_body import BodyBudget

JSON = {"Content-Type": "application/json"}

MakeClient = Callable[..., TestClient]


@pytest.mark.parametrize(
    ("path", "content", "status", "what", "where"),
    [
        ("/predict", b'{"text": "a"\n "b"}', 400, "not JSON: expecting ',' delimiter", "line 2, column 2"),
        ("/predict", b'{"text": "\xff"}', 400, "not UTF-8", "byte 11"),
        ("/predict", b"[" * 100_000, 400, "not JSON: nested too deeply, or a number is too long", "body"),
        ("/predict", b"[]", 400, "the body should be an object with the key text or texts", "body"),
        ("/predict", b'{"text": "a", "texts": []}', 400, "the body should be an object", "body"),
        ("/predict", b'{"texts": ["a", null]}', 400, "texts[1] is null, not a text", "body, texts[1]"),
        ("/predict", b'{"texts": "a"}', 400, "texts should be a list", "body, texts"),
        ("/predict", b'{"text": "a", "top_k": 1}', 400, "unknown key 'top_k'", "body"),
        ("/predict?k=1", b'{"text": "a"}', 400, "unknown option 'k'", "query"),
        ("/predict?top_k=0", b'{"text": "a"}', 400, "top_k is not an integer of 1 or more", "query, top_k"),
        ("/predict?top_k=1&top_k=3", b'{"text": "a"}', 400, "top_k is given twice", "query, top_k"),
        ("/predict?top_k=1.5", b'{"text": "a"}', 400, "top_k is not an integer of 1 or more", "query, top_k"),
        ("/predict?threshold=nan", b'{"text": "a"}', 400, "threshold is not a number from 0 to 1", "query, threshold"),
        ("/predict?threshold=0.5", b'{"text": "a"}', 400, "the model is single-label", "threshold"),
        ("/predict?model=x", b'{"text": "a"}', 404, "no such model", "query, model"),
        ("/explain", b'{"texts": ["a"]}', 400, "only one text can be explained", "body, texts"),
        ("/explain?label=water", b'{"text": "a"}', 400, "the model has no label 'water'", "label"),
        ("/explain?label=tea&label=coffee", b'{"text": "a"}', 400, "the model is single-label", "label"),
        ("/nothing", b"{}", 404, "no such path", "POST /nothing"),
        ("/healthz", b"{}", 405, "the path does not support this method", "POST /healthz"),
    ],
)
def test_errors(client: TestClient, path: str, content: bytes, status: int, what: str, where: str) -> None:
    answer = client.post(path, content=content, headers=JSON)
    error = answer.json()["error"]
    assert (answer.status_code, error["where"]) == (status, where)
    assert error["what"].startswith(what)
    assert error["fix"]


@pytest.mark.parametrize(
    ("headers", "what"),
    [
        ({"Content-Type": "text/plain"}, "unsupported content type 'text/plain'"),
        ({"Content-Type": "application/json; charset=latin-1"}, "unsupported charset"),
        ({**JSON, "Content-Encoding": "gzip"}, "compressed bodies are not supported"),
    ],
)
def test_unsupported_bodies(client: TestClient, headers: dict[str, str], what: str) -> None:
    answer = client.post("/predict", content=b'{"text": "a"}', headers=headers)
    assert (answer.status_code, answer.json()["error"]["what"]) == (415, what)


def test_bodies_and_lists_have_limits(make_client: MakeClient) -> None:
    client = make_client(max_body=100, max_texts=2)
    assert client.post("/predict", json={"text": "a" * 80}).status_code == 200
    for size in (120, 10_000):
        answer = client.post("/predict", json={"text": "a" * size})
        assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert client.post("/predict", json={"texts": ["a", "b"]}).status_code == 200
    assert client.post("/predict", json={"texts": ["a", "b", "c"]}).status_code == 413
    assert client.post("/predict", json={"texts": []}).json() == {"predictions": []}


def test_all_bodies_together_have_a_limit() -> None:
    budget = BodyBudget(10)  # 80 bytes
    with budget.share() as first:
        first(70)
        with budget.share() as second:
            second(10)
            with pytest.raises(HttpError) as refused:
                second(11)
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")
        with budget.share() as third:
            third(10)
            first(60)
            third(20)
    with budget.share() as last:
        last(80)


def test_line_ends_in_a_text_are_spaces(client: TestClient) -> None:
    answers = [client.post("/predict", json={"text": text}).text for text in ("green\r\ntea\nnow\r", "green tea now ")]
    assert answers[0] == answers[1]
