"""A model as a function for ``datasets.Dataset.map``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textrnn.api.model import Model


@dataclass(frozen=True)
class MapFunction:
    """Labels a batch of rows; :meth:`textrnn.Model.map_fn` makes it. It can be pickled with its model.

    ``column`` has the texts. The same model gives the same pickle, by which datasets finds a result in its cache.
    """

    model: Model
    column: str = "text"

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Return the columns ``label`` and ``probability`` of ``batch``, or ``score``.

        Those of a multi-label model have lists in each row.

        If the batch has one of these, they are called ``predicted_label`` and ``predicted_probability``.

        Raises:
            KeyError: the batch has no such column.
            TypeError: a text is missing or no ``str``, or the batch is a single row.
        """
        if self.column not in batch:
            raise KeyError(f"no column {self.column!r}; name one of {', '.join(batch)}: map_fn('NAME')")
        texts = batch[self.column]
        if isinstance(texts, str):
            raise TypeError("map passes one row at a time: call it with batched=True")
        if self.model.is_score:
            return {"score": self.model.predict_scores(texts).tolist()}
        found = self.model.predict(texts)
        if self.model.config["data"]["multi_label"]:
            columns = ([[p.label for p in row], [p.probability for p in row]] for row in found)
        else:
            columns = ([row[0].label, row[0].probability] for row in found)
        labels, probabilities = zip(*columns, strict=True) if found else ((), ())
        prefix = "" if {"label", "probability"}.isdisjoint(batch) else "predicted_"
        return {f"{prefix}label": [*labels], f"{prefix}probability": [*probabilities]}
