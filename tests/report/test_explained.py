"""Sample texts are shown with the effect of each word, as far as the cost is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from textrnn.inference.engine import Engine
from textrnn.inference.explain import find_parts
from textrnn.report.explained import Explainer
from textrnn.report.samples import Sample


@pytest.mark.parametrize(("folder", "label"), [("trained", "tea"), ("scored", "4.2")])
def test_words_have_effects_until_the_pieces_are_used_up(
    folder: str, label: str, request: pytest.FixtureRequest
) -> None:
    engine = Engine.load(request.getfixturevalue(folder) / Path("runs/small"))
    sample = Sample("green tea with lemon", "tea", label, 0.5)
    pieces = engine.tokenizer.encode_pieces(sample.text)
    cost = len(pieces) * (len(find_parts(pieces)) + 1)
    first, second = Explainer(engine, 2 * cost - 1).show([sample, sample])
    assert first.parts is not None
    assert "".join(text for text, _, _ in first.parts) == sample.text.replace(" ", "")
    assert all(-4 <= level <= 4 and level * effect >= 0 for _, level, effect in first.parts)
    assert (second.parts, second.text) == (None, sample.text)
