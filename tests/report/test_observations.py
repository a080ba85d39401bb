"""One pass over labelled text, in parts of any size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samples import SENTENCES, make_config, make_model
from textrnn.config import DataConfig
from textrnn.data.reading.examples import Example
from textrnn.errors import DataError
from textrnn.evaluation.labelled_text import evaluate_examples
from textrnn.inference.engine import Engine
from textrnn.report.observations import observe, read_batches
from textrnn.tokenization.tokenizer import Tokenizer

LABELS = ["a", "b", "c", "d"]  # the models do not know the last one


def make_engine(tokenizer: Tokenizer, *, multi_label: bool) -> Engine:
    config = make_config(model__hidden=4, model__embedding=4, data__multi_label=multi_label)
    model = make_model(tokenizer, config)
    return Engine(replace(model, thresholds=(0.5, 0.4, 0.6)) if multi_label else model)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("size", [1, 7, 60])
def test_parts_of_any_size_give_the_evaluation(size: int, multi_label: bool, tokenizer: Tokenizer) -> None:
    engine = make_engine(tokenizer, multi_label=multi_label)
    texts = [f"{SENTENCES[number % 6]} {number}" for number in range(60)]
    labels = ["\t".join(LABELS[: number % 5]) if multi_label else LABELS[number % 4] for number in range(60)]
    batches = [(labels[start : start + size], texts[start : start + size]) for start in range(0, 60, size)]
    found = observe(engine, batches)
    expected = evaluate_examples(engine, [Example(*row, 1) for row in zip(labels, texts, strict=True)]).to_dict()
    for key, value in found.evaluation.to_dict().items():
        assert value == (pytest.approx(expected[key], rel=1e-5) if isinstance(value, float) else expected[key])
    assert sum(each.texts for each in found.by_length) == 60
    total = 180 if multi_label else 60
    assert sum(count for _, _, count in found.reliability) == total
    assert np.dot([c for *_, c in found.reliability], [abs(p - r) for p, r, _ in found.reliability]) / total == (
        pytest.approx(expected["calibration_error"], abs=1e-6)
    )
    precision, recall = found.thresholds[0][1:]
    if not multi_label:
        assert precision == recall == pytest.approx(expected["accuracy"])
    wrong = {sample.text for sample in found.mistakes}
    assert wrong <= set(texts)
    assert found.mistakes[0].probability >= found.mistakes[-1].probability or multi_label


def test_faults_name_their_line(tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_bytes(b"a\tone\nno label\n")
    with pytest.raises(DataError, match=r"data\.tsv:2: "):
        list(read_batches(str(tmp_path / "data.tsv"), DataConfig()))
