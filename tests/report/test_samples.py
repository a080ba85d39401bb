"""Samples: bounded, of their cell, and the most extreme ones."""

from __future__ import annotations

import numpy as np

from textrnn.report.samples import CELL_CHARACTERS, PER_CELL, CellSamples, Extremes, LabelErrorSearch, Sample


def test_samples_are_bounded_and_of_their_cell() -> None:
    cells = CellSamples()
    for start in range(0, 1000, 100):
        texts = [f"text {number} {'long ' * 100}" for number in range(start, start + 100)]
        cells.add(["a", "b"] * 50, ["a"] * 100, texts)
    kept = cells.get("b", "a")
    assert len(kept) == PER_CELL
    assert all(len(text) == CELL_CHARACTERS and int(text.split()[1]) % 2 for text in kept)
    assert max(int(text.split()[1]) for text in kept) > 100  # not only the first ones
    assert cells.get("a", "b") == []


def test_the_highest_scores_are_kept() -> None:
    extremes = Extremes(3)
    scores = np.float32([0.1, 0.9, -np.inf, 0.5, 0.9, 0.3])
    for start in (0, 2, 4):
        part = scores[start : start + 2]
        for place in extremes.choose(part):
            extremes.add(float(part[place]), Sample(f"text {start + place}", "a", "b", 0.5))
    assert [sample.text for sample in extremes.samples] == ["text 1", "text 4", "text 3"]


def test_label_errors_are_searched_in_few_texts_only() -> None:
    search = LabelErrorSearch(["a", "b"])
    probabilities = np.float32([[0.9, 0.1]] * 9 + [[0.1, 0.9]] * 9 + [[0.95, 0.05], [0.5, 0.5]])
    true = np.array([0] * 9 + [1] * 9 + [1, -1])
    search.add(true, probabilities, [f"text {number}" for number in range(20)])
    found = search.find(5)
    assert found is not None
    assert [(sample.text, sample.true, sample.label) for sample in found[0]] == [("text 18", "b", "a")]
    assert found[1] == 1
    search.MAX_TEXTS = 30
    search.add(true, probabilities, ["text"] * 20)
    assert search.find(5) is None
