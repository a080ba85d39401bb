"""One line out for each line in, whatever the line holds."""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from samples import ODD_LINES, make_config, make_model
from textrnn.inference import OutputFormat
from textrnn.inference.engine import Engine, Prediction
from textrnn.inference.stream import format_line, format_set, predict_files
from textrnn.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def engine(tokenizer: Tokenizer) -> Engine:
    return Engine(make_model(tokenizer, make_config(model__hidden=8)))


def test_one_line_for_each_line(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\n".join(ODD_LINES))
    output = "".join(predict_files(engine, [str(path)]))
    assert output.endswith("\n")
    texts = [line.decode("utf-8", errors="replace") for line in ODD_LINES]
    wanted = [found[0] for found in engine.predict(texts)]
    got = [line.split("\t") for line in output[:-1].split("\n")]
    assert [label for label, _ in got] == [prediction.label for prediction in wanted]
    assert [float(p) for _, p in got] == pytest.approx([prediction.probability for prediction in wanted], abs=1e-5)


def test_many_lines_keep_their_order(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    texts = [f"parcel {'late ' * (i * 7 % 23)}{i}" for i in range(3000)]
    path.write_text("\n".join(texts), encoding="utf-8")
    output = "".join(predict_files(engine, [str(path), str(path)], output="jsonl", with_text=True))
    assert [json.loads(line)["text"] for line in output.splitlines()] == texts * 2


def test_a_line_is_answered_before_the_input_ends(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as stdin, os.fdopen(write_end, "wb", buffering=0) as writer:
        monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": stdin}))
        guard = threading.Timer(30, writer.close)  # a reader that waits for more would hang
        guard.start()
        answers = predict_files(engine, ["-"])
        for number in range(3):
            writer.write(f"message {number}\n".encode())
            assert next(answers).count("\n") == 1
        writer.write(b"half a line")
        writer.close()
        assert next(answers).count("\n") == 1
        assert guard.is_alive()
        guard.cancel()


FOUND = [Prediction("refund", 0.75), Prediction("a b", 0.25)]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({"output": "tsv", "several": False, "text": None}, "refund\t0.750000\n"),
        ({"output": "tsv", "several": True, "text": None}, "refund\t0.750000\ta b\t0.250000\n"),
        ({"output": "tsv", "several": False, "text": "x\ty"}, "refund\t0.750000\tx\ty\n"),
        ({"output": "label", "several": False, "text": None}, "refund\n"),
        ({"output": "label", "several": True, "text": "t"}, "refund\ta b\tt\n"),
        ({"output": "jsonl", "several": False, "text": None}, '{"label": "refund", "probability": 0.75}\n'),
        (
            {"output": "jsonl", "several": True, "text": '한 "t"'},
            '{"label": "refund", "probability": 0.75, "top": [{"label": "refund", "probability": 0.75}, '
            '{"label": "a b", "probability": 0.25}], "text": "한 \\"t\\""}\n',
        ),
    ],
)
def test_formats(arguments: dict[str, object], wanted: str) -> None:
    found = FOUND if arguments["several"] else FOUND[:1]
    text = arguments.pop("text")
    assert format_line(found, text, **arguments) == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "output", "text", "wanted"),
    [
        (FOUND, "tsv", None, "refund|a b\t0.750000|0.250000\n"),
        (FOUND, "tsv", "x\ty", "refund|a b\t0.750000|0.250000\tx\ty\n"),
        (FOUND[:1], "tsv", None, "refund\t0.750000\n"),
        ([], "tsv", "x", "\t\tx\n"),
        (FOUND, "label", None, "refund|a b\n"),
        ([], "label", None, "\n"),
        ([], "label", "x", "\tx\n"),
        (FOUND, "jsonl", None, '{"label": ["refund", "a b"], "probability": [0.75, 0.25]}\n'),
        ([], "jsonl", "한", '{"label": [], "probability": [], "text": "한"}\n'),
    ],
)
def test_formats_of_sets(found: list[Prediction], output: OutputFormat, text: str | None, wanted: str) -> None:
    assert format_set(found, text, output=output, separator="|") == wanted


@pytest.mark.parametrize(("given", "separator"), [(None, "|"), (" / ", " / ")])
def test_a_model_of_several_labels_writes_sets(
    tokenizer: Tokenizer, tmp_path: Path, given: str | None, separator: str
) -> None:
    config = make_config(model__hidden=8, data__multi_label=True, data__label_separator=given)
    engine = Engine(replace(make_model(tokenizer, config), thresholds=(0.0, 0.0, 1.0)))
    (tmp_path / "lines.txt").write_text("one\n\nthree\n")
    for options, count in (({}, 2), ({"top_k": 3}, 3), ({"threshold": 1.0}, 0)):
        for block in predict_files(engine, [str(tmp_path / "lines.txt")], **options):  # type: ignore[arg-type]
            lines = block.splitlines()
            assert len(lines) == 3
            for line in lines:
                labels, probabilities = line.split("\t")
                assert len(labels.split(separator) if labels else []) == count
                assert len(probabilities.split(separator) if probabilities else []) == count
