"""The confusion matrix as a heat map, with confused classes beside each other."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.evaluation.single_label import Evaluation
from textrnn.report.markup import abbreviate, clean, measure_width
from textrnn.report.samples import PER_CELL, CellSamples

MAX_DRAWN = 150
"""Of more classes those with the most mistakes are drawn."""
LEVELS = (0.0, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
"""The color of a cell is the last level that the share of its row exceeds."""
_SAMPLE_BYTES = 330_000
_LABEL_CHARACTERS = 80
_SMALL_LABELS = 40  # with more of them the font is smaller
_NUMBERED = 14  # classes up to which cells show their numbers

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class HeatMap:
    """What the page needs to draw a confusion matrix of n classes, in their order.

    ``paths`` are the SVG paths of each level: horizontal strokes one unit wide over the cells of that level.
    ``numbers`` are (column, row, count, level) of cells that show their count. ``data`` is JSON for the page's script.
    """

    labels: list[str]
    short: list[str]
    paths: list[tuple[int, str]]
    numbers: list[tuple[int, int, int, int]]
    data: str
    left_out: int

    @property
    def margin(self) -> int:
        """The pixels that the longest label takes at the font size of the page."""
        size = 7 if len(self.labels) <= _SMALL_LABELS else 6
        return 12 + size * max(map(measure_width, self.short), default=0)


def draw_heat_map(evaluation: Evaluation, cells: CellSamples) -> HeatMap:
    """Return the heat map of the confusion matrix of ``evaluation``, with sample texts from ``cells``."""
    C = len(evaluation.labels)
    entries = np.array(evaluation.confusion, np.int64).reshape(-1, 3)
    chosen = _choose(entries, C)
    place = np.full(C, -1)
    place[chosen] = np.arange(len(chosen))
    inside = (place[entries[:, 0]] >= 0) & (place[entries[:, 1]] >= 0)
    matrix = np.zeros((len(chosen), len(chosen)), np.int64)
    matrix[place[entries[inside, 0]], place[entries[inside, 1]]] = entries[inside, 2]
    order = seriate(matrix)
    matrix, labels = matrix[np.ix_(order, order)], [evaluation.labels[index] for index in chosen[order].tolist()]
    levels = _find_levels(matrix)
    rows, columns = np.nonzero(matrix)
    numbers = [(int(j), int(i), int(matrix[i, j]), int(levels[i, j])) for i, j in zip(rows, columns, strict=True)]
    shown = [clean(label)[:_LABEL_CHARACTERS] for label in labels]
    data = {
        "labels": shown,
        "rows": [",".join("" if count == 0 else str(count) for count in row) for row in matrix.tolist()],
        "texts": _choose_texts(matrix, labels, cells),
    }
    return HeatMap(
        labels=shown,
        short=[abbreviate(label, 18 if len(labels) <= _SMALL_LABELS else 14) for label in shown],
        paths=[(level, _stroke(levels == level)) for level in range(1, len(LEVELS) + 1)],
        numbers=numbers if len(labels) <= _NUMBERED else [],
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")),
        left_out=C - len(labels),
    )


def _choose(entries: Integers, C: int) -> Integers:
    """Return the classes to draw, those with the most mistakes if there are too many."""
    true, predicted, counts = entries.T
    wrong = true != predicted
    mistakes = np.bincount(true[wrong], counts[wrong], C) + np.bincount(predicted[wrong], counts[wrong], C)
    texts = np.bincount(true, counts, C) + np.bincount(predicted, counts, C)
    order = np.lexsort((np.arange(C), -texts, -mistakes))
    return np.sort(order[texts[order] > 0][:MAX_DRAWN])


def seriate(matrix: Integers) -> Integers:
    """Return an order of the classes of a confusion ``matrix`` (n, n) in which those that are confused are close.

    That is the order of the leaves of an average-linkage clustering on the shares of mutual confusion, arranged to keep
    neighbors similar (Bar-Joseph et al., "Fast Optimal Leaf Ordering for Hierarchical Clustering", 2001).
    """
    n = len(matrix)
    if n < 3:
        return np.arange(n)
    from scipy.cluster.hierarchy import leaves_list, linkage  # noqa: PLC0415 - takes a while to import
    from scipy.spatial.distance import squareform  # noqa: PLC0415

    texts = np.maximum(matrix.sum(axis=1) + matrix.sum(axis=0), 1)
    confused = (matrix + matrix.T) / np.sqrt(np.outer(texts, texts))
    np.fill_diagonal(confused, 0)
    distances = 1 - confused / max(float(confused.max()), 1e-12)
    np.fill_diagonal(distances, 0)
    condensed = squareform(distances, checks=False)
    order: Integers = leaves_list(linkage(condensed, "average", optimal_ordering=True)).astype(np.int64)
    return order


def _find_levels(matrix: Integers) -> Integers:
    """Return the level (n, n) of each cell, from 1; 0 is an empty cell."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    levels: Integers = np.searchsorted(np.array(LEVELS), shares, side="left")
    return levels


def _stroke(cells: npt.NDArray[np.bool_]) -> str:
    """Return an SVG path over ``cells`` (n, n), with one stroke for each run of cells in a row."""
    padded = np.pad(cells.astype(np.int8), ((0, 0), (1, 1)))
    edges = np.diff(padded, axis=1)
    rows, starts = np.nonzero(edges == 1)
    stops = np.nonzero(edges == -1)[1]
    runs = zip(rows.tolist(), starts.tolist(), stops.tolist(), strict=True)
    return "".join(f"M{start} {row}.5h{stop - start}" for row, start, stop in runs)


def _choose_texts(matrix: Integers, labels: list[str], cells: CellSamples) -> dict[str, list[str]]:
    """Return sample texts by cell (``row,column``): mistakes first, the first text of each cell before the second."""
    rows, columns = np.nonzero(matrix)
    order = np.lexsort((columns, rows, -matrix[rows, columns], rows == columns))
    found: dict[str, list[str]] = {}
    left = _SAMPLE_BYTES
    for number in range(PER_CELL):
        for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
            texts = cells.get(labels[i], labels[j])
            if number < len(texts):
                text = clean(texts[number])
                left -= len(json.dumps(text, ensure_ascii=False).encode()) + 12
                if left < 0:
                    return found
                found.setdefault(f"{i},{j}", []).append(text)
    return found
