"""``textrnn predict``."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from command import Run, list_loaded
from samples import DRINKS, make_config, make_model
from textrnn.inference import Precision
from textrnn.inference.engine import Engine
from textrnn.inference.linear import missing_support
from textrnn.models.cascade import Cascade
from textrnn.serialization.model_file import load_model, save_model
from textrnn.tokenization.tokenizer import Tokenizer


def test_records_of_all_formats_keep_their_format(trained: Path, tmp_path: Path, invoke: Run) -> None:
    texts = ["green tea", "black coffee"]
    (tmp_path / "a.tsv").write_text("".join(f"{i}\tx\t{text}\n" for i, text in enumerate(texts)))
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["label", "text"], *[["?", f"{text},\nplease"] for text in texts]])
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"id": i, "text": t}) + "\n" for i, t in enumerate(texts)))

    def predict(field: str, name: str) -> str:
        done = invoke("predict", "--field", field, tmp_path / name, cwd=trained)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    tsv = [line.split("\t") for line in predict("3", "a.tsv").splitlines()]
    assert [row[0] for row in tsv] == ["tea", "coffee"]
    assert [row[2:] for row in tsv] == [["0", "x", "green tea"], ["1", "x", "black coffee"]]
    rows = list(csv.DictReader(io.StringIO(predict("text", "a.csv"), newline="")))
    assert [(row["predicted_label"], row["label"], row["text"]) for row in rows] == [
        ("tea", "?", "green tea,\nplease"),
        ("coffee", "?", "black coffee,\nplease"),
    ]
    objects = [json.loads(line) for line in predict("text", "a.jsonl").splitlines()]
    assert [(row["label"], row["id"], row["text"]) for row in objects] == [
        ("tea", 0, "green tea"),
        ("coffee", 1, "black coffee"),
    ]


def test_scores_and_probabilities_of_tables_have_a_header(trained: Path, tmp_path: Path, invoke: Run) -> None:
    (tmp_path / "a.csv").write_text("score,text\n1,green tea\n2,black coffee\n")

    def predict(*options: str) -> list[dict[str, str]]:
        done = invoke("predict", *options, "--field", "text", tmp_path / "a.csv", cwd=trained)
        assert (done.returncode, done.stderr) == (0, b"")
        return list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))

    scores = predict("--score", "tea")
    assert [float(row["predicted_score"]) > 0.5 for row in scores] == [True, False]
    rows = predict("--format", "probabilities")
    assert list(rows[0]) == ["probability_coffee", "probability_tea", "score", "text"]
    assert [row["probability_tea"] for row in rows] == [row["predicted_score"] for row in scores]
    assert [float(r["probability_coffee"]) + float(r["probability_tea"]) for r in rows] == pytest.approx([1, 1], 1e-5)


@pytest.mark.parametrize("options", [[], ["--field", "1", "--input-format", "tsv"]])
def test_the_order_of_probabilities_is_told_if_there_is_no_header(
    options: list[str], trained: Path, invoke: Run
) -> None:
    done = invoke("predict", "--format", "probabilities", *options, cwd=trained, stdin=b"green tea\nblack coffee\n")
    assert done.stderr == b"textrnn: columns: coffee\ttea\n"
    first, second = ([float(field) for field in line.split(b"\t")[:2]] for line in done.stdout.splitlines())
    assert first[0] < first[1]
    assert second[0] > second[1]


def test_the_label_of_a_score_must_exist(trained: Path, invoke: Run) -> None:
    done = invoke("predict", "--score", "te", cwd=trained)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"textrnn: --score te: the model has no such label; did you mean 'tea'?")


def test_a_label_that_the_encoding_of_the_table_lacks_is_an_error(
    tokenizer: Tokenizer, tmp_path: Path, invoke: Run
) -> None:
    save_model(tmp_path / "m.safetensors", make_model(tokenizer, make_config(model__hidden=8), ("한", "글", "말")))
    table = "id;text\n1;café\n"
    (tmp_path / "a.csv").write_bytes(table.encode("cp1252"))
    for options in ((), ("--format", "probabilities")):
        arguments = ("--field", "text", "--set", "data.encoding=cp1252", *options)
        done = invoke("predict", "-m", "m.safetensors", *arguments, "a.csv")
        (line,) = [line for line in done.stderr.decode().splitlines() if "divided by" not in line]
        assert done.returncode == 1
        assert done.stdout.count(b"\n") <= 1  # the header
        assert "a.csv: " in line
        assert "cp1252" in line
    done = invoke("predict", "-m", "m.safetensors", *arguments[:4], "--score", "한", "a.csv")
    assert re.fullmatch("score;id;text\n0[.][0-9]{6};1;café\n", done.stdout.decode("cp1252"))


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_another_precision_changes_probabilities_slightly(
    tokenizer: Tokenizer, tmp_path: Path, precision: Precision, invoke: Run
) -> None:
    if missing_support(precision):
        pytest.skip(f"this processor has no {precision}")
    save_model(tmp_path / "m.safetensors", make_model(tokenizer, make_config(model__hidden=8)))
    outputs = {
        name: invoke("predict", "-m", "m.safetensors", "--precision", name, stdin=DRINKS).stdout.splitlines()
        for name in ("fp32", "float32", precision)
    }
    assert outputs["fp32"] == outputs["float32"]
    full, reduced = ([float(line.split(b"\t")[1]) for line in outputs[name]] for name in ("fp32", precision))
    assert len(full) == len(reduced) == DRINKS.count(b"\n")
    assert 0 < max(abs(p - q) for p, q in zip(full, reduced, strict=True)) < 0.02


def test_a_cascade_skips_the_network_where_the_ngrams_are_sure(trained: Path, tmp_path: Path, invoke: Run) -> None:
    model = load_model(trained / "runs/small")
    save_model(tmp_path / "m.safetensors", replace(model, cascade=Cascade(7.0, (0.0, 1e6), (0.9, 0.99))))
    plain, skipped, none, kept = (
        invoke("predict", "-m", "m.safetensors", *options, stdin=b"green tea\nblack coffee\n")
        for options in ([], ["--cascade", "0.9"], ["--cascade", "0.999"], ["--cascade", "0.95"])
    )
    labels = [[line.split(b"\t")[0] for line in done.stdout.splitlines()] for done in (plain, skipped)]
    assert labels == [[b"tea", b"coffee"]] * 2
    expected = Engine(replace(model, ngram_share=1.0, temperature=7.0)).predict(["green tea", "black coffee"])
    found = [float(line.split(b"\t")[1]) for line in skipped.stdout.splitlines()]
    assert found == pytest.approx([label.probability for (label,) in expected], abs=1e-6)
    assert plain.stdout == none.stdout == kept.stdout != skipped.stdout  # no text has the margin 1e6
    assert plain.stderr == skipped.stderr == kept.stderr == b""
    message = "--cascade 0.999: the validation set supports 0.9900 at most; using the whole model"
    assert none.stderr.decode() == f"textrnn: {message}\n"


def test_a_cascade_needs_a_model_that_has_one(
    trained: Path, trained_multi_label: Path, tmp_path: Path, invoke: Run
) -> None:
    model = load_model(trained / "runs/small")
    save_model(tmp_path / "earlier", replace(model, cascade=None))
    save_model(tmp_path / "network", replace(model, ngrams=None, ngram_share=0.0, cascade=None))
    reasons = {
        tmp_path / "earlier": "the model file lacks the margins for it; train it again",
        tmp_path / "network": "the model has no n-grams; leave it out",
        trained_multi_label / "runs/small": "the model is multi-label; leave it out",
    }
    for path, reason in reasons.items():
        for command in (["predict"], ["filter", "--label", "tea"]):
            done = invoke(*command, "-m", path, "--cascade", "0.99", stdin=b"green tea\n")
            assert (done.returncode, done.stdout) == (2, b"")
            assert done.stderr.decode() == f"textrnn: --cascade 0.99: {reason}\n"


@pytest.mark.parametrize(
    "command", ["predict", "predict --cascade 0.01", "filter --label tea --min-prob=0.5 --cascade 0.01"]
)
def test_one_line_loads_only_what_it_needs(command: str, trained: Path) -> None:
    modules = list_loaded(*command.split(), cwd=trained, stdin=b"tea\n")
    assert "textrnn.pipeline.ordered_pool" in modules
    assert not {"concurrent.futures", "rich", "torch", "scipy", "sklearn", "safetensors"} & modules
    assert not {"typer", "click", "pydantic", "pydantic_core", "yaml", "zstandard", "hashlib", "difflib"} & modules


def test_explanations_load_no_torch(trained: Path) -> None:
    modules = list_loaded("predict", "--format", "jsonl", "--explain", cwd=trained, stdin=DRINKS[:2000])
    assert "textrnn.inference.explain" in modules
    assert not {"torch", "sklearn", "scipy", "rich"} & modules


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--top-k 0", "'--top-k'"),
        ("--jobs 0", "'--jobs'"),
        ("--format xml", "'--format'"),
        ("--precision fp16", "'--precision'"),
        ("--field 1 --format jsonl", "--format jsonl: with --field, records keep their format; leave it out"),
        ("--field 1 --with-text", "--with-text: --field prints the whole record anyway; leave it out"),
        ("--explain", "--explain: needs JSON output; add --format jsonl"),
        ("--explain --field 1 --input-format csv", "--explain: needs JSON records, not csv; leave it out"),
        ("--score a --top-k 2", "--top-k 2: has no effect with --score; leave it out"),
        ("--score a --format label", "--format label: has no effect with --score; leave it out"),
        ("--score a --format probabilities", "--format probabilities: has no effect with --score; leave it out"),
        ("--score a --format jsonl --explain", "--explain: has no effect with --score; leave it out"),
        ("--format probabilities --threshold 0", "--threshold 0.0: has no effect with --format probabilities"),
        ("--format probabilities --min-prob 0", "--min-prob 0.0: has no effect with --format probabilities"),
        ("--explain --format jsonl --cascade 0.9", "--cascade 0.9: has no effect with --explain; leave one out"),
        ("--cascade 1.5", "'--cascade'"),
        ("--score a --score b", "--score: given twice; keep one"),
        ("--score a --ignore-thresholds", "--ignore-thresholds: has no effect with --score; leave it out"),
        ("--ignore-thresholds --min-prob 0.5", "--min-prob 0.5: has no effect with --ignore-thresholds; leave one out"),
        ("--min-prob 0.5 --unknown-label=", "--unknown-label: is blank, or contains a tab or line break"),
    ],
)
def test_faults(arguments: str, message: str, invoke: Run) -> None:
    done = invoke("predict", *arguments.split())
    (line,) = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (2, b"")
    assert message in line


def test_an_unknown_label_needs_a_bound(trained: Path, invoke: Run) -> None:
    done = invoke("predict", "--unknown-label", "x", cwd=trained, stdin=b"tea\n")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == "textrnn: --unknown-label x: needs a bound; add --min-prob\n"


@pytest.mark.parametrize("command", [("predict",), ("filter", "--label", "tea")], ids=" ".join)
def test_numpy_is_loaded_after_its_threads_are_set(command: tuple[str, ...], trained: Path) -> None:
    program = (
        "import os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'numpy':\n"
        "            sys.stderr.write(f'threads: {os.environ.get(\"OPENBLAS_NUM_THREADS\")}\\n')\n"
        "sys.meta_path.insert(0, Watch())\n"
        "from textrnn.__main__ import main\n"
        "main()\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    arguments = [sys.executable, "-c", program, *command, "-m", "runs/small"]
    done = subprocess.run(arguments, cwd=trained, input=b"tea\n", capture_output=True, env=environment, check=True)
    assert b"threads: 1\n" in done.stderr
