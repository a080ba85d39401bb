"""Splits: shares, no leaks, reproducible bytes, and no lost rows."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from textrnn.config import DataConfig
from textrnn.data.minhash import normalize
from textrnn.data.reading.examples import read_examples
from textrnn.data.split import PARTS, split_file
from textrnn.errors import ConfigError, DataError

SHARES = {"valid": 0.1, "test": 0.2}
COUNTS = {"often": 1000, "some": 200, "few": 20}


def make_rows(seed: int = 0) -> list[str]:
    """Return rows of three labels; a third of the texts repeat another one in a different spelling."""
    rng = random.Random(seed)
    rows = []
    for label, count in COUNTS.items():
        texts: list[str] = []
        for i in range(count):
            if texts and rng.random() < 0.3:
                text = rng.choice(texts)
                texts.append(rng.choice([text, text.upper(), f" {text}!", text.replace(" ", "  ")]))
            else:
                texts.append(f"text of {label} {i}")
        rows += [f"{label}\t{text}" for text in texts]
    rng.shuffle(rows)
    return rows


def write(path: Path, rows: list[str], end: str = "\n") -> Path:
    path.write_bytes("".join(row + end for row in rows).encode())
    return path


def test_no_text_is_in_two_parts_and_each_label_has_its_share(tmp_path: Path) -> None:
    rows = make_rows()
    done = split_file(str(write(tmp_path / "all.tsv", rows)), tmp_path / "out", DataConfig(), shares=SHARES, seed=1)
    parts = {part: read_examples(str(path), DataConfig()) for part, path in done.paths.items()}
    assert {part: path.name for part, path in done.paths.items()} == {part: f"{part}.tsv" for part in PARTS}
    letters = [set(normalize([example.text for example in parts[part]])) for part in PARTS]
    assert not letters[0] & letters[1]
    assert not letters[0] & letters[2]
    assert not letters[1] & letters[2]
    written = [line for part in PARTS for line in done.paths[part].read_text().splitlines()]
    assert Counter(written) == Counter(rows)
    for part, share in (("train", 0.7), ("valid", 0.1), ("test", 0.2)):
        counts = Counter(example.label for example in parts[part])
        assert counts == Counter(done.counts[part])
        for label, count in COUNTS.items():
            assert abs(counts[label] - share * count) <= 1
    assert done.together == len(rows) - len(set(normalize([row.split("\t", 1)[1] for row in rows])))


def test_parts_keep_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [f"{'ab'[i % 2]}\t{i}" for i in range(100)]
    done = split_file(str(write(tmp_path / "all.tsv", rows)), tmp_path, DataConfig(), shares=SHARES, seed=0)
    for path in done.paths.values():
        numbers = [int(line.split("\t")[1]) for line in path.read_text().splitlines()]
        assert numbers == sorted(numbers)


def test_the_seed_fixes_the_split_in_every_process(tmp_path: Path) -> None:
    write(tmp_path / "all.tsv", make_rows())
    code = (
        "import sys; from pathlib import Path; from textrnn.config import DataConfig; "
        "from textrnn.data.split import split_file; "
        "split_file('all.tsv', Path(sys.argv[1]), DataConfig(), "
        "shares={'valid': 0.1, 'test': 0.2}, seed=int(sys.argv[2]))"
    )
    for folder, seed in (("one", "5"), ("two", "5"), ("three", "6")):
        subprocess.run([sys.executable, "-c", code, folder, seed], cwd=tmp_path, check=True)
    for part in PARTS:
        contents = [(tmp_path / folder / f"{part}.tsv").read_bytes() for folder in ("one", "two", "three")]
        assert contents[0] == contents[1]
        assert contents[0] != contents[2]


def test_lines_are_copied_byte_for_byte(tmp_path: Path) -> None:
    rows = [f"{'ab'[i % 2]}\t  odd\r {i}  \tthird" for i in range(40)]
    content = "\ufefflabel\ttext\tmore\r\n" + "".join(f"{row}\r\n\r\n" for row in rows)
    (tmp_path / "all.txt.gz").write_bytes(gzip.compress(content.encode()))
    done = split_file(str(tmp_path / "all.txt.gz"), tmp_path, DataConfig(), shares=SHARES, seed=0)
    assert done.paths["train"].name == "train.tsv"
    heads, lines = [], []
    for path in done.paths.values():
        head, *rest = path.read_bytes().split(b"\n")
        heads.append(head)
        lines += rest[:-1]
        assert rest[-1] == b""
    assert heads == [b"\xef\xbb\xbflabel\ttext\tmore\r"] * 3
    assert sorted(lines) == sorted(f"{row}\r".encode() for row in rows)


def test_csv_keeps_its_header_and_rows_of_several_lines(tmp_path: Path) -> None:
    rows = [f'{i},"text ""{i}""\n\nof lines",{"ab"[i % 2]}' for i in range(30)]
    (tmp_path / "all.csv").write_text("id,body,kind\n" + "\n".join(rows))
    config = DataConfig(label="kind", text="body")
    done = split_file(str(tmp_path / "all.csv"), tmp_path / "out", config, shares=SHARES, seed=0)
    examples = [example for path in done.paths.values() for example in read_examples(str(path), config)]
    assert Counter((example.label, example.text) for example in examples) == Counter(
        ("ab"[i % 2], f'text "{i}"  of lines') for i in range(30)
    )
    assert all(path.read_text().startswith("id,body,kind\n") for path in done.paths.values())


@pytest.mark.parametrize(
    ("name", "row", "out"),
    [
        ("all.ndjson", json.dumps({"label": "LABEL", "text": "TEXT"}), "train.ndjson"),
        ("all.txt", "__label__LABEL TEXT", "train.txt"),
        ("all", "LABEL\tTEXT", "train.tsv"),
        ("all.jsonl.gz", json.dumps({"label": "LABEL", "text": "TEXT"}), "train.jsonl"),
    ],
)
def test_parts_have_the_format_of_the_file(name: str, row: str, out: str, tmp_path: Path) -> None:
    rows = [row.replace("LABEL", "ab"[i % 2]).replace("TEXT", f"text {i}") for i in range(40)]
    content = "\n".join(rows).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    done = split_file(str(tmp_path / name), tmp_path, DataConfig(), shares=SHARES, seed=0)
    assert done.paths["train"].name == out
    texts = [e.text for path in done.paths.values() for e in read_examples(str(path), DataConfig())]
    assert sorted(texts) == sorted(f"text {i}" for i in range(40))


def test_a_part_with_a_share_of_0_is_not_written(tmp_path: Path) -> None:
    path = write(tmp_path / "all.tsv", make_rows())
    done = split_file(str(path), tmp_path / "out", DataConfig(), shares={"valid": 0.1, "test": 0.0}, seed=0)
    assert sorted(found.name for found in (tmp_path / "out").iterdir()) == ["train.tsv", "valid.tsv"]
    done = split_file(str(path), tmp_path / "out2", DataConfig(), shares={"valid": 0.0, "test": 0.5}, seed=0)
    assert list(done.paths) == ["train", "test"]
    assert abs(sum(done.counts["test"].values()) - 610) <= 3


def test_files_are_overwritten_only_on_request(tmp_path: Path) -> None:
    path = write(tmp_path / "all.tsv", make_rows())
    (tmp_path / "test.tsv").write_text("mine\n")
    with pytest.raises(ConfigError, match=r"test\.tsv: exists; .*--overwrite"):
        split_file(str(path), tmp_path, DataConfig(), shares=SHARES, seed=0)
    assert not (tmp_path / "train.tsv").exists()
    assert (tmp_path / "test.tsv").read_text() == "mine\n"
    split_file(str(path), tmp_path, DataConfig(), shares=SHARES, seed=0, overwrite=True)
    assert (tmp_path / "test.tsv").read_text() != "mine\n"
    with pytest.raises(ConfigError, match=r"train\.tsv: is the file to split"):
        split_file(str(tmp_path / "train.tsv"), tmp_path, DataConfig(), shares=SHARES, seed=0, overwrite=True)


def test_a_fault_leaves_no_files(tmp_path: Path) -> None:
    path = write(tmp_path / "all.tsv", [*make_rows(), "no tab"])
    with pytest.raises(DataError, match=r"all\.tsv:1221: no tab"):
        split_file(str(path), tmp_path / "out", DataConfig(), shares=SHARES, seed=0)
    assert not (tmp_path / "out").exists()


def test_label_sets_of_one_text_are_split_too(tmp_path: Path) -> None:
    rows = [f"{i % 5}|{5 + i % 7}|{12 + i % 11}\ttext number {i} of many\n" for i in range(385)]
    (tmp_path / "all.tsv").write_text("".join(rows))
    config = DataConfig(multi_label=True, label_separator="|")
    done = split_file(str(tmp_path / "all.tsv"), tmp_path / "out", config, shares={"valid": 0.1, "test": 0.1}, seed=1)
    assert [sum(done.counts[part].values()) for part in ("valid", "test")] == pytest.approx([38, 38], abs=2)


def test_a_part_of_an_earlier_split_is_removed(tmp_path: Path) -> None:
    (tmp_path / "all.tsv").write_text("".join(f"{'ab'[i % 2]}\ttext number {i} here\n" for i in range(60)))
    split = partial(split_file, str(tmp_path / "all.tsv"), tmp_path / "out", DataConfig(), seed=1)
    split(shares={"valid": 0.1, "test": 0.1})
    (tmp_path / "out" / "train.tsv").unlink()
    (tmp_path / "out" / "valid.tsv").unlink()
    with pytest.raises(ConfigError, match=r"test\.tsv: exists"):
        split(shares={"valid": 0.1, "test": 0.0})
    split(shares={"valid": 0.1, "test": 0.0}, overwrite=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["train.tsv", "valid.tsv"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp949"])
def test_the_encoding_stays(encoding: str, tmp_path: Path) -> None:
    rows = [f"{'가나'[i % 2]},배송이 {i}번 늦어요\r\n" for i in range(30)]
    (tmp_path / "all.csv").write_bytes(("label,text\r\n" + "".join(rows)).encode(encoding))
    done = split_file(str(tmp_path / "all.csv"), tmp_path, DataConfig(), shares=SHARES, seed=0)
    written = []
    for path in done.paths.values():
        head, *rest = path.read_bytes().decode(encoding).splitlines(keepends=True)
        assert head == "label,text\r\n"
        written += rest
    assert sorted(written) == sorted(rows)


def test_a_json_array_becomes_json_lines(tmp_path: Path) -> None:
    rows = [{"label": "ab"[i % 2], "text": f"text\n{i}"} for i in range(30)]
    (tmp_path / "all.json").write_text(json.dumps(rows, indent=1))
    done = split_file(str(tmp_path / "all.json"), tmp_path, DataConfig(), shares=SHARES, seed=0)
    assert done.paths["train"].name == "train.jsonl"
    written = [json.loads(line) for path in done.paths.values() for line in path.read_text().splitlines()]
    assert sorted(map(str, written)) == sorted(map(str, rows))


def test_rows_of_a_group_share_a_part(tmp_path: Path) -> None:
    rows = [f"{'ab'[i % 2]},text {i},customer {i // 4}" for i in range(200)]
    (tmp_path / "all.csv").write_text("\n".join(["label,text,who", *rows]))
    done = split_file(str(tmp_path / "all.csv"), tmp_path, DataConfig(group="who"), shares=SHARES, seed=0)
    parts = [{line.rpartition(",")[2] for line in path.read_text().splitlines()[1:]} for path in done.paths.values()]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 50
    assert done.together == 150
