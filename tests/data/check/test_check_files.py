"""A check finds planted faults with their file and line, and none in clean text."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from samples import make_config
from textrnn.config import DataConfig
from textrnn.data.cache import Cache
from textrnn.data.check import Report, check_files
from textrnn.data.reading.source import LabelledFile
from textrnn.errors import DataError
from textrnn.preparation.label_encoder import make_label_encoder
from textrnn.tokenization.spm_trainer import train_tokenizer

TOPICS = ("the kettle boils", "a parcel is late", "points are missing", "my order came broken")
WORDS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february", "march")


def clean(start: int, stop: int) -> list[bytes]:
    """Return rows without findings: two labels, and texts that are not similar."""
    rows = []
    for i in range(start, stop):
        words = " ".join(random.Random(i).choices(WORDS, k=4))
        rows.append(f"{'ab'[i % 2]}\t{TOPICS[i % 4]} {words} {i * 7919:x}".encode())
    return rows


def lines_of(report: Report, kind: str) -> set[tuple[str, int | None]]:
    """Return the places of all findings of a kind, as (file name, line)."""
    groups = [group for group in report.findings.groups if group.kind == kind]
    return {(Path(found.path).name, found.line) for group in groups for found in group.shown}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("check")
    train = clean(0, 100)
    train[9] = b"a\xff\tnot utf-8"
    train[11] = b"no tab here"
    train[13] = b"\tno label"
    train[15] = b"a\t  "  # empty
    train[20] = train[18]  # the same label
    train[23] = b"a" + train[21][1:]  # b is another label
    train[26] = train[24].upper().replace(b"A\t", b"a\t").replace(b" ", b"  ") + b"!"
    train[29] = b"a\t" + train[27][2:].replace(b" ", b", ")
    train[32] = train[30] + b"s"  # similar
    train[35] = b"a\tbell \x07 rings"
    train[37] = "a\tlost \ufffd character".encode()
    train[39] = "a\tcaf\u00c3\u00a9 au lait".encode()
    train[41] = b"a\tone field\tand another"
    train[43] = b"A\tlabel in capitals"
    train[45] = b" rare\tblank before the label"
    train[47] = b"a\t" + b"the kettle boils " * 40  # long
    train[49] = "a\tcaf\u00e9 \u4e2d\u6587".encode()  # characters unknown to the tokenizer
    train[51] = "a\tzero\u200bwidth".encode()
    valid = clean(200, 240)
    valid[3] = train[60]
    valid[5] = train[61].upper().replace(b"B\t", b"b\t")
    valid[7] = train[62] + b"t"
    valid[9] = b"never\tseen before training"
    (folder / "train.tsv").write_bytes(b"\n".join(train) + b"\n")
    (folder / "valid.tsv").write_bytes(b"\n".join(valid) + b"\n")
    (folder / "test.tsv").write_bytes(b"a\tonly one label of the two is in this one\n")
    tokenizer = train_tokenizer([row[2:] for row in clean(0, 400)], model_type="char", hard_vocab_limit=False).tokenizer
    files = [(str(folder / f"{part}.tsv"), part) for part in ("train", "valid", "test")]
    return check_files(
        files, DataConfig(max_length=200, long_texts="cut"), max_shown=100, count_pieces=tokenizer.count_pieces
    )


PLANTED: dict[str, set[tuple[str, int | None]]] = {
    "refused": {("train.tsv", 10), ("train.tsv", 12), ("train.tsv", 14)},
    "empty": {("train.tsv", 16)},
    "duplicate": {("train.tsv", 21)},
    "conflict": {("train.tsv", 24)},
    "near-duplicate": {("train.tsv", 27)},
    "near-conflict": {("train.tsv", 30)},
    "similar": {("train.tsv", 33)},
    "overlap": {("valid.tsv", 4)},
    "near-overlap": {("valid.tsv", 6)},
    "similar-overlap": {("valid.tsv", 8)},
    "label-spelling": {("train.tsv", 44)},
    "label-blanks": {("train.tsv", 46)},
    "label-unknown": {("valid.tsv", 10)},
    "label-missing": {("valid.tsv", None), ("test.tsv", None)},
    "few-texts": {("train.tsv", 44), ("train.tsv", 46)},
    "imbalance": {("train.tsv", 44), ("train.tsv", 46)},
    "cut": {("train.tsv", 48)},
    "control": {("train.tsv", 36), ("train.tsv", 52)},
    "replacement": {("train.tsv", 38)},
    "mojibake": {("train.tsv", 40)},
    "tab": {("train.tsv", 42)},
}


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_faults_are_found_in_their_places_only(report: Report, kind: str) -> None:
    assert lines_of(report, kind) == PLANTED[kind]


def test_texts_with_unknown_pieces_are_found(report: Report) -> None:
    found = lines_of(report, "unknown-pieces")
    assert {("train.tsv", 50), ("valid.tsv", 6)} <= found  # and capitals
    assert not found & {("train.tsv", line) for line in (1, 2, 3, 48)}
    shown = {str(f) for g in report.findings.groups if g.kind == "unknown-pieces" for f in g.shown if f.line == 50}
    assert [text.split("train.tsv")[1] for text in shown] == [":50: 2 of 7 pieces are unknown"]


def test_messages_of_findings(report: Report) -> None:
    messages = {f"{Path(f.path).name}:{f.line}: {f.message}" for group in report.findings.groups for f in group.shown}
    assert {
        "train.tsv:10: bytes that are not valid in the encoding; "
        "if the file has another one, use --set data.encoding=NAME",
        "train.tsv:36: U+0007 at character 6 of the text",
        "train.tsv:48: 680 pieces, truncated to 200",
    } <= messages
    assert any(re.fullmatch(r"train.tsv:33: shares 9\d % of its trigrams with line 31", line) for line in messages)


@pytest.mark.parametrize(
    ("long_texts", "cut", "message"),
    [
        ("cut", 75, "95 pieces, truncated to 20"),
        ("windows", 35, "95 pieces, read in 3 windows: 60"),
        ("whole", 0, None),
    ],
)
def test_what_is_not_read_depends_on_how_long_texts_are_read(
    long_texts: str, cut: int, message: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text(f"a\t{'x' * 94}\nb\ttea and milk\n")
    tokenizer = train_tokenizer([b"x tea", b"and milk"], model_type="char", hard_vocab_limit=False).tokenizer
    config = make_config(data__max_length=20, data__long_texts=long_texts).data
    report = check_files([(str(path), None)], config, max_shown=9, count_pieces=tokenizer.count_pieces)
    assert (report.files[0].cut_texts, report.files[0].cut) == (1, cut)
    shown = [found.message for group in report.findings.groups if group.kind == "cut" for found in group.shown]
    assert shown == ([] if message is None else [message])
    assert report.to_dict()["long_texts"] == long_texts


def test_figures(report: Report) -> None:
    train, valid, test = report.files
    assert (train.texts, valid.texts, test.texts) == (97, 40, 1)
    assert train.labels["A"] == 1
    assert sum(train.labels.values()) == 97
    assert (train.empty, train.cut_texts, train.cut) == (1, 1, 480)
    assert train.lengths["longest"] == 680
    assert train.unknown is not None
    assert train.unknown > 0
    assert report.findings.count(faults=True) == 3


def test_clean_text_has_no_findings(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"\n".join(clean(0, 100)))
    (tmp_path / "b.tsv").write_bytes(b"\n".join(clean(300, 340)))
    files = [(str(tmp_path / "a.tsv"), "train"), (str(tmp_path / "b.tsv"), "valid")]
    found = check_files(files, DataConfig(), max_shown=5)
    assert found.findings.groups == []
    assert found.unit == "characters"
    assert (found.files[0].pieces, found.files[0].unknown) == (None, None)


def test_all_findings_are_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"a\tx y z\n" * 50 + b"no tab\n" * 7000 + b"b\t\n" * 20)
    found = check_files([(str(tmp_path / "a.tsv"), None)], DataConfig(), max_shown=3).findings
    counts = {group.kind: (group.count, len(group.shown)) for group in found.groups}
    assert counts == {"refused": (7000, 3), "empty": (20, 3), "duplicate": (49, 3)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; it needs labelled text"),
        (b"\n\n", "contains no labelled text"),
        (b"tea\ta\ntea\tb\n", "every text has the label 'tea'; training needs at least two labels"),
        (b"tea\ta\ncoffee\tb\n", "too few texts to hold out a validation set; name one with --valid"),
        (b"\x1f\x8b\x08\x00junk", "compressed data is damaged or truncated"),
    ],
)
def test_what_train_refuses_of_the_whole_file(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(content)
    found = check_files([(str(tmp_path / "a.tsv"), "train")], DataConfig(), max_shown=5).findings
    faults = [finding.message for group in found.groups if group.kind == "refused" for finding in group.shown]
    assert [fault[: len(message)] for fault in faults] == [message]


def test_a_valid_file_without_a_known_label_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"\n".join(clean(0, 40)))
    (tmp_path / "b.tsv").write_bytes(b"c\tsome text\n")
    files = [(str(tmp_path / "a.tsv"), "train"), (str(tmp_path / "b.tsv"), "valid")]
    found = check_files(files, DataConfig(), max_shown=5)
    assert lines_of(found, "refused") == {("b.tsv", 1)}


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["a|b\tx", "b|a\ty"], "every text has the same labels (a, b); training needs texts with different labels"),
        (["\tx", "\ty"], "no text has a label; data.multi_label needs some texts with labels"),
        (["a\tx", "b\ty"], "no label contains data.label_separator '|'; set the right separator, or null"),
    ],
)
def test_label_sets_are_refused_like_in_training(lines: list[str], fault: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("".join(f"{line}\n" for line in lines))
    config = DataConfig(multi_label=True, label_separator="|")
    report = check_files([(str(path), "train")], config, max_shown=5)
    messages = [
        finding.message for group in report.findings.groups if group.kind == "refused" for finding in group.shown
    ]
    assert fault in messages
    with pytest.raises(DataError, match=re.escape(fault)):
        make_label_encoder(LabelledFile(str(path), config, Cache(tmp_path)), config)


def test_the_order_of_labels_is_not_a_conflict(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("a|b\tthe same text\nb|a\tthe same text\nc\tanother one\n")
    config = DataConfig(multi_label=True, label_separator="|")
    kinds = {group.kind for group in check_files([(str(path), None)], config, max_shown=5).findings.groups}
    assert "duplicate" in kinds
    assert "conflict" not in kinds
