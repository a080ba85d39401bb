"""The answers of the paths: those of predict and explain, and errors that say what to do."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from command import Run
from textrnn.errors import ModelError
from textrnn.inference.engine import Engine
from textrnn.serialization.model_file import load_model
from textrnn.server.model_store import ModelStore

TEXTS = ["green tea with lemon please", "black coffee", "", "환불 부탁드립니다", "tea \ud83c\udf75 coffee <b>"]
LINES = "".join(f"{text}\n" for text in (t.encode("utf-16", "surrogatepass").decode("utf-16") for t in TEXTS))
JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}

MakeClient = Callable[..., TestClient]


class GatedEngine(Engine):
    """An engine that waits for its ``gate``."""

    gate: threading.Event

    def predict_log_probabilities(self, texts: Any, *, threads: int | None = None) -> Any:
        self.gate.wait(20)
        return super().predict_log_probabilities(texts, threads=threads)


@pytest.fixture
def gated(trained: Path) -> GatedEngine:
    engine = GatedEngine(load_model(trained / "runs/small"))
    engine.gate = threading.Event()
    return engine


def store_of(engine: Engine) -> ModelStore:
    return ModelStore({"default": None}, lambda _: engine)


def predict(invoke: Run, folder: Path, *options: object) -> list[str]:
    done = invoke("predict", "--format", "jsonl", *options, cwd=folder, stdin=LINES.encode())
    assert done.returncode == 0, done.stderr.decode()
    return list(done.stdout.decode().splitlines(keepends=True))


def check_answers(client: TestClient, expected: list[str], query: str = "") -> None:
    """Check one text, a list and lines against the lines of predict."""
    for text, line in zip(TEXTS, expected, strict=True):
        assert client.post(f"/predict{query}", content=json.dumps({"text": text}), headers=JSON).text == line
    listed = client.post(f"/predict{query}", content=json.dumps({"texts": TEXTS}), headers=JSON).json()
    assert listed == {"predictions": [*map(json.loads, expected)]}
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).removesuffix("\n")
    assert client.post(f"/predict{query}", content=lines, headers=NDJSON).text == "".join(expected)


@pytest.mark.parametrize("top_k", [None, 2])
def test_answers_are_those_of_predict(client: TestClient, trained: Path, invoke: Run, top_k: int | None) -> None:
    expected = predict(invoke, trained, *([] if top_k is None else ["-k", top_k]))
    check_answers(client, expected, "" if top_k is None else f"?top_k={top_k}")
    in_body = client.post("/predict", json={"text": TEXTS[0], **({} if top_k is None else {"top_k": top_k})})
    assert in_body.text == expected[0]


def test_answers_of_a_multi_label_model(trained_multi_label: Path, invoke: Run, make_client: MakeClient) -> None:
    client = make_client(store_of(Engine.load(trained_multi_label / "runs/small")))
    for options, query in (([], ""), (["--threshold", 0.2], "?threshold=0.2"), (["-k", 2], "?top_k=2")):
        check_answers(client, predict(invoke, trained_multi_label, *options), query)
    text = "i want my money back, the parcel came late"
    done = invoke("explain", "--json", text, cwd=trained_multi_label)
    assert client.post("/explain", json={"text": text}).content == done.stdout


def test_thresholds_of_confidence_apply(trained: Path, make_client: MakeClient) -> None:
    model = replace(load_model(trained / "runs/small"), confidence_thresholds=(math.inf, 0.0))
    client = make_client(store_of(Engine(model)))
    labels = [client.post("/predict", json={"text": text}).json()["label"] for text in ("black coffee", "green tea")]
    assert labels == ["unknown", "tea"]


def test_explanations_are_those_of_explain(client: TestClient, trained: Path, invoke: Run) -> None:
    for options, content in (([], {}), (["--label", "tea"], {"label": "tea"})):
        expected = invoke("explain", "--json", *options, TEXTS[0], cwd=trained).stdout
        assert client.post("/explain", json={"text": TEXTS[0], **content}).content == expected


def test_line_ends_in_a_text_are_spaces(client: TestClient) -> None:
    answers = [client.post("/predict", json={"text": text}).text for text in ("green\r\ntea\nnow\r", "green tea now ")]
    assert answers[0] == answers[1]


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
        ("/predict", b'{"text": "a", "top": 1}', 400, "unknown option 'top'", "body"),
        ("/predict?k=1", b'{"text": "a"}', 400, "unknown option 'k'", "query"),
        ("/predict?top_k=0", b'{"text": "a"}', 400, "top_k is not an integer of 1 or more", "query, top_k"),
        ("/predict?top_k=1", b'{"text": "a", "top_k": 2}', 400, "top_k is in the query and in the body", "query"),
        ("/predict", b'{"text": "a", "top_k": true}', 400, "top_k is not an integer of 1 or more", "body, top_k"),
        ("/predict?threshold=nan", b'{"text": "a"}', 400, "threshold is not a number from 0 to 1", "query, threshold"),
        ("/predict?threshold=0.5", b'{"text": "a"}', 400, "the model is single-label", "threshold"),
        ("/predict?model=x", b'{"text": "a"}', 404, "no such model", "query, model"),
        ("/explain", b'{"texts": ["a"]}', 400, "only one text can be explained", "body, texts"),
        ("/explain", b'{"text": "a", "label": "water"}', 400, "the model has no label 'water'", "label"),
        ("/explain", b'{"text": "a", "label": []}', 400, "label is not a label or a list of labels", "body, label"),
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


def test_a_full_queue_and_a_slow_engine_refuse(gated: GatedEngine, make_client: MakeClient) -> None:
    client = make_client(store_of(gated), max_queue=3)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(client.post, "/predict", json={"texts": ["a", "b"]})
        while "textrnn_queue_texts 2.0" not in client.get("/metrics").text:
            assert not first.done()
        refused = client.post("/predict", json={"texts": ["c", "d"]})
        gated.gate.set()
        assert first.result().status_code == 200
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    gated.gate.clear()
    late = make_client(store_of(gated), timeout=0.05).post("/predict", json={"text": "a"})
    gated.gate.set()
    assert (late.status_code, late.json()["error"]["what"]) == (504, "no answer within 0.05 s")


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


def test_several_models_and_their_replacement(trained: Path, make_client: MakeClient) -> None:
    engines = {"a": Engine.load(trained / "runs/small"), "b": Engine.load(trained / "runs/small")}
    store = ModelStore({name: Path(name) for name in engines}, lambda path: engines[str(path)])
    client = make_client(store)
    unnamed = client.post("/predict", json={"text": "tea"})
    assert (unnamed.status_code, unnamed.json()["error"]["fix"]) == (400, "add ?model=NAME: a, b")
    assert client.post("/predict?model=b", json={"text": "green tea"}).json()["label"] == "tea"
    other = replace(engines["b"].model, labels=("x", "y"))
    engines["b"] = Engine(other)
    store.reload()
    assert client.post("/predict", json={"text": "green tea", "model": "b"}).json()["label"] == "y"
    assert [model["labels"] for model in client.get("/models").json()["models"]] == [["coffee", "tea"], ["x", "y"]]

    def fail(path: object) -> Engine:
        raise ModelError(path, "damaged")

    store._load = fail
    with pytest.raises(ModelError):
        store.reload()
    assert client.post("/predict?model=b", json={"text": "green tea"}).json()["label"] == "y"


def test_a_fault_of_the_server_is_no_traceback(trained: Path, make_client: MakeClient) -> None:
    engine = Engine.load(trained / "runs/small")
    engine.predict_log_probabilities = None  # type: ignore[assignment]
    answer = make_client(store_of(engine)).post("/predict", json={"text": "my secret"})
    assert (answer.status_code, answer.json()["error"]["what"]) == (500, "internal error")
    assert "secret" not in answer.text


def test_the_description_has_examples_that_work(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    tried = 0
    for path in ("/predict", "/explain"):
        post = paths[path]["post"]
        answers = [
            each["value"] for each in post["responses"]["200"]["content"]["application/json"]["examples"].values()
        ]
        for kind, media in post["requestBody"]["content"].items():
            for example in media["examples"].values():
                content = example["value"] if isinstance(example["value"], str) else json.dumps(example["value"])
                answer = client.post(path, content=content, headers={"Content-Type": kind})
                assert answer.status_code == 200
                assert set(json.loads(answer.text.splitlines()[0])) in [set(each) for each in answers]
                tried += 1
    assert tried == 4
    assert set(paths) == {"/predict", "/explain", "/models", "/healthz", "/readyz", "/metrics"}


def test_metrics_count_requests_and_texts(client: TestClient) -> None:
    client.post("/predict", json={"texts": ["a", "b", "c"]})
    client.post("/predict", content=b'{"text": "a"}\n{"text": 1}\n', headers=NDJSON)
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
