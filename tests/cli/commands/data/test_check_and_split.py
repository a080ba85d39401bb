"""The commands ``textrnn data check`` and ``textrnn data split``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import Run
from samples import write_rows
from textrnn.cli.commands import load_command
from textrnn.cli.typer_app import make_app
from textrnn.errors import ConfigError, DataError, TokenizerError

FAULTY = b"tea\tgreen\nno tab\ntea\tgreen\n\tblack\n"


def test_faults_and_warnings_go_to_stdout_and_faults_set_the_status(invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_bytes(FAULTY)
    done = invoke("data", "check", "d.tsv")
    assert (done.returncode, done.stderr) == (1, b"")
    lines = done.stdout.decode().splitlines()
    places = [line.split(": ")[0] for line in lines if line.startswith("d.tsv:")]
    assert places == ["d.tsv:2", "d.tsv:4", "d.tsv:3", "d.tsv:1"]
    assert lines[-1] == "faults: 2, warnings: 2"


def test_warnings_alone_are_status_0(invoke: Run, tmp_path: Path) -> None:
    write_rows(tmp_path / "d.tsv")
    (tmp_path / "v.tsv").write_bytes((tmp_path / "d.tsv").read_bytes())
    done = invoke("data", "check", "--train", "d.tsv", "--valid", "v.tsv", "--show", 1)
    assert done.returncode == 0
    assert b" (40 of 40 in v.tsv, the first 1):\nv.tsv:1: " in done.stdout
    assert done.stdout.count(b"\nv.tsv:") == 1


def test_json_holds_everything(invoke: Run, tmp_path: Path) -> None:
    done = invoke(
        "data", "check", "-", "--json", "--set", "data.format=tsv", "--set", "data.max_length=4", stdin=FAULTY
    )
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["faults"], found["warnings"], found["unit"], found["max_length"]) == (2, 2, "characters", 4)
    assert found["files"][0]["labels"] == {"tea": 2}
    assert found["files"][0]["cut_texts"] == 2
    refused = found["findings"][0]
    assert (refused["kind"], refused["file"], refused["count"]) == ("refused", "-", 1)
    assert [shown["line"] for shown in refused["shown"]] == [2]


def test_a_config_names_the_files(invoke: Run, tmp_path: Path) -> None:
    write_rows(tmp_path / "d.tsv")
    write_rows(tmp_path / "t.tsv")
    (tmp_path / "c.yaml").write_text("data:\n  train: d.tsv\n  max_length: 3\n")
    done = invoke("data", "check", "--config", "c.yaml", "--test", "t.tsv", "--json")
    assert [(file["file"], file["role"]) for file in json.loads(done.stdout)["files"]] == [
        ("d.tsv", "train"),
        ("t.tsv", "test"),
    ]
    assert json.loads(done.stdout)["max_length"] == 3


def test_split_writes_the_parts_and_prints_their_paths(invoke: Run, tmp_path: Path) -> None:
    write_rows(tmp_path / "all.tsv", 100)
    done = invoke("data", "split", "all.tsv", "--out", "parts")
    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == ["parts/train.tsv", "parts/valid.tsv", "parts/test.tsv"]
    assert done.stderr.decode().splitlines() == [
        "textrnn: parts/train.tsv: 80 texts (tea 40, coffee 40)",
        "textrnn: parts/valid.tsv: 10 texts (tea 5, coffee 5)",
        "textrnn: parts/test.tsv: 10 texts (tea 5, coffee 5)",
    ]
    again = invoke("data", "split", "all.tsv", "--out", "parts")
    assert (again.returncode, again.stdout) == (2, b"")
    assert invoke("data", "split", "all.tsv", "--out", "parts", "--overwrite").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ("", ConfigError, "data: name a command: textrnn data check or textrnn data split"),
        ("check", ConfigError, "data check: name a file, as in textrnn data check train.tsv"),
        ("check gone.tsv", DataError, "gone.tsv: no such file"),
        ("check d.tsv --train d.tsv", ConfigError, "d.tsv: given twice; name each file once"),
        ("check d.tsv --tokenizer x.model", TokenizerError, "x.model: "),
        ("check d.tsv --set train.lr=1", ConfigError, "--set train.lr=1: data check takes data.format, data.label"),
        ("split - --out x", ConfigError, "data split -: standard input cannot be read twice; put the text into a file"),
        (
            "split d.tsv --out x --valid-share 0.6 --test-share 0.4",
            ConfigError,
            "--valid-share 0.6 --test-share 0.4: n",
        ),
        ("split d.tsv --out x --set data.cache=y", ConfigError, "--set data.cache=y: data split takes data.format"),
    ],
)
def test_faults(
    arguments: str, error: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "d.tsv")
    monkeypatch.chdir(tmp_path)
    app = make_app({name: load_command(name) for name in ("data check", "data split")})
    with pytest.raises(error) as caught:
        app(args=["data", *arguments.split()], standalone_mode=False)
    assert str(caught.value).startswith(message)
    assert not (tmp_path / "x").exists()
