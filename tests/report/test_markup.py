"""Text that is visible, and short enough."""

from __future__ import annotations

import pytest

from textrnn.report.markup import abbreviate, clean, measure_width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext 한국어 🙂\n", "plain\ttext 한국어 🙂\n"),
        ("nul \x00 bell \x07", "nul ␀ bell ␇"),
        ("\u202eright\u2066 \ufeff", "[U+202E]right[U+2066] [U+FEFF]"),
        ("surrogate \udcff", "surrogate [U+DCFF]"),
        ("क्‍ष", "क्‍ष"),  # joiners belong to their scripts
    ],
)
def test_control_characters_are_visible(text: str, shown: str) -> None:
    assert clean(text) == shown
    clean(text).encode("utf-8")


@pytest.mark.parametrize("text", ["short", "a label that is much too long", "주문한 책이 아직 안 왔어요", ""])
def test_abbreviations_fit(text: str) -> None:
    shown = abbreviate(text, 12)
    assert measure_width(shown) <= 12
    assert shown == text if measure_width(text) <= 12 else shown.endswith("…")
    assert text.startswith(shown.removesuffix("…"))
