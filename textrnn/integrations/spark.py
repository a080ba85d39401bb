"""Columns of Spark data frames: a function of a text column, and one for ``mapInArrow`` that adds columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql.types import DoubleType, FloatType, StringType, StructField, StructType

from textrnn.api import Model
from textrnn.errors import ConfigError
from textrnn.inference import Precision
from textrnn.integrations.arrow_labeler import ArrowLabeler

_BATCH = 512  # rows
_Batch = npt.NDArray[np.object_]
_Predictions = npt.NDArray[np.float64] | dict[str, npt.NDArray[Any]]


def predict_udf(path: str | os.PathLike[str], *, precision: Precision = "fp32", batch_size: int = _BATCH) -> Any:
    """Return a function of a text column that gives structs with ``label`` and ``probability``, or scores.

    Each Python worker loads the model file or run folder ``path``, which all machines must see, and computes on one
    thread.

    Raises:
        ModelError: there is no model, or it is damaged.
        ConfigError: the model is multi-label.
    """
    path = os.fspath(path)
    model = Model.load(path, precision=precision)
    if model.metadata["thresholds"] is not None:
        raise ConfigError(f"{path}: the model is multi-label; use label_arrow with mapInArrow, which adds lists")

    def make_predict_fn() -> Callable[[_Batch], _Predictions]:
        labeler = ArrowLabeler.load(path, precision=precision)

        def predict(texts: _Batch) -> _Predictions:
            checked = [labeler.check_text(text, path="Spark", number=i) for i, text in enumerate(texts, start=1)]
            rows = labeler.predict(checked)
            if is_score:
                return np.array([row["score"] for row in rows], np.float64)
            labels = np.array([row["label"] for row in rows], dtype=object)
            return {"label": labels, "probability": np.array([row["probability"] for row in rows], np.float32)}

        return predict

    is_score = model.is_score
    if is_score:
        return predict_batch_udf(make_predict_fn, return_type=DoubleType(), batch_size=batch_size)
    fields = [StructField("label", StringType()), StructField("probability", FloatType())]
    return predict_batch_udf(make_predict_fn, return_type=StructType(fields), batch_size=batch_size)


def label_arrow(path: str | os.PathLike[str], **options: Any) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return a function for ``DataFrame.mapInArrow``; ``options`` are those of :meth:`ArrowLabeler.load`."""
    path = os.fspath(path)

    def label(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa  # noqa: PLC0415 - only workers need it

        labeler = ArrowLabeler.load(path, **options)
        for batch in batches:
            yield from labeler(pa.Table.from_batches([batch])).to_batches()

    return label


def make_schema(path: str | os.PathLike[str], schema: StructType, **options: Any) -> StructType:
    """Return the schema of ``frame.mapInArrow(label_arrow(path, **options), ...)`` for the ``frame.schema``."""
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema  # noqa: PLC0415 - loads pandas

    labeler = ArrowLabeler.load(path, **options)
    return from_arrow_schema(labeler.append_columns(to_arrow_schema(schema).empty_table(), []).schema)
