"""Sample texts with the effect of each word on the probability of a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textrnn.data.labels import split_labels
from textrnn.inference.engine import Engine
from textrnn.inference.explain import explain, find_parts
from textrnn.report.samples import Sample, cut

PIECES = 400_000
"""The most pieces that explaining the texts of a page reads; the rest is shown without colors."""
_CHARACTERS = 700  # shown of a text
_LEVELS = 4
_STRONG = 0.4  # the effect of the darkest level: on a probability, or as a share of the range of scores


@dataclass(frozen=True)
class ShownText:
    """A text in parts (text, level, effect): level -4 to 4 is the color; None without an explanation."""

    sample: Sample
    true: str
    parts: list[tuple[str, int, float]] | None
    text: str


class Explainer:
    """Explains samples until they have cost :data:`PIECES`."""

    def __init__(self, engine: Engine, pieces: int = PIECES) -> None:
        self._engine, self._left = engine, pieces

    def show(self, samples: Sequence[Sample]) -> list[ShownText]:
        """Return the samples with the effects of their words."""
        return [self._show(sample) for sample in samples]

    def _show(self, sample: Sample) -> ShownText:
        true = ", ".join(split_labels(sample.true)) or "no label"
        pieces = self._engine.encode_pieces(sample.text)
        cost = len(pieces) * (len(find_parts(pieces)) + 1)
        if cost > self._left:
            return ShownText(sample, true, None, cut(sample.text, _CHARACTERS))
        self._left -= cost
        parts: list[tuple[str, int, float]] = []
        left = _CHARACTERS
        anchors = self._engine.anchors
        strong = _STRONG if anchors is None else _STRONG * float(np.ptp(anchors))
        for part in explain(self._engine, sample.text, [sample.label] if anchors is None else None).parts:
            left -= len(part.text) + 1
            if left < 0:
                parts.append(("…", 0, 0.0))
                break
            effect = part.effects[0]
            level = min(_LEVELS, round(_LEVELS * abs(effect) / strong))
            parts.append((part.text, level if effect > 0 else -level, effect))
        return ShownText(sample, true, parts, cut(sample.text, _CHARACTERS))
