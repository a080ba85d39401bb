"""The page in a browser: no request, no error, clicks, keys, sorting, widths, accessibility."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curve_folder import FLAT, write_curve
from pages import Page
from textrnn.cli.training_process import write_curve_page


@pytest.fixture(params=[360, 1280])
def opened(browser: Any, page: Page, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page in a window; at its end there must have been no request but for the page, and no error."""
    tab = browser.new_page(viewport={"width": request.param, "height": 800})
    messages: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: messages.append(message.text))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.on("request", lambda sent: requests.append(sent.url))
    tab.goto(page.path.as_uri())
    yield tab
    assert messages == []
    assert requests == [page.path.as_uri()]
    tab.close()


def test_nothing_overflows(opened: Any) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_click_on_a_cell_lists_its_texts(opened: Any, page: Page) -> None:
    cells = page.cells
    (key, texts), *_ = cells["texts"].items()
    row, column = map(int, key.split(","))
    opened.locator("#cells .ground").scroll_into_view_if_needed()
    box = opened.locator("#cells .ground").bounding_box()
    pitch = box["width"] / len(cells["labels"])
    opened.mouse.click(box["x"] + (column + 0.5) * pitch, box["y"] + (row + 0.5) * pitch)
    assert opened.locator("#cell-texts li").all_inner_texts() == texts
    said = opened.locator("#cell").inner_text()
    assert said.startswith(f"true: {cells['labels'][row]}, predicted: {cells['labels'][column]}, ")


def test_keys_choose_a_cell(opened: Any, page: Page) -> None:
    cells = page.cells
    (key, texts), *_ = cells["texts"].items()
    row, column = map(int, key.split(","))
    opened.locator("#matrix").focus()
    for name, count in (("ArrowDown", row), ("ArrowRight", column)):
        for _ in range(count):
            opened.keyboard.press(name)
    assert opened.locator("#cell-texts li").count() == 0
    opened.keyboard.press("Enter")
    assert opened.locator("#cell-texts li").all_inner_texts() == texts


@pytest.mark.parametrize("column", range(5))
def test_headings_sort(opened: Any, column: int) -> None:
    head = opened.locator("table.sortable thead th").nth(column)
    script = """column => [...document.querySelectorAll("table.sortable tbody tr")].map(
        row => column ? Number(row.cells[column].dataset.value) : row.cells[0].innerText)"""
    head.locator("button").focus()
    for direction in ("ascending", "descending") if column == 0 else ("descending", "ascending"):
        opened.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == direction
        shown = opened.evaluate(script, column)
        if column:
            assert shown == sorted(shown, reverse=direction == "descending")
        else:
            names = [name for name in shown if name in ("coffee", "tea")]
            assert names == sorted(names, reverse=direction == "descending")
    assert opened.locator("th[aria-sort]").count() == 1


def test_the_model_card_can_be_copied(opened: Any) -> None:
    opened.locator("button.copy").click()
    opened.get_by_text(re.compile(r"^(Copied\.|Selected; copy it with Ctrl-C\.)$")).wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, page: Page, axe: str, theme: str) -> None:
    tab = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=theme)
    tab.goto(page.path.as_uri())
    found = tab.evaluate(f"{axe}; axe.run().then(result => result.violations.map(each => each.id))")
    tab.close()
    assert found == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_of_a_learning_curve(browser: Any, axe: str, tmp_path: Path, theme: str, width: int) -> None:
    folder = write_curve(tmp_path / "a-folder-with-a-long-name-for-a-narrow-window", FLAT)
    write_curve_page(folder)
    tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
    tab.goto((folder / "report.html").as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found = tab.evaluate(f"{axe}; axe.run().then(result => result.violations.map(each => each.id))")
    tab.close()
    assert found == []
