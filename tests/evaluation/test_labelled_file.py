"""A file is scored as suits the model: one label a text, or several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from samples import SENTENCES, make_config, make_model
from textrnn.evaluation.labelled_file import score
from textrnn.evaluation.multi_label import MultiLabelEvaluation
from textrnn.evaluation.single_label import Evaluation
from textrnn.inference.engine import Engine
from textrnn.tokenization.tokenizer import Tokenizer


def test_it_goes_by_the_model(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("".join(f"a\t{text}\n" for text in SENTENCES), encoding="utf-8")
    single = make_config(model__hidden=8)
    found = score(Engine(make_model(tokenizer, single)), str(path), single.data)
    assert (type(found), found.texts) == (Evaluation, 6)
    several = make_config(model__hidden=8, data__multi_label=True, data__label_separator="|")
    engine = Engine(replace(make_model(tokenizer, several), thresholds=(0.5, 0.5, 0.5)))
    all_given, none_given = (score(engine, str(path), several.data, threshold=value) for value in (0.0, 1.0))
    assert (type(all_given), all_given.texts) == (MultiLabelEvaluation, 6)
    assert all_given.macro_f1 > none_given.macro_f1 == 0
