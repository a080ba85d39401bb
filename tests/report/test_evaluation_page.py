"""The evaluation page: its figures, its escaping, its size, and what a multi-label model leaves out."""

from __future__ import annotations

import json
import random
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from command import Run
from pages import Page
from samples import make_config, make_model
from textrnn.inference.engine import Engine
from textrnn.report.evaluation_page import make_page
from textrnn.report.headline import format_metric
from textrnn.report.template import Origin
from textrnn.tokenization.tokenizer import Tokenizer

ORIGIN = Origin(model="model", data="data", command="textrnn report data", version="1")


def check_headline(page: Page, keys: list[str]) -> None:
    shown = dict(page.find(r'data-key="(\w+)">([^<]*)<'))
    assert shown == {key: format_metric(key, page.evaluation[key]) for key in (*keys, "weighted_f1")}
    assert f"{page.evaluation['correct']:,} of {page.evaluation['texts']:,} texts with" in page.html
    assert f"{page.evaluation['loss_uncalibrated']:.4f} uncalibrated" in page.html
    assert f"{100 * page.evaluation['calibration_error_uncalibrated']:.2f} points uncalibrated" in page.html
    assert f"Temperature: {page.evaluation['temperature']:.3f}." in page.html


def check_classes(page: Page, columns: list[str]) -> None:
    rows = page.find(r'<tr><th scope="row"[^>]*><bdi>(.*?)</bdi></th>(.*?)</tr>')
    assert [label for label, _ in rows] == [each["label"] for each in page.evaluation["classes"]]
    for (_, cells), each in zip(rows, page.evaluation["classes"], strict=True):
        numbers = list(map(float, re.findall(r'data-value="([^"]*)"', cells)))
        assert numbers == [-1 if each[column] is None else each[column] for column in columns]
        assert format_metric("f1", each["f1"]) in cells


def test_the_figures_are_those_of_evaluate(page: Page) -> None:
    check_headline(page, ["accuracy", "macro_f1", "loss", "calibration_error"])
    check_classes(page, ["precision", "recall", "f1", "support"])


def test_intervals_contain_their_figures(page: Page) -> None:
    for key in ("accuracy", "macro_f1", "loss", "calibration_error"):
        [[low, high]] = page.find(rf'data-key="{key}">[^<]*</span>\s*<span class="interval">([\d.]+) to ([\d.]+)<')
        value = page.evaluation[key] * (1 if key == "loss" else 100)
        assert float(low) - 0.01 <= value <= float(high) + 0.01


def test_the_confusion_matrix_is_that_of_evaluate(page: Page) -> None:
    labels, matrix = page.evaluation["labels"], page.evaluation["confusion"]
    shown = page.cells
    assert sorted(shown["labels"]) == sorted(labels)
    counts = [[int(count or 0) for count in row.split(",")] for row in shown["rows"]]
    places = [labels.index(label) for label in shown["labels"]]
    assert counts == [[matrix[i][j] for j in places] for i in places]
    i, j = shown["labels"].index("coffee"), shown["labels"].index("tea")
    assert "green tea with lemon now" in shown["texts"][f"{i},{j}"]
    assert all(0 < len(texts) <= 4 for texts in shown["texts"].values())


class _Tags(HTMLParser):
    """Collects the tags of a page, and checks that they are balanced."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts: list[dict[str, str | None]] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        if tag == "script":
            self.scripts.append(dict(attrs))
        if tag not in {"meta", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_labels_and_texts_are_escaped(page: Page) -> None:
    tags = _Tags()
    tags.feed(page.html)
    assert tags.open == []
    assert tags.scripts == [{"type": "application/json", "id": "confusion-data"}, {}]
    assert not {name for name in tags.attributes if name.startswith("on") or name == "style"}
    assert "<img" not in page.html
    assert not set("\x00\u202e\u202c") & set(page.html)
    assert "&lt;img src=x onerror=alert(2)&gt;" in page.html
    samples = {text for texts in page.cells["texts"].values() for text in texts}
    assert {"</script><script>alert(3)</script>", "coffee [U+202E]klim[U+202C] and ␀ sugar"} <= samples
    assert "http://" not in re.sub(r'xmlns="[^"]*"', "", page.html)
    [policy] = page.find(r'http-equiv="Content-Security-Policy" content="([^"]*)"')
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_the_page_has_curves_warnings_and_a_model_card(page: Page) -> None:
    assert page.html.count('<svg class="chart" role="img"') == 7
    assert "<b>duplicate</b>: texts that repeat an earlier one with the same label (16)" in page.html
    assert f"| accuracy | {format_metric('accuracy', page.evaluation['accuracy'])} |" in page.html
    assert "textrnn train --train rows.tsv" in page.html
    assert "6 texts have labels that the model does not know" in page.html


def test_probable_label_errors_are_listed(page: Page) -> None:
    shown = page.find(
        r'labelled <bdi title="(.*?)">.*?suggested: <bdi title="(.*?)">.*?<p class="text" dir="auto">(.*?)</p>'
    )
    assert ("coffee", "tea", "green tea with lemon now") in shown
    assert ("tea", "coffee", "black coffee with milk again") in shown
    assert not {true for true, *_ in shown} - {"tea", "coffee"}


def test_a_multi_label_page_says_what_is_left_out(multi_label_page: Page) -> None:
    check_headline(multi_label_page, ["micro_f1", "accuracy", "macro_f1", "loss", "calibration_error"])
    check_classes(multi_label_page, ["precision", "recall", "f1", "support", "threshold"])
    assert "Left out: a text of this multi-label model can have several labels" in multi_label_page.html
    assert "Coverage against accuracy is left out" in multi_label_page.html
    assert 'id="confusion-data"' not in multi_label_page.html
    for key in ("micro_f1", "macro_f1", "accuracy", "loss"):
        pattern = rf'data-key="{key}">[^<]*</span>\s*<span class="interval">([\d.]+) to ([\d.]+)<'
        [[low, high]] = multi_label_page.find(pattern)
        assert float(low) <= multi_label_page.evaluation[key] * (1 if key == "loss" else 100) <= float(high)


@pytest.mark.parametrize("rows", [4000, pytest.param(200_000, marks=pytest.mark.long)])
def test_a_page_of_150_classes_is_small(rows: int, tokenizer: Tokenizer) -> None:
    labels = tuple(f"label {number:03d} {'with a long name ' * 20}" for number in range(150))
    config = make_config(model__hidden=4, model__embedding=4, model__layers=1)
    engine = Engine(make_model(tokenizer, config, labels))
    rng = random.Random(0)

    def draw() -> str:
        return " ".join(rng.choices(("kettle", "parcel", "주문한", "책이", "points", "late", "<&>"), k=60))

    texts = [draw() for _ in range(1000)]
    # more texts than the engine has to read show the same in the page: cells, samples and tables are full
    batches = (([rng.choice(labels)], [rng.choice(texts)]) for _ in range(rows))
    page, found = make_page(engine, batches, config, origin=ORIGIN, pieces=20_000)
    assert found.evaluation.texts == rows
    assert len(page.encode()) < 1_000_000
    assert page.count('<tr><th scope="row"') == 150


def test_no_texts_and_one_text_make_a_page(tokenizer: Tokenizer) -> None:
    engine = Engine(make_model(tokenizer, make_config(model__hidden=4, model__embedding=4)))
    for batches in ([], [(["a"], [""])], [(["unknown"], ["my parcel"])]):
        page, found = make_page(engine, batches, make_config(), origin=ORIGIN)
        assert found.evaluation.texts == len(batches)
        assert page.endswith("</html>")


def test_saved_thresholds_are_shown_with_what_they_cover(trained: Path, invoke: Run, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    shutil.copy(trained / "runs/small/model.safetensors", model)
    for goal, shown in (
        (("--max-error", "0.2"), r"the saved threshold 0\.\d{6}: .* at most 20 % errors among the other texts, with"),
        (("--at-precision", "0.8"), r"a saved threshold for each predicted label .* at most 20 % errors .* for each"),
    ):
        done = invoke("evaluate", "-m", model, "rows.tsv", *goal, "--save-thresholds", "--json", cwd=trained)
        found = json.loads(done.stdout)["thresholds"]
        done = invoke("report", "-m", model, "rows.tsv", "-o", "-", cwd=trained)
        page = done.stdout.decode()
        assert re.search(shown, page)
        covered, errors = (sum(each[key] for each in found) for key in ("covered", "errors"))
        assert f"{covered:,} get a label (" in page
        assert f"), {errors:,} of them a wrong one (" in page
        assert page.count(">threshold</button>") == (len(found) > 1)
