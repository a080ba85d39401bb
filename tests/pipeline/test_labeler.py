"""Predicted labels, their explanations, and probabilities in a fixed order, for lines and tables."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from constant_engine import CSV, FOUND, JSON, LINE, TSV, make_engine, run_worker
from samples import make_config, make_model
from textrnn.errors import ConfigError
from textrnn.inference import OutputFormat
from textrnn.inference.engine import Engine, Prediction
from textrnn.inference.explain import explain
from textrnn.pipeline.labeler import Labeler, ProbabilityWriter
from textrnn.pipeline.records import Record
from textrnn.tokenization.tokenizer import Tokenizer


def label(found: list[Prediction], *records: Record, multi_label: bool = False, **options: Any) -> bytes:
    return Labeler(make_engine(found, multi_label=multi_label), **options)(records, 1).data


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "refund\t0.750000\n"),
        ({"top_k": 2}, "refund\t0.750000\ta b\t0.250000\n"),
        ({"with_text": True}, "refund\t0.750000\tx\ty\r\n"),
        ({"output": "label"}, "refund\n"),
        ({"output": "label", "top_k": 2, "with_text": True}, "refund\ta b\tx\ty\r\n"),
        ({"output": "jsonl"}, '{"label": "refund", "probability": 0.75}\n'),
        (
            {"output": "jsonl", "top_k": 2, "with_text": True},
            '{"label": "refund", "probability": 0.75, "top": [{"label": "refund", "probability": 0.75}, '
            '{"label": "a b", "probability": 0.25}], "text": "x\\ty"}\n',
        ),
        ({"min_prob": 0.76, "unknown_label": "?"}, "?\t0.750000\n"),
        ({"min_prob": 0.75, "unknown_label": "?"}, "refund\t0.750000\n"),
        ({"min_prob": 0.9, "unknown_label": "?", "top_k": 2}, "?\t0.750000\ta b\t0.250000\n"),
    ],
)
def test_formats(options: dict[str, Any], expected: str) -> None:
    assert label(FOUND, LINE, **options) == expected.encode()


@pytest.mark.parametrize(
    ("thresholds", "options", "expected"),
    [
        ({"refund": 0.75}, {}, "refund\t0.750000\n"),
        ({"refund": 0.76}, {}, "unknown\t0.750000\n"),
        ({"refund": math.inf}, {"unknown_label": "?"}, "?\t0.750000\n"),
        ({"a b": 0.9}, {"top_k": 2}, "refund\t0.750000\ta b\t0.250000\n"),
        ({"refund": 0.76}, {"min_prob": 0.0}, "refund\t0.750000\n"),
        ({"refund": 0.5}, {"min_prob": 0.8}, "unknown\t0.750000\n"),
    ],
)
def test_a_model_may_have_confidence_thresholds(
    thresholds: dict[str, float], options: dict[str, Any], expected: str
) -> None:
    engine = make_engine(FOUND)
    engine.confidence_thresholds = thresholds
    assert Labeler(engine, output="tsv", **options)([LINE], 1).data == expected.encode()


@pytest.mark.parametrize(
    ("found", "output", "with_text", "expected"),
    [
        (FOUND, "tsv", False, "refund|a b\t0.750000|0.250000\n"),
        (FOUND, "tsv", True, "refund|a b\t0.750000|0.250000\t한\n"),
        (FOUND[:1], "tsv", False, "refund\t0.750000\n"),
        ([], "tsv", True, "\t\t한\n"),
        (FOUND, "label", False, "refund|a b\n"),
        ([], "label", False, "\n"),
        ([], "label", True, "\t한\n"),
        (FOUND, "jsonl", False, '{"label": ["refund", "a b"], "probability": [0.75, 0.25]}\n'),
        ([], "jsonl", True, '{"label": [], "probability": [], "text": "한"}\n'),
    ],
)
def test_formats_of_multi_label_predictions(
    found: list[Prediction], output: OutputFormat, with_text: bool, expected: str
) -> None:
    record = Record("한".encode(), "한")
    assert label(found, record, multi_label=True, output=output, with_text=with_text) == expected.encode()


COMMA = [Prediction('say "a", b', 0.5)]


@pytest.mark.parametrize(
    ("found", "records", "options", "expected"),
    [
        (FOUND, TSV, {}, b"label\tprobability\tid\ttext\r\nrefund\t0.750000\t1\t\xff\r\n"),
        (FOUND, TSV, {"output": "label"}, b"label\tid\ttext\r\nrefund\t1\t\xff\r\n"),
        (
            FOUND,
            TSV,
            {"top_k": 2},
            b"label\tprobability\tlabel_2\tprobability_2\tid\ttext\r\nrefund\t0.750000\ta b\t0.250000\t1\t\xff\r\n",
        ),
        (
            FOUND,
            TSV,
            {"multi_label": True},
            b"label\tprobability\tid\ttext\r\nrefund|a b\t0.750000|0.250000\t1\t\xff\r\n",
        ),
        (COMMA, CSV, {}, b'predicted_label,predicted_probability,label,"text"\n"say ""a"", b",0.500000,1,"a\nb"\n'),
        (FOUND, JSON, {}, b' {"label": "refund", "probability": 0.75, "id": 1.00,"text":"\xff"}\r\n'),
        (FOUND, JSON, {"output": "label"}, b' {"label": "refund", "id": 1.00,"text":"\xff"}\r\n'),
        (
            FOUND,
            (JSON[0]._replace(names=("top", "text")),),
            {"top_k": 2},
            b' {"predicted_label": "refund", "predicted_probability": 0.75, "predicted_top": [{"label": "refund", '
            b'"probability": 0.75}, {"label": "a b", "probability": 0.25}], "id": 1.00,"text":"\xff"}\r\n',
        ),
        ([], JSON, {"multi_label": True}, b' {"label": [], "probability": [], "id": 1.00,"text":"\xff"}\r\n'),
    ],
)
def test_labels_are_prepended_to_records_of_tables(
    found: list[Prediction], records: Sequence[Record], options: dict[str, Any], expected: bytes
) -> None:
    assert label(found, *records, **options) == expected


def test_a_header_has_a_name_for_each_column(engine: Engine) -> None:
    table = Labeler(engine, top_k=9)((TSV[0], Record(b"1\ta", "a", "tsv")), 1).data.decode().splitlines()
    assert len(table[0].split("\t")) == len(table[1].split("\t")) == 2 * len(engine.labels) + 2


@pytest.mark.parametrize(("setting", "separator"), [(None, "|"), (" / ", " / ")])
def test_a_multi_label_model_writes_joined_labels(
    tokenizer: Tokenizer, tmp_path: Path, setting: str | None, separator: str
) -> None:
    config = make_config(model__hidden=8, data__multi_label=True, data__label_separator=setting)
    engine = Engine(replace(make_model(tokenizer, config), thresholds=(0.0, 0.0, 1.0)))
    (tmp_path / "lines.txt").write_text("one\n\nthree\n")
    for options, count in (({}, 2), ({"top_k": 3}, 3), ({"threshold": 1.0}, 0)):
        output = run_worker(Labeler(engine, **options), [tmp_path / "lines.txt"]).decode()  # type: ignore[arg-type]
        lines = output.splitlines()
        assert len(lines) == 3
        for line in lines:
            labels, probabilities = line.split("\t")
            assert len(labels.split(separator) if labels else []) == count
            assert len(probabilities.split(separator) if probabilities else []) == count


def test_the_predicted_label_is_explained_even_if_it_is_not_printed(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("the parcel came late\n\n", encoding="utf-8")
    labeler = Labeler(engine, output="jsonl", explain=True, min_prob=1.0, unknown_label="none of them")
    first, second = map(json.loads, run_worker(labeler, [path]).splitlines())
    assert first["label"] == "none of them"
    likeliest = engine.predict(["the parcel came late"])[0][0].label
    assert first["parts"] == explain(engine, "the parcel came late", likeliest).to_dict()["parts"]
    assert [part["text"] for part in first["parts"]] == ["the", "parcel", "came", "late"]
    assert second["parts"] == []


def test_explanations_in_json_use_a_free_key(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "came late", "parts": 3}\n', encoding="utf-8")
    row = json.loads(run_worker(Labeler(engine, explain=True), [path], field="text"))
    assert row["parts"] == 3
    assert [part["text"] for part in row["predicted_parts"]] == ["came", "late"]


def test_explanations_in_tables_are_refused(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,text\n1,late\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"--explain: .* the input is CSV"):
        run_worker(Labeler(engine, explain=True), [path], field="text")


SCORES: list[tuple[Sequence[Record], dict[str, Any], bytes]] = [
    ((LINE,), {}, b"0.750000\t0.250000\t0.000000\n"),
    ((LINE,), {"with_text": True}, b"0.750000\t0.250000\t0.000000\tx\ty\r\n"),
    ((LINE,), {"label": "a b"}, b"0.250000\n"),
    ((LINE,), {"label": "a b", "output": "jsonl", "with_text": True}, b'{"score": 0.25, "text": "x\\ty"}\n'),
    (
        TSV,
        {},
        b"probability_refund\tprobability_a b\tprobability_c\tid\ttext\r\n0.750000\t0.250000\t0.000000\t1\t\xff\r\n",
    ),
    (TSV, {"label": "refund"}, b"score\tid\ttext\r\n0.750000\t1\t\xff\r\n"),
    (CSV, {"label": "refund"}, b'score,label,"text"\n0.750000,1,"a\nb"\n'),
    (
        (TSV[0]._replace(names=("score", "text")), TSV[1]),
        {"label": "refund"},
        b"predicted_score\tid\ttext\r\n0.750000\t1\t\xff\r\n",
    ),
    (
        (TSV[0]._replace(names=("probability_c", "text")),),
        {},
        b"predicted_probability_refund\tpredicted_probability_a b\tpredicted_probability_c\tid\ttext\r\n",
    ),
    (JSON, {"label": "refund"}, b' {"score": 0.75, "id": 1.00,"text":"\xff"}\r\n'),
    (
        (JSON[0]._replace(names=("probabilities",)),),
        {},
        b' {"predicted_probabilities": {"refund": 0.75, "a b": 0.25, "c": 0.0}, "id": 1.00,"text":"\xff"}\r\n',
    ),
]


@pytest.mark.parametrize(("records", "options", "expected"), SCORES)
@pytest.mark.parametrize("multi_label", [False, True])
def test_scores_have_a_fixed_order(
    records: Sequence[Record], options: dict[str, Any], expected: bytes, multi_label: bool
) -> None:
    assert ProbabilityWriter(make_engine(FOUND, multi_label=multi_label), **options)(records, 1).data == expected


def test_scores_are_the_probabilities_of_the_model(engine: Engine, tmp_path: Path) -> None:
    texts = ["the parcel came late", "", "refund"]
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{text}\n" for text in texts))
    expected = np.exp(engine.predict_log_probabilities(texts))
    lines = run_worker(ProbabilityWriter(engine), [path]).decode().splitlines()
    assert np.array([line.split("\t") for line in lines], float) == pytest.approx(expected, abs=1e-6)
    for column, name in enumerate(engine.labels):
        got = [float(line) for line in run_worker(ProbabilityWriter(engine, label=name), [path]).splitlines()]
        assert got == pytest.approx(expected[:, column], abs=1e-6)
