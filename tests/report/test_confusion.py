"""The confusion matrix: order of the classes, strokes, and which texts are kept."""

from __future__ import annotations

import json
import re

import numpy as np

from textrnn.evaluation.predictions import Predictions, Scores
from textrnn.evaluation.single_label import Evaluation, evaluate_predictions
from textrnn.report.confusion import LEVELS, MAX_DRAWN, draw_heat_map, seriate
from textrnn.report.samples import CellSamples


def evaluate(true: list[int], predicted: list[int], labels: int) -> Evaluation:
    scores = Scores(np.full(len(true), 0.5, np.float32), np.full(len(true), 0.5, np.float32))
    names = tuple(f"label {index}" for index in range(labels))
    columns = (np.array(true, np.int32), np.array(predicted, np.int32), scores.confidence)
    return evaluate_predictions(Predictions(names, labels, *columns, scores, scores, 1.0))


def test_confused_classes_stand_together() -> None:
    matrix = np.diag([50] * 6)
    for first, second in ((0, 3), (1, 5), (2, 4)):
        matrix[first, second] = matrix[second, first] = 10
    order = seriate(matrix).tolist()
    assert sorted(order) == list(range(6))
    assert all(abs(order.index(first) - order.index(second)) == 1 for first, second in ((0, 3), (1, 5), (2, 4)))


def test_strokes_cover_each_cell_once_with_its_level() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 30, 2000)
    predicted = np.where(rng.random(2000) < 0.7, true, rng.integers(0, 30, 2000))
    found = evaluate(true.tolist(), predicted.tolist(), 30)
    heat_map = draw_heat_map(found, CellSamples())
    counts = np.array([[int(n or 0) for n in row.split(",")] for row in json.loads(heat_map.data)["rows"]])
    drawn = np.zeros((30, 30), int)
    for level, path in heat_map.paths:
        for start, row, length in re.findall(r"M(\d+) (\d+)\.5h(\d+)", path):
            drawn[int(row), int(start) : int(start) + int(length)] += level
    shares = counts / counts.sum(axis=1, keepdims=True)
    expected = sum((shares > level).astype(int) for level in LEVELS)
    assert (drawn == expected).all()


def test_of_many_classes_those_with_mistakes_are_drawn() -> None:
    labels = MAX_DRAWN + 50
    true = [*range(labels)] * 2
    predicted = [*range(labels), *range(labels)]
    predicted[0] = labels - 1
    heat_map = draw_heat_map(evaluate(true, predicted, labels), CellSamples())
    assert (len(heat_map.labels), heat_map.left_out) == (MAX_DRAWN, 50)
    assert {"label 0", f"label {labels - 1}"} <= set(heat_map.labels)
