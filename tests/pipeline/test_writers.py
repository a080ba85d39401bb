"""One output line for each input line; the records that a filter keeps."""

from __future__ import annotations

import json
import os
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from constant_engine import CSV, FOUND, JSON, LINE, TSV, make_engine, run_worker
from samples import ODD_LINES
from textrnn.config import DataConfig
from textrnn.inference.engine import Engine, Prediction
from textrnn.pipeline.labeler import Labeler
from textrnn.pipeline.records import RecordReader
from textrnn.pipeline.writers import LabelFilter, process


@pytest.mark.parametrize(("threshold", "options", "kept"), [(0.75, {}, 1), (0.76, {}, 0), (0.76, {"min_prob": 0.5}, 1)])
def test_a_filter_keeps_what_reaches_the_confidence_threshold(
    threshold: float, options: dict[str, Any], kept: int
) -> None:
    engine = make_engine(FOUND)
    engine.confidence_thresholds = {"refund": threshold}
    assert LabelFilter(engine, frozenset(["refund"]), **options)([LINE], 1).kept == kept


@pytest.mark.parametrize("jobs", [1, 3])
def test_each_line_gives_one_line(engine: Engine, tmp_path: Path, jobs: int) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\n".join(ODD_LINES))
    output = run_worker(Labeler(engine), [path], jobs=jobs).decode()
    assert output.endswith("\n")
    expected = [found[0] for found in engine.predict([line.decode(errors="replace") for line in ODD_LINES])]
    got = [line.split("\t") for line in output[:-1].split("\n")]
    assert [label for label, _ in got] == [prediction.label for prediction in expected]
    assert [float(p) for _, p in got] == pytest.approx([prediction.probability for prediction in expected], abs=1e-5)


def test_the_text_is_printed_unchanged(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_bytes(b"\n".join(ODD_LINES))
    lines = run_worker(Labeler(engine, output="label", with_text=True), [tmp_path / "lines.txt"]).split(b"\n")
    assert [line.split(b"\t", 1)[1] for line in lines[:-1]] == ODD_LINES


@pytest.mark.parametrize("jobs", [1, 5])
def test_many_lines_keep_their_order(engine: Engine, tmp_path: Path, jobs: int) -> None:
    path = tmp_path / "lines.txt"
    texts = [f"parcel {'late ' * (i * 7 % 23)}{i}" for i in range(6000)]
    path.write_text("\n".join(texts), encoding="utf-8")
    output = run_worker(Labeler(engine, output="jsonl", with_text=True), [path, path], jobs=jobs)
    assert [json.loads(line)["text"] for line in output.splitlines()] == texts * 2


def test_a_line_is_labeled_before_the_input_ends(engine: Engine) -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb"), os.fdopen(write_end, "wb", buffering=0) as writer:
        guard = threading.Timer(30, writer.close)  # otherwise a reader that waits for more would hang
        guard.start()
        with closing(process(RecordReader(DataConfig()), [f"/dev/fd/{read_end}"], Labeler(engine), jobs=2)) as answers:
            for number in range(3):
                writer.write(f"message {number}\n".encode())
                assert next(answers).records == 1
            writer.write(b"half a line")
            writer.close()
            assert next(answers).records == 1
        assert guard.is_alive()
        guard.cancel()


A_B = frozenset({"a b"})
ALL = frozenset({"a b", "refund"})


@pytest.mark.parametrize(
    ("found", "multi_label", "options", "kept"),
    [
        (FOUND, False, {}, True),
        (FOUND, False, {"labels": A_B}, False),
        (FOUND, False, {"labels": ALL}, True),
        (FOUND, False, {"min_prob": 0.75}, True),
        (FOUND, False, {"min_prob": 0.76}, False),
        (FOUND, False, {"labels": A_B, "min_prob": 0.25}, True),
        (FOUND, False, {"labels": A_B, "min_prob": 0.26}, False),
        (FOUND, False, {"labels": ALL, "min_prob": 0.75}, True),
        (FOUND, False, {"labels": ALL, "min_prob": 0.76}, False),
        (FOUND, False, {"labels": A_B, "min_prob": 0.0}, True),
        (FOUND, True, {"labels": A_B}, True),
        (FOUND, True, {"labels": A_B, "min_prob": 0.5}, False),
        (FOUND[:1], True, {"labels": A_B}, False),
        ([Prediction("a b", 0.25)], True, {"labels": A_B, "min_prob": 0.2}, True),
        ([], True, {}, False),
    ],
)
def test_a_filter_keeps_records_unchanged_and_rejects_the_others(
    found: list[Prediction], multi_label: bool, options: dict[str, Any], kept: bool
) -> None:
    engine = make_engine(found, multi_label=multi_label)
    options = {"labels": frozenset({"refund"})} | options
    for records in ((LINE,), TSV, CSV, JSON):
        every = b"".join(record.raw + b"\n" for record in records)
        headers = b"".join(record.raw + b"\n" for record in records if record.text is None)
        expected = (every, headers) if kept else (headers, every)
        output = LabelFilter(engine, **options)(records, 1)
        assert (output.data, output.rejected) == expected
        assert (output.records, output.kept) == (1, int(kept))
        inverted = LabelFilter(engine, **options, invert=True)(records, 1)
        assert (inverted.rejected, inverted.data) == expected
        assert (inverted.records, inverted.kept) == (1, int(not kept))


def test_headers_are_not_counted(engine: Engine) -> None:
    for worker in (Labeler(engine), LabelFilter(engine, frozenset())):
        output = worker(TSV, 1)
        assert (output.records, output.kept) == (1, 1 if isinstance(worker, Labeler) else 0)


def test_kept_and_rejected_records_are_all_records_in_order(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    texts = [f"parcel {'late ' * (i * 7 % 23)}{i}" for i in range(3000)]
    path.write_text("\n".join(texts), encoding="utf-8")
    least_likely = engine.predict_log_probabilities(texts).argmin(axis=1)[0]
    probabilities = np.exp(engine.predict_log_probabilities(texts)[:, least_likely])
    min_prob = float(np.median(probabilities))
    worker = LabelFilter(engine, frozenset({engine.labels[least_likely]}), min_prob=min_prob)
    outputs = list(process(RecordReader(DataConfig()), [str(path)], worker, jobs=2))
    kept = b"".join(output.data for output in outputs).decode().splitlines()
    rejected = b"".join(output.rejected for output in outputs).decode().splitlines()
    # rounding depends on the batch, so texts at the bound may be on either side
    margin = 1e-5
    assert {text for text, p in zip(texts, probabilities, strict=True) if p > min_prob + margin} <= set(kept)
    assert {text for text, p in zip(texts, probabilities, strict=True) if p < min_prob - margin} <= set(rejected)
    chosen = set(kept)
    assert len(kept) > 1000 < len(rejected)
    assert [text for text in texts if text in chosen] == kept
    assert [text for text in texts if text not in chosen] == rejected
