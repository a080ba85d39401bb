"""The page of the server in a browser, its policy, and the OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from server_process import Server

TEXT = "black coffee with <b>milk</b> today"


def test_the_policy_allows_its_own_style_and_script_alone(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


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


@pytest.fixture(scope="module")
def server(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("server")
    (folder / "token").write_text("secret")
    (folder / "token").chmod(0o600)
    models = ("-m", f"first={trained / 'runs/small'}", "-m", f"second={trained / 'runs/small'}")
    running = Server(folder, *models, "--token-file", "token")
    yield running
    assert running.stop() == 0


@pytest.fixture(params=[(360, "light"), (1280, "dark")], ids=["360-light", "1280-dark"])
def opened(browser: Any, server: Server, request: pytest.FixtureRequest) -> Any:
    """The page after the token was entered; no request may go elsewhere."""
    width, scheme = request.param
    tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    faults: list[str] = []
    requests: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("console", lambda message: faults.append(message.text) if "401" not in message.text else None)
    tab.on("request", lambda sent: requests.append(sent.url))
    tab.goto(server.url)
    tab.get_by_label("Token").fill("secret")
    yield tab
    assert faults == []
    assert {url for url in requests if not url.startswith((server.url, "data:"))} == set()
    tab.close()


def test_a_text_gets_labels_and_colored_words(opened: Any) -> None:
    opened.get_by_label("Text").fill(TEXT)
    opened.keyboard.press("Control+Enter")
    opened.locator("#labels li").first.wait_for()
    assert [row.split()[0] for row in opened.locator("#labels li").all_inner_texts()] == ["coffee", "tea"]
    widths = [box["width"] for box in (bar.bounding_box() for bar in opened.locator("#labels i").all())]
    assert widths[0] > widths[1]
    assert opened.locator("#words").inner_text() == TEXT
    assert opened.locator("#words ins, #words del").count() > 0
    assert opened.locator("#effect-title").inner_text() == "Effect of each word on coffee"
    assert opened.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert opened.get_by_label("Model").locator("option").all_inner_texts() == ["first", "second"]


def test_a_wrong_token_is_an_error_on_the_page(browser: Any, server: Server) -> None:
    tab = browser.new_page()
    tab.goto(server.url)
    tab.get_by_label("Token").fill("other")
    tab.get_by_label("Text").fill("tea")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.get_by_text("send the header Authorization").wait_for()
    tab.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, server: Server, axe: str, theme: str) -> None:
    tab = browser.new_page(color_scheme=theme)
    tab.goto(server.url)
    tab.get_by_label("Token").fill("secret")
    tab.get_by_label("Text").fill(TEXT)
    tab.keyboard.press("Control+Enter")
    tab.locator("#labels li").first.wait_for()
    found = tab.evaluate(f"{axe}; axe.run().then(result => result.violations.map(each => each.id))")
    tab.close()
    assert found == []
