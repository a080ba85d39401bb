"""Predicted scores in front of records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from textrnn.inference.engine import round_score
from textrnn.pipeline.labeler import refuse_tables
from textrnn.pipeline.record_writer import RECORD, RecordWriter
from textrnn.pipeline.records import Record
from textrnn.pipeline.writers import OutputChunk

_SCORE, _PARTS = "score", "parts"


@dataclass(frozen=True)
class ScoreWriter(RecordWriter[float]):
    """Writes the score of records, by a model of scores, with six significant digits.

    ``explain`` adds the effect of each part of the text to JSON.

    Raises:
        ConfigError: ``explain`` is set, and the output is not JSON.
    """

    explain: bool = False

    def __call__(self, records: Sequence[Record], threads: int) -> OutputChunk:
        """Return a line for each of ``records``."""
        if self.explain:
            refuse_tables(records)
        return super().__call__(records, threads)

    def predict(self, texts: Sequence[str], threads: int) -> list[float]:
        """Return the score of each text."""
        return cast("list[float]", self.engine.predict_scores(texts, threads=threads).tolist())

    def list_columns(self) -> list[str]:
        """Return ``score``."""
        return [_SCORE]

    def list_keys(self) -> tuple[str, ...]:
        """Return the keys of all options."""
        return (_SCORE, _PARTS, RECORD)

    def list_types(self) -> dict[str, Any]:
        """Return the column of a table."""
        import pyarrow as pa  # noqa: PLC0415 - other output does not need it

        return {_SCORE: pa.float64()}

    def make_values(self, predictions: Sequence[float]) -> dict[str, list[float]]:
        """Return the scores."""
        return {_SCORE: [round_score(score) for score in predictions]}

    def make_fields(self, prediction: float) -> list[str]:
        """Return the score."""
        return [f"{round_score(prediction):.6g}"]

    def make_row(self, prediction: float, text: str, threads: int) -> dict[str, object]:
        """Return the score, and the parts if they are asked for."""
        row: dict[str, object] = {_SCORE: round_score(prediction)}
        if self.explain:
            from textrnn.inference.explain import explain  # noqa: PLC0415 - other output does not need it

            row |= explain(self.engine, text, threads=threads).to_dict()
        return row
