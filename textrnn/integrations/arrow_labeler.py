"""Predictions as columns of pyarrow tables, and as keys of JSON objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textrnn.api.labelled_texts import clean
from textrnn.errors import DataError, shorten
from textrnn.inference import Precision
from textrnn.inference.engine import Engine
from textrnn.pipeline.columns import find_prefix
from textrnn.pipeline.labeler import Labeler
from textrnn.pipeline.record_writer import RecordWriter
from textrnn.pipeline.score_writer import ScoreWriter
from textrnn.serialization.latest_run import find_latest

if TYPE_CHECKING:
    import os

_SHOWN_NAMES = 20


@dataclass(frozen=True)
class ArrowLabeler:
    """Adds the columns ``label`` and ``probability``, or ``score``, to tables; ``column`` has the texts.

    With ``top_k`` above 1 a column ``top`` has lists of structs with both. Those of a multi-label model hold lists. If
    the table uses one of the names, all get the prefix ``predicted_``. One thread computes. With ``keeps_missing`` a
    missing text counts as an empty one.
    """

    labeler: RecordWriter[Any]
    column: str = "text"
    keeps_missing: bool = False

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] | None,
        *,
        column: str = "text",
        top_k: int | None = None,
        threshold: float | None = None,
        precision: Precision = "fp32",
    ) -> ArrowLabeler:
        """Load the model file or run folder ``model`` (None: the latest run).

        Raises:
            ModelError: there is no model, or it is damaged.
            ValueError: ``top_k`` or ``threshold`` is out of range, or the model has no use for it.
        """
        from pathlib import Path  # noqa: PLC0415 - only loading needs it

        path = find_latest() if model is None else Path(model)
        engine = Engine.load(path, precision=precision)
        if engine.anchors is not None:
            if top_k is not None or threshold is not None:
                raise ValueError(f"{path}: predicts scores; leave out top_k and threshold, which are for labels")
            return cls(ScoreWriter(engine), column)
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k should be 1 or more, not {top_k}")
        if threshold is not None and (engine.thresholds is None or not 0 <= threshold <= 1):
            raise ValueError(f"threshold {threshold}: should be from 0 to 1, and the model multi-label")
        return cls(Labeler(engine, top_k=top_k, threshold=threshold), column)

    def __call__(self, table: Any) -> Any:
        """Return the pyarrow table with the new columns at the end.

        Raises:
            DataError: it has no such column, or a text is missing or no text.
        """
        return self.append_columns(table, self.predict(self.list_texts(table)))

    def list_texts(self, table: Any, *, path: object = "the table", start: int = 0) -> list[str]:
        """Return the texts of a table, whose first row is row ``start`` (from 0) of the file ``path``."""
        if self.column not in table.schema.names:
            raise DataError(path, None, describe_missing(self.column, table.schema.names))
        return [
            self.check_text(value, path=path, number=start + i)
            for i, value in enumerate(table.column(self.column).to_pylist(), start=1)
        ]

    def check_text(self, value: object, *, path: object, number: int) -> str:
        """Return the text in row ``number`` (from 1) of ``path``.

        Raises:
            DataError: it is missing, or not a text.
        """
        if isinstance(value, str):
            return clean(value)
        if value is None and self.keeps_missing:
            return ""
        what = "no text" if value is None else f"not a text but {type(value).__name__}"
        raise DataError(path, number, f"{what} in '{shorten(self.column)}'; correct it, or name another column")

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return the predictions as JSON objects, as ``textrnn predict --format jsonl`` does."""
        found = self.labeler.predict(texts, threads=1) if texts else []
        return [self.labeler.make_row(each, text, 1) for each, text in zip(found, texts, strict=True)]

    def append_columns(self, table: Any, rows: Sequence[dict[str, Any]]) -> Any:
        """Return ``table`` with the predictions ``rows``, as :meth:`predict` returns them."""
        import pyarrow as pa  # noqa: PLC0415 - JSON does without it

        found = pa.Table.from_pylist(rows, schema=self.schema)
        prefix = find_prefix(self.schema.names, table.schema.names)
        for name in self.schema.names:
            table = table.append_column(prefix + name, found.column(name))
        return table

    @property
    def schema(self) -> Any:
        """The new columns as a pyarrow.Schema."""
        import pyarrow as pa  # noqa: PLC0415 - JSON does without it

        return pa.schema(self.labeler.list_types())


def describe_missing(column: str, names: Sequence[str]) -> str:
    """Return the message that ``names`` lack ``column``."""
    more = ", ..." if len(names) > _SHOWN_NAMES else ""
    shown = ", ".join(map(shorten, names[:_SHOWN_NAMES])) + more
    return f"no column '{shorten(column)}'; the columns are {shown}; name the one with the texts"
