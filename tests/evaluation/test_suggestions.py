"""The texts to label next."""

from __future__ import annotations

from pathlib import Path

import pytest

from samples import make_config
from textrnn.evaluation.suggestions import Unlabelled, choose_diverse, find_dissimilar, read_unlabelled, suggest
from textrnn.inference.engine import Engine

LONG = "the parcel that i ordered on monday has not arrived yet"


def make_unlabelled(*texts: str) -> list[Unlabelled]:
    return [Unlabelled(number, text) for number, text in enumerate(texts, start=1)]


@pytest.fixture
def engine(trained: Path) -> Engine:
    """A model of texts on tea and coffee."""
    return Engine.load(trained / "runs" / "small")


def test_least_certain_text_comes_first_and_sure_ones_are_left_out(engine: Engine) -> None:
    sure = ("green tea with lemon now 4", "black coffee with milk now 5")
    found = suggest(engine, make_unlabelled(*sure, "green coffee", "a text on neither"), count=2)
    assert {entry.source.line_number for entry in found} == {3, 4}
    assert found[0].margin <= found[1].margin
    expected = {entry.source.line_number: engine.predict([entry.source.text])[0][0] for entry in found}
    for entry in found:
        prediction = expected[entry.source.line_number]
        assert (entry.label, entry.confidence) == (prediction.label, pytest.approx(prediction.probability, abs=1e-5))
        assert entry.margin == pytest.approx(2 * entry.confidence - 1, abs=1e-5)  # of two labels


def test_near_duplicates_of_known_and_chosen_texts_are_passed_over(engine: Engine) -> None:
    texts = make_unlabelled("green coffee", "Green coffee!", "a text on neither", f"{LONG}.")
    found = suggest(engine, texts, count=4, known=["A text, on neither", LONG])
    assert [entry.source.line_number for entry in found] == [1]


def test_each_group_of_texts_gives_one() -> None:
    groups = ("where is my parcel {}", "environment variables {}", "blue kettle boils {}")
    texts = [group.format(f"no. {number}") for group in groups for number in range(10)]
    chosen = choose_diverse(texts, [1.0] * len(texts), 3)
    assert [place // 10 for place in chosen] == [0, 1, 2]
    assert choose_diverse(texts, [1.0] * len(texts), 3) == chosen
    assert choose_diverse(texts[:2], [1.0, 0.5], 3) == [0, 1]
    assert len(choose_diverse(texts, [1.0] * len(texts), 29)) == 29


def test_no_texts(engine: Engine) -> None:
    assert suggest(engine, [], count=3, known=["green"]) == []


@pytest.mark.parametrize(
    ("texts", "known", "expected"),
    [
        (["a b c", "A  b, c", "another"], [], [0, 2]),
        ([LONG, LONG.replace("yet", "yet again"), "another"], [], [0, 2]),
        ([LONG, "another"], [LONG.replace("monday", "Monday")], [1]),
        (["x", "y", "x"], ["y"], [0]),
        ([LONG, "the kettle that i ordered on sunday is broken"], [], [0, 1]),
        (["one\nline", "one line"], [], [0]),
    ],
)
def test_similar_texts(texts: list[str], known: list[str], expected: list[int]) -> None:
    assert list(find_dissimilar(texts, known)) == expected


def test_lines_and_records_have_the_number_of_their_line(tmp_path: Path) -> None:
    notes: list[str] = []
    lines = tmp_path / "raw.txt"
    lines.write_bytes(b"\none\n \ntwo\r\n")
    found = read_unlabelled(str(lines), make_config().data, note=notes.append)
    assert found == [Unlabelled(2, "one"), Unlabelled(4, "two")]
    table = tmp_path / "t.csv"
    table.write_text('id,text\n1,"a\nb"\n2,c\n')
    found = read_unlabelled(str(table), make_config(data__text="text").data, note=notes.append)
    assert [entry.line_number for entry in found] == [2, 4]
    assert found[1].text == "c"
