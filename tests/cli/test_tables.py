"""Tables and the evaluation page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len

from textrnn.cli.tables import (
    align_numbers,
    format_counts,
    format_evaluation,
    format_guarantees,
    format_size,
    format_table,
)
from textrnn.evaluation.abstention import Guarantee
from textrnn.evaluation.multi_label import LabelScore, MultiLabelEvaluation
from textrnn.evaluation.single_label import ClassScore, Evaluation

SCORES: dict[str, Any] = {
    **{"accuracy": 0.9, "macro_f1": 0.8, "weighted_f1": 0.85, "loss": 0.25, "loss_uncalibrated": 0.5},
    **{"calibration_error": 0.03125, "calibration_error_uncalibrated": 0.125, "temperature": 1.75},
    **{"unknown_texts": 0, "unknown_labels": []},
}


def make_evaluation(labels: list[str]) -> Evaluation:
    size = len(labels)
    return Evaluation(
        **SCORES,
        texts=10 * size,
        correct=9 * size,
        labels=labels,
        classes=[ClassScore(label, 0.5, 0.25, 1 / 3, 10) for label in labels],
        confusion=[entry for i in range(size) for entry in ((i, i, 9), (i, (i + 1) % size, 1)) if size > 1],
    )


def test_the_page_shows_every_score() -> None:
    lines = format_evaluation(make_evaluation(["refund", "배송"])).splitlines()
    assert lines[:8] == [
        "texts        20",
        "accuracy     90.00 %  (18 right)",
        "macro F1     80.00 %",
        "weighted F1  85.00 %",
        "loss         0.2500  (0.5000 uncalibrated)",
        "calibration  probabilities off by 3.12 percentage points on average",
        "             (ECE, 12.50 uncalibrated, temperature 1.750; about 90 % of the",
        "             predictions made with 90 % confidence should be correct)",
    ]
    assert max(map(len, lines)) <= 80
    assert lines[9:12] == [
        "label   precision  recall    F1  support",
        "refund       50.0    25.0  33.3       10",
        "배송         50.0    25.0  33.3       10",
    ]
    assert lines[13:] == [
        "confusion (rows: true, columns: predicted)",
        "        refund  배송",
        "refund       9     1",
        "배송         1     9",
    ]


def test_a_model_without_a_temperature_is_not_calibrated() -> None:
    evaluation = replace(make_evaluation(["a", "b"]), temperature=1.0, loss_uncalibrated=0.25)
    lines = format_evaluation(evaluation).splitlines()
    assert lines[4] == "loss         0.2500"
    assert lines[6].startswith("             (ECE, the model is not calibrated; ")


def test_the_loss_is_a_dash_if_no_label_is_known() -> None:
    lines = format_evaluation(replace(make_evaluation(["a"]), loss=None, loss_uncalibrated=None)).splitlines()
    assert lines[4] == "loss         -"


def test_many_labels_show_the_most_frequent_mistakes() -> None:
    text = format_evaluation(make_evaluation([f"label{i:02}" for i in range(30)]))
    assert "the 20 most frequent mistakes; --json has all" in text
    assert text.splitlines()[-20].split() == ["label00", "label01", "1"]
    assert "label29" not in text.split("confusion")[1].splitlines()[0]


@pytest.mark.parametrize(
    ("columns", "head"),
    [
        (40, ["                  ", "a long label", "배송 문의"]),
        (30, ["                  ", "1", "2"]),
        (20, ["              ", "1", "2"]),
    ],
)
def test_the_matrix_fits_the_terminal(columns: int, head: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    matrix = format_evaluation(make_evaluation(["a long label", "배송 문의"])).split("predicted)\n")[1].splitlines()
    assert matrix[0].split() == " ".join(head).split()
    assert all(cell_len(line) <= columns for line in matrix)
    assert matrix[2].endswith("9")
    assert matrix[1].startswith("a long label" if columns == 40 else "1 a long")


def test_a_matrix_that_is_too_wide_gives_way_to_the_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "6")
    assert "the 2 most frequent mistakes" in format_evaluation(make_evaluation(["a", "b"]))


def test_thresholds_are_shown_with_what_they_guarantee() -> None:
    found = Guarantee(None, 500, 0.05, 0.912345, covered=400, errors=7)
    assert format_guarantees([found]) == (
        "\nthreshold    0.912345\n"
        "             (covers 80.0 % of the texts, 7 errors among them:\n"
        "             at most 5 % errors with 95 % confidence)\n"
    )
    nothing = format_guarantees([Guarantee(None, 50, 0.05)])
    assert "threshold    none\n             (no confidence guarantees at most 5 % errors" in nothing
    table = format_guarantees([replace(found, label="tea"), Guarantee("배송", 30, 0.05)]).splitlines()
    assert table[1] == "thresholds for a precision of at least 95 %, each with 95 % confidence"
    assert [line.split() for line in table[3:]] == [
        ["tea", "0.912345", "80.0", "7", "400"],
        ["배송", "none", "0.0", "0", "0"],
    ]


def test_the_most_frequent_of_very_many_labels_are_shown() -> None:
    evaluation = make_evaluation([f"label{i:03}" for i in range(250)])
    rare = [replace(score, support=1) if i % 2 else score for i, score in enumerate(evaluation.classes)]
    table = format_evaluation(replace(evaluation, classes=rare)).split("\n\n")[1].splitlines()
    assert [line.split()[0] for line in table[1:-1]] == [f"label{i:03}" for i in range(0, 200, 2)]
    assert table[-1].startswith("and 150 labels more")


def test_a_table_aligns_text_left_and_numbers_right() -> None:
    assert format_table([["a", "n"], ["long name", "5"], ["b", "1,234"]]) == [
        "a              n",
        "long name      5",
        "b          1,234",
    ]


def test_only_the_first_labels_are_counted_out() -> None:
    assert format_counts({"tea": 1200, "coffee": 9}, limit=2) == "tea 1,200, coffee 9"
    assert format_counts({"tea": 1200, "coffee": 9, "water": 1}, limit=2) == "tea 1,200, coffee 9, and 1 label more"


def test_multi_label_scores_have_thresholds_and_no_confusion_matrix() -> None:
    evaluation = MultiLabelEvaluation(
        **SCORES,
        texts=20,
        correct=9,
        micro_f1=0.7,
        labels=["refund", "new"],
        classes=[LabelScore("refund", 0.5, 0.25, 1 / 3, 10, 0.1234), LabelScore("new", 0.0, 0.0, 0.0, 1, None)],
    )
    assert format_evaluation(evaluation).splitlines() == [
        "texts        20",
        "micro F1     70.00 %",
        "macro F1     80.00 %",
        "weighted F1  85.00 %",
        "accuracy     90.00 %  (9 with all labels right)",
        *format_evaluation(make_evaluation(["a"])).splitlines()[4:8],
        "",
        "label   precision  recall    F1  support  threshold",
        "refund       50.0    25.0  33.3       10      0.123",
        "new           0.0     0.0   0.0        1          -",
    ]


def test_numbers_are_aligned_to_the_right() -> None:
    assert align_numbers([["part", "size"], ["머리", "9 bytes"]]) == ["part     size", "머리  9 bytes"]


@pytest.mark.parametrize(
    ("size", "shown"), [(1, "1 byte"), (999, "999 bytes"), (5_734_229, "5.7 MB"), (1_234_000_000, "1,234.0 MB")]
)
def test_sizes(size: int, shown: str) -> None:
    assert format_size(size) == shown
