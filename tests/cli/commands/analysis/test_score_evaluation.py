"""Commands with a model of scores: what they print, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import Run
from textrnn.inference.engine import Engine


def test_evaluate_prints_the_errors_of_scores(scored: Path, invoke: Run, tmp_path: Path) -> None:
    page = invoke("evaluate", "rows.tsv", cwd=scored).stdout.decode()
    found = json.loads(invoke("evaluate", "rows.tsv", "--json", cwd=scored).stdout)
    assert f"MAE          {found['mae']:.4g}\n" in page
    assert "calibration by predicted score\nfrom" in page
    path = tmp_path / "errors.jsonl"
    assert invoke("evaluate", "rows.tsv", "--errors", path, "--limit", 5, cwd=scored).returncode == 0
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [*rows[0]] == ["file", "line", "score", "predicted_score", "error", "text"]
    errors = [abs(row["error"]) for row in rows]
    assert errors == sorted(errors, reverse=True)
    assert len(rows) == 5


def test_predict_filter_and_explain_agree(scored: Path, invoke: Run) -> None:
    texts = ["late again", "the kettle", "where"]
    scores = [f"{score:.6g}" for score in Engine.load(scored / "runs/small").predict_scores(texts)]
    stdin = "".join(f"{text}\n" for text in texts).encode()
    assert invoke("predict", cwd=scored, stdin=stdin).stdout.decode().split() == scores
    bound = sorted(map(float, scores))[1] - 1e-4
    kept = invoke("filter", "--min-score", bound, cwd=scored, stdin=stdin)
    assert kept.stderr == b"textrnn: 2 kept, 1 dropped\n"
    assert invoke("explain", texts[0], cwd=scored).stdout.decode().split("\n")[0] == scores[0]
    row = json.loads(invoke("explain", "--json", texts[0], cwd=scored).stdout)
    assert row["score"] == float(scores[0])


@pytest.mark.parametrize(
    "arguments",
    [
        *("predict --top-k 2", "predict --min-prob 0", "predict --threshold 0.5", "predict --format label"),
        *("predict --format probabilities", "predict --score 10", "predict --cascade 0.9"),
        *("predict --min-prob 0.1 --unknown-label x", "predict --ignore-thresholds"),
        *("filter --label 10", "filter --min-score 2 --min-prob 0.5", "filter --label 1 --threshold 0.5"),
        *(
            "evaluate rows.tsv --max-error 0.1",
            "evaluate rows.tsv --at-precision 0.9",
            "evaluate rows.tsv --threshold 1",
        ),
        *("evaluate rows.tsv --errors e.tsv --sort loss", "evaluate rows.tsv --clear-thresholds"),
        *("explain --label 10 text", "optimize -o small.safetensors rows.tsv", "report --threshold 0.5 rows.tsv"),
        *("compare runs/small runs/small/model.safetensors rows.tsv", "data suggest rows.tsv"),
    ],
)
def test_what_is_for_labels_is_refused(arguments: str, scored: Path, invoke: Run) -> None:
    done = invoke(*arguments.split(), cwd=scored)
    assert (done.returncode, done.stdout) == (2, b"")
    assert "is for labels, but the model predicts scores" in done.stderr.decode()


def test_a_range_is_for_scores(scored: Path, trained: Path, invoke: Run) -> None:
    done = invoke("filter", "--label", "tea", "--min-score", "3", cwd=trained)
    assert (done.returncode, done.stderr) == (
        2,
        b"textrnn: --min-score 3: the model predicts labels; use --label instead\n",
    )
    assert invoke("filter", "--min-score", "3", "--max-score", "2", cwd=scored).returncode == 2
    assert invoke("filter", "--min-score", "nan", cwd=scored).returncode == 2


def test_inspect_and_card_name_the_scores(scored: Path, invoke: Run) -> None:
    assert "from 1 to 10, 3 anchors" in invoke("inspect", cwd=scored).stdout.decode()
    card = invoke("card", cwd=scored).stdout.decode()
    assert "- Scores: the mean of 3 anchors from 1 to 10" in card
    assert "model.predict_scores(" in card


def test_check_and_split_read_numbers(scored: Path, invoke: Run, tmp_path: Path) -> None:
    setting = ("--set", "data.target=score")
    report = json.loads(invoke("data", "check", "rows.tsv", *setting, "--json", cwd=scored).stdout)
    scores = report["files"][0]["scores"]
    assert (scores["lowest"], scores["mean"], scores["highest"]) == (0.5, pytest.approx(3.5), 6.5)
    assert report["files"][0]["labels"] == {}
    assert {finding["kind"] for finding in report["findings"]} <= {"similar", "repeated"}
    assert "lowest" in invoke("data", "check", "rows.tsv", *setting, cwd=scored).stdout.decode()
    bad = tmp_path / "bad.tsv"
    bad.write_text("1\ta text\nmany\tanother text\n", encoding="utf-8")
    done = invoke("data", "check", bad, *setting)
    assert done.returncode == 1
    assert "bad.tsv:2: 'label' should be a number, not 'many'" in done.stdout.decode()
    split = invoke("data", "split", scored / "rows.tsv", "--out", tmp_path / "parts", *setting)
    assert "scores from 0.5 to 6.5" in split.stderr.decode()
    parts = [
        (tmp_path / "parts" / f"{part}.tsv").read_text("utf-8").splitlines() for part in ("train", "valid", "test")
    ]
    assert sorted(line for part in parts for line in part) == sorted(
        (scored / "rows.tsv").read_text("utf-8").splitlines()
    )
