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

import numpy as np
import pytest
from starlette.testclient import TestClient

from command import Run
from samples import make_config, make_model
from textrnn.errors import ModelError
from textrnn.inference.engine import Engine
from textrnn.serialization.model_file import load_model, save_model
from textrnn.server.model_store import ModelStore
from textrnn.tokenization.tokenizer import Tokenizer

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


def test_answers_of_a_multi_label_model(
    tokenizer: Tokenizer, tmp_path: Path, invoke: Run, make_client: MakeClient
) -> None:
    config = make_config(data__multi_label=True, data__label_separator="|", model__hidden=8)
    (tmp_path / "runs/small").mkdir(parents=True)
    (tmp_path / "runs/latest").write_text("runs/small\n", encoding="utf-8")
    model = replace(make_model(tokenizer, config), thresholds=np.full(3, 0.4))
    save_model(tmp_path / "runs/small/model.safetensors", model)
    client = make_client(store_of(Engine.load(tmp_path / "runs/small")))
    for options, query in (([], ""), (["--threshold", 0.2], "?threshold=0.2"), (["-k", 2], "?top_k=2")):
        check_answers(client, predict(invoke, tmp_path, *options), query)
    text = "i want my money back, the parcel came late"
    for options, query in (([], ""), (["--label", "a"], "?label=a")):
        done = invoke("explain", "--json", *options, text, cwd=tmp_path)
        assert client.post(f"/explain{query}", json={"text": text}).content == done.stdout
    assert client.post("/explain?label=c&label=a", json={"text": text}).json()["label"] == ["c", "a"]


def test_thresholds_of_confidence_apply(trained: Path, make_client: MakeClient) -> None:
    model = replace(load_model(trained / "runs/small"), confidence_thresholds=(math.inf, 0.0))
    client = make_client(store_of(Engine(model)))
    labels = [client.post("/predict", json={"text": text}).json()["label"] for text in ("black coffee", "green tea")]
    assert labels == ["unknown", "tea"]


def test_explanations_are_those_of_explain(client: TestClient, trained: Path, invoke: Run) -> None:
    for options, query in (([], ""), (["--label", "tea"], "?label=tea")):
        expected = invoke("explain", "--json", *options, TEXTS[0], cwd=trained).stdout
        assert client.post(f"/explain{query}", json={"text": TEXTS[0]}).content == expected


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
    assert client.post("/predict?model=b", json={"text": "green tea"}).json()["label"] == "y"
    assert [model["labels"] for model in client.get("/models").json()["models"]] == [["coffee", "tea"], ["x", "y"]]

    def fail(path: object) -> Engine:
        raise ModelError(path, "damaged")

    store._load = fail
    with pytest.raises(ModelError):
        store.reload()
    assert client.post("/predict?model=b", json={"text": "green tea"}).json()["label"] == "y"


def test_answers_of_a_model_of_scores(scored: Path, invoke: Run, make_client: MakeClient) -> None:
    client = make_client(store_of(Engine.load(scored / "runs/small")))
    wanted = invoke("predict", "--format", "jsonl", cwd=scored, stdin=LINES.encode()).stdout.splitlines()
    found = client.post("/predict", json={"texts": LINES.splitlines()}).json()["predictions"]
    assert found == [json.loads(line) for line in wanted]
    assert set(client.post("/explain", json={"text": "green tea"}).json()) == {"score", "parts"}
    assert client.get("/models").json()["models"][0] | {"name": ""} == {
        "name": "",
        "lowest_score": 1.0,
        "highest_score": 10.0,
    }
    refused = client.post("/predict?top_k=2", json={"text": "tea"})
    assert (refused.status_code, refused.json()["error"]["what"]) == (400, "the model predicts scores")
    assert "score" in str(client.get("/openapi.json").json()["paths"]["/predict"])
