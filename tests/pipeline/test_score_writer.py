"""Scores in front of lines and records, and the filter by score."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from constant_engine import CSV, JSON, TSV
from textrnn.errors import ConfigError
from textrnn.inference.engine import Engine, round_score
from textrnn.pipeline.records import Record
from textrnn.pipeline.score_writer import ScoreWriter
from textrnn.pipeline.writers import ScoreFilter


@pytest.fixture(scope="module")
def scorer(scored: Path) -> Engine:
    return Engine.load(scored / "runs/small")


def test_lines_and_tables_get_the_score_in_front(scorer: Engine) -> None:
    score = f"{scorer.predict_scores(['x y'])[0]:.6g}"
    assert ScoreWriter(scorer)([Record(b"x y", "x y")], 1).data.decode() == f"{score}\n"
    assert ScoreWriter(scorer, with_text=True)([Record(b"x y", "x y")], 1).data.decode() == f"{score}\tx y\n"
    assert ScoreWriter(scorer)(TSV, 1).data.startswith(b"score\tid\ttext")
    assert ScoreWriter(scorer)(CSV, 1).data.startswith(b'score,label,"text"')
    row = json.loads(ScoreWriter(scorer)(JSON, 1).data.decode(errors="replace"))
    assert row["score"] == round_score(scorer.predict_scores(["\ufffd"])[0])


def test_json_has_the_effect_of_each_word(scorer: Engine) -> None:
    row = json.loads(ScoreWriter(scorer, "jsonl", explain=True)([Record(b"late again", "late again")], 1).data)
    without = scorer.predict_scores(["again"])[0]
    assert [part["text"] for part in row["parts"]] == ["late", "again"]
    assert row["parts"][0]["effect"] == pytest.approx(row["score"] - without, abs=1e-3)
    with pytest.raises(ConfigError, match="--explain"):
        ScoreWriter(scorer, explain=True)(CSV, 1)


def test_columns_are_doubles(scorer: Engine) -> None:
    writer = ScoreWriter(scorer)
    assert writer.list_types() == {"score": pytest.importorskip("pyarrow").float64()}
    assert writer.make_columns(["a", "b"], 1) == {"score": [round_score(s) for s in scorer.predict_scores(["a", "b"])]}


@pytest.mark.parametrize("invert", [False, True])
def test_a_filter_keeps_a_range(scorer: Engine, invert: bool) -> None:
    records = [Record(text.encode(), text) for text in ("late", "the kettle boils", "where", "again late", "points")]
    scores = scorer.predict_scores([record.text or "" for record in records])
    least, most = sorted(scores)[1], sorted(scores)[3]
    output = ScoreFilter(scorer, least=least, most=most, invert=invert)(records, 1)
    inside = (scores >= least) & (scores <= most)
    wanted = [record.raw for record, keep in zip(records, inside != invert, strict=True) if keep]
    assert output.data.splitlines() == wanted
    assert output.kept == len(wanted) == (2 if invert else 3)
    assert np.isfinite(scores).all()
