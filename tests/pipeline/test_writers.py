"""One output line for each input line; labels in tables; the records that a filter keeps."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from samples import ODD_LINES, make_config, make_model
from textrnn.config import DataConfig
from textrnn.errors import ConfigError
from textrnn.inference import OutputFormat
from textrnn.inference.engine import Engine, Prediction
from textrnn.inference.explain import explain
from textrnn.pipeline.records import Record, RecordReader
from textrnn.pipeline.writers import Labeler, LabelFilter, Worker, process
from textrnn.tokenization.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def engine(tokenizer: Tokenizer) -> Engine:
    return Engine(make_model(tokenizer, make_config(model__hidden=8)))


def run(worker: Worker, paths: Sequence[Path], *, jobs: int = 2, field: str | None = None) -> bytes:
    outputs = list(process(RecordReader(DataConfig(text=field)), map(str, paths), worker, jobs=jobs))
    return b"".join(output.data for output in outputs)


@pytest.mark.parametrize("jobs", [1, 3])
def test_each_line_gives_one_line(engine: Engine, tmp_path: Path, jobs: int) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\n".join(ODD_LINES))
    output = run(Labeler(engine), [path], jobs=jobs).decode()
    assert output.endswith("\n")
    expected = [found[0] for found in engine.predict([line.decode(errors="replace") for line in ODD_LINES])]
    got = [line.split("\t") for line in output[:-1].split("\n")]
    assert [label for label, _ in got] == [prediction.label for prediction in expected]
    assert [float(p) for _, p in got] == pytest.approx([prediction.probability for prediction in expected], abs=1e-5)


def test_the_text_is_printed_unchanged(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_bytes(b"\n".join(ODD_LINES))
    lines = run(Labeler(engine, output="label", with_text=True), [tmp_path / "lines.txt"]).split(b"\n")
    assert [line.split(b"\t", 1)[1] for line in lines[:-1]] == ODD_LINES


@pytest.mark.parametrize("jobs", [1, 5])
def test_many_lines_keep_their_order(engine: Engine, tmp_path: Path, jobs: int) -> None:
    path = tmp_path / "lines.txt"
    texts = [f"parcel {'late ' * (i * 7 % 23)}{i}" for i in range(6000)]
    path.write_text("\n".join(texts), encoding="utf-8")
    output = run(Labeler(engine, output="jsonl", with_text=True), [path, path], jobs=jobs)
    assert [json.loads(line)["text"] for line in output.splitlines()] == texts * 2


def test_a_line_is_labeled_before_the_input_ends(engine: Engine) -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb"), os.fdopen(write_end, "wb", buffering=0) as writer:
        guard = threading.Timer(30, writer.close)  # otherwise a reader that waits for more would hang
        guard.start()
        paths = [f"/dev/fd/{read_end}"]
        with closing(process(RecordReader(DataConfig()), paths, Labeler(engine), jobs=2)) as answers:
            for number in range(3):
                writer.write(f"message {number}\n".encode())
                assert next(answers).records == 1
            writer.write(b"half a line")
            writer.close()
            assert next(answers).records == 1
        assert guard.is_alive()
        guard.cancel()


FOUND = [Prediction("refund", 0.75), Prediction("a b", 0.25)]


class ConstantEngine:
    """A fake engine that predicts the same for every text."""

    def __init__(self, found: list[Prediction], *, multi_label: bool = False, separator: str | None = None) -> None:
        self.labels = ("refund", "a b", "c")
        self.thresholds = [0.5] * 3 if multi_label else None
        self.separator = separator
        self._found = found

    def predict(self, texts: Sequence[str], *, top_k: int | None, **_: object) -> list[list[Prediction]]:
        return [self._found[: top_k or (1 if self.thresholds is None else None)] for _ in texts]


def label(found: list[Prediction], *records: Record, multi_label: bool = False, **options: Any) -> bytes:
    engine = cast("Engine", ConstantEngine(found, multi_label=multi_label))
    return Labeler(engine, **options)(records, 1).data


LINE = Record(b"x\ty\r", "x\ty")


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


TSV = (Record(b"id\ttext\r", None, "tsv", "\t"), Record(b"1\t\xff\r", "\ufffd", "tsv", "\t"))
CSV = (Record(b'id,"text"', None, "csv", ",", "predicted_"), Record(b'1,"a\nb"', "a b", "csv"))
JSON = (Record(b' {"id": 1.00,"text":"\xff"}\r', "\ufffd", "jsonl"),)
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
        (COMMA, CSV, {}, b'predicted_label,predicted_probability,id,"text"\n"say ""a"", b",0.500000,1,"a\nb"\n'),
        (FOUND, JSON, {}, b' {"label": "refund", "probability": 0.75, "id": 1.00,"text":"\xff"}\r\n'),
        (FOUND, JSON, {"output": "label"}, b' {"label": "refund", "id": 1.00,"text":"\xff"}\r\n'),
        (
            FOUND,
            (JSON[0]._replace(prefix="predicted_"),),
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


def test_a_csv_table_stays_valid(engine: Engine, tmp_path: Path) -> None:
    rows = [["id", "text"], ["1", 'two\nlines, and "quotes"'], ["2", "plain"]]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    got = list(csv.reader(io.StringIO(run(Labeler(engine), [tmp_path / "a.csv"], field="text").decode(), newline="")))
    assert got[0] == ["label", "probability", "id", "text"]
    assert [row[2:] for row in got] == rows
    assert got[1][0] == engine.predict(['two lines, and "quotes"'])[0][0].label


def test_headers_are_not_counted(engine: Engine) -> None:
    for worker in (Labeler(engine), LabelFilter(engine, frozenset())):
        output = worker(TSV, 1)
        assert (output.records, output.kept) == (1, 1 if isinstance(worker, Labeler) else 0)


@pytest.mark.parametrize(
    ("found", "multi_label", "options", "kept"),
    [
        (FOUND, False, {}, True),
        (FOUND, False, {"invert": True}, False),
        (FOUND, False, {"labels": frozenset({"a b"})}, False),
        (FOUND, False, {"labels": frozenset({"a b"}), "invert": True}, True),
        (FOUND, False, {"labels": frozenset({"a b", "refund"})}, True),
        (FOUND, False, {"min_prob": 0.75}, True),
        (FOUND, False, {"min_prob": 0.76}, False),
        (FOUND, False, {"min_prob": 0.76, "invert": True}, True),
        (FOUND, True, {"labels": frozenset({"a b"})}, True),
        (FOUND, True, {"labels": frozenset({"a b"}), "min_prob": 0.5}, False),
        ([], True, {}, False),
        ([], True, {"invert": True}, True),
    ],
)
def test_a_filter_keeps_records_unchanged(
    found: list[Prediction], multi_label: bool, options: dict[str, Any], kept: bool
) -> None:
    label_filter = LabelFilter(
        cast("Engine", ConstantEngine(found, multi_label=multi_label)), **({"labels": frozenset({"refund"})} | options)
    )
    for records in ((LINE,), TSV, CSV, JSON):
        expected = [record.raw for record in records if kept or record.text is None]
        output = label_filter(records, 1)
        assert output.data == b"".join(raw + b"\n" for raw in expected)
        assert (output.records, output.kept) == (1, int(kept))


@pytest.mark.parametrize(("setting", "separator"), [(None, "|"), (" / ", " / ")])
def test_a_multi_label_model_writes_joined_labels(
    tokenizer: Tokenizer, tmp_path: Path, setting: str | None, separator: str
) -> None:
    config = make_config(model__hidden=8, data__multi_label=True, data__label_separator=setting)
    engine = Engine(replace(make_model(tokenizer, config), thresholds=(0.0, 0.0, 1.0)))
    (tmp_path / "lines.txt").write_text("one\n\nthree\n")
    for options, count in (({}, 2), ({"top_k": 3}, 3), ({"threshold": 1.0}, 0)):
        output = run(Labeler(engine, **options), [tmp_path / "lines.txt"]).decode()  # type: ignore[arg-type]
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
    first, second = map(json.loads, run(labeler, [path]).splitlines())
    assert first["label"] == "none of them"
    likeliest = engine.predict(["the parcel came late"])[0][0].label
    assert first["parts"] == explain(engine, "the parcel came late", likeliest).to_dict()["parts"]
    assert [part["text"] for part in first["parts"]] == ["the", "parcel", "came", "late"]
    assert second["parts"] == []


def test_explanations_in_json_use_a_free_key(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "came late", "parts": 3}\n', encoding="utf-8")
    row = json.loads(run(Labeler(engine, explain=True), [path], field="text"))
    assert row["parts"] == 3
    assert [part["text"] for part in row["predicted_parts"]] == ["came", "late"]


def test_explanations_in_tables_are_refused(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,text\n1,late\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"--explain: .* the input is CSV"):
        run(Labeler(engine, explain=True), [path], field="text")
