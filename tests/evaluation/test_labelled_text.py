"""A file is evaluated as the model requires: single-label or multi-label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from samples import SENTENCES, make_config, make_model
from textrnn.data.reading.examples import read_examples
from textrnn.evaluation.labelled_text import evaluate_examples, evaluate_file
from textrnn.evaluation.multi_label import MultiLabelEvaluation
from textrnn.evaluation.single_label import Evaluation
from textrnn.inference.engine import Engine
from textrnn.tokenization.tokenizer import Tokenizer


def test_the_kind_of_model_decides(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("".join(f"a\t{text}\n" for text in SENTENCES), encoding="utf-8")
    single = make_config(model__hidden=8)
    found = evaluate_file(Engine(make_model(tokenizer, single)), str(path), single.data)
    assert (type(found), found.texts) == (Evaluation, 6)
    multi = make_config(model__hidden=8, data__multi_label=True, data__label_separator="|")
    engine = Engine(replace(make_model(tokenizer, multi), thresholds=(0.5, 0.5, 0.5)))
    all_assigned, none_assigned = (
        evaluate_examples(engine, read_examples(str(path), multi.data), threshold=value) for value in (0.0, 1.0)
    )
    assert (type(all_assigned), all_assigned.texts) == (MultiLabelEvaluation, 6)
    assert all_assigned.macro_f1 > none_assigned.macro_f1 == 0
