"""Columns of Spark data frames, with a session on one core."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import textrnn
from textrnn.errors import ConfigError

sql = pytest.importorskip("pyspark.sql")
if not shutil.which("java"):
    pytest.skip("Spark needs Java", allow_module_level=True)

from textrnn.integrations.spark import label_arrow, make_schema, predict_udf  # noqa: E402

TEXTS = ["green tea", "black coffee", "oolong tea"]


@pytest.fixture(scope="module")
def frame() -> Iterator[Any]:
    patch = pytest.MonkeyPatch()
    patch.setenv("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
    yield session.createDataFrame([(i, text) for i, text in enumerate(TEXTS)], "id int, text string").coalesce(1)
    session.stop()
    patch.undo()


def test_a_text_column_gives_labels(frame: Any, model: Path) -> None:
    rows = frame.select("id", predict_udf(model)("text").alias("p")).select("id", "p.*").orderBy("id").collect()
    expected = [row[0] for row in textrnn.load(model).predict(TEXTS)]
    assert [row.label for row in rows] == [p.label for p in expected]
    assert [row.probability for row in rows] == pytest.approx([p.probability for p in expected], abs=1e-6)


def test_map_in_arrow_adds_columns(frame: Any, model: Path) -> None:
    path = str(model)
    rows = frame.mapInArrow(label_arrow(path, top_k=2), make_schema(path, frame.schema, top_k=2)).collect()
    assert [row.text for row in rows] == TEXTS
    assert [pair.label for pair in rows[0].top] == ["tea", "coffee"]


def test_a_model_of_scores_gives_numbers(frame: Any, scored: Path) -> None:
    path = str(scored / "runs/small")
    expected = pytest.approx(textrnn.load(path).predict_scores(TEXTS), rel=1e-5)
    rows = frame.select("id", predict_udf(path)("text").alias("score")).orderBy("id").collect()
    assert [row.score for row in rows] == expected
    rows = frame.mapInArrow(label_arrow(path), make_schema(path, frame.schema)).orderBy("id").collect()
    assert [row.score for row in rows] == expected


def test_a_multi_label_model_needs_lists(frame: Any, trained_multi_label: Path) -> None:
    path = trained_multi_label / "runs/small"
    with pytest.raises(ConfigError, match="use label_arrow"):
        predict_udf(path)
    assert frame.mapInArrow(label_arrow(path), make_schema(path, frame.schema)).first().label is not None
