"""The description of the paths."""

from __future__ import annotations

import json

from starlette.testclient import TestClient


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
