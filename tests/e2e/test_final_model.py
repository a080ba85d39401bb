"""A final model, from the command that validates to the one that predicts, and the texts that must stay together."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import SMALL, Run
from samples import read_metrics
from textrnn.config import Override, load_config
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Reporter
from textrnn.serialization.model_file import load_model

SYLLABLES = ("ba", "ko", "ri", "mu", "te", "sa", "lo", "ni")


def test_a_final_model_is_trained_and_predicts(trained: Path, invoke: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(trained, tmp_path / "own")  # the final model becomes the latest run
    run, out = folder / "runs" / "small", tmp_path / "final"
    done = invoke("train", "--refit", run, "--out", out, "--seed", "7", cwd=folder)
    assert (done.returncode, done.stdout.decode()) == (0, f"{out}\n"), done.stderr
    messages = done.stderr.decode()
    assert "final model: all 40 texts are trained on" in messages
    assert "valid" not in messages.replace(str(tmp_path), "")
    again = invoke("train", out / "config.yaml", "--out", tmp_path / "again", cwd=folder)
    assert again.returncode == 0, again.stderr
    model, origin = load_model(out), load_model(run)
    assert (out / "model.safetensors").read_bytes() == (tmp_path / "again" / "model.safetensors").read_bytes()
    assert (model.temperature, model.ngram_share) == pytest.approx((origin.temperature, origin.ngram_share))
    assert model.config.train.seed == 7
    assert model.cascade is not None
    assert model.cascade.margins == origin.cascade.margins
    predicted = invoke("predict", "-m", out, stdin=b"green tea\nblack coffee\n")
    assert [line.split("\t")[0] for line in predicted.stdout.decode().splitlines()] == ["tea", "coffee"]


def test_the_final_model_of_a_cross_validation(rows: Path, invoke: Run) -> None:
    assert invoke("train", "--train", rows, "--kfold", "2", "--out", "folds", *SMALL).returncode == 0
    done = invoke("train", "--refit", "folds")
    assert (done.returncode, done.stdout) == (0, b"folds-final\n"), done.stderr
    epochs = [run["epoch"] for run in json.loads(Path("folds/summary.json").read_text())["runs"].values()]
    steps = read_metrics("folds-final")[-1]["step"]
    assert steps == round(sum(epochs) / 2 * 10)


def test_the_final_model_of_the_demo_learns_from_its_validation_set_too(invoke: Run) -> None:
    assert invoke("train", "--out", "demo", "--hidden", "8", "--epochs", "1").returncode == 0
    done = invoke("train", "--refit", "demo")
    assert b"final model: all 816 texts are trained on" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        ("config.yaml", "config.yaml"),
        ("--valid v.tsv", "--valid v.tsv"),
        ("--train t.tsv", "--train t.tsv"),
        ("--cell gru", "--cell gru"),
        ("--epochs 3", "--epochs 3"),
        ("--kfold 3", "--kfold 3"),
        ("--seeds 3", "--seeds 3"),
        ("--dry-run", "--dry-run"),
        ("--set data.valid_share=0.2", "--set data.valid_share=0.2"),
        ("--set model.dropout=0", "--set model.dropout=0"),
    ],
)
def test_a_refit_takes_no_other_settings(arguments: str, extra: str, invoke: Run, tmp_path: Path) -> None:
    done = invoke("train", "--refit", "run", *arguments.split())
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == f"textrnn: --refit run: uses the settings of that run; leave out {extra}\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("--train rows.tsv --set data.valid_share=0", 2, "textrnn train --refit RUN"),
        ("--refit gone", 1, "gone: no such"),
        ("--refit rows.tsv", 1, "rows.tsv: "),
        ("--train rows.tsv --set train.refit=run", 2, "train.refit"),
        ("--train rows.tsv --set data.valid_share=0 --set train.refit=run --seeds 2", 2, "--seeds 2: train.refit"),
        ("--train rows.tsv --set data.valid_share=0 --set train.refit=run --dry-run", 2, "--dry-run: train.refit"),
        ("--resume run --refit run", 2, "leave out --refit"),
    ],
)
def test_a_config_without_validation_needs_a_run(
    arguments: str, status: int, message: str, invoke: Run, rows: Path
) -> None:
    done = invoke("train", *arguments.split())
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (status, b"", 1)
    assert message in done.stderr.decode()
    assert [path.name for path in Path().iterdir()] == ["rows.tsv"]


def draw_texts(count: int) -> Iterator[str]:
    rng = random.Random(0)
    for _ in range(count):
        yield " ".join("".join(rng.choices(SYLLABLES, k=2)) for _ in range(6))


def test_repeated_texts_with_labels_by_chance_are_not_learned(invoke: Run, tmp_path: Path) -> None:
    rng = random.Random(1)
    lines = [f"{rng.choice(('heads', 'tails'))}\t{text}\n" for text in draw_texts(300)]
    (tmp_path / "coins.tsv").write_text("".join(lines * 4))
    small = ("--hidden", "8", "--epochs", "2", "--set", "model.embedding=16")
    assert invoke("train", "--train", "coins.tsv", "--out", "one", *small).returncode == 0
    assert invoke("train", "--train", "coins.tsv", "--out", "folds", "--kfold", "3", *small).returncode == 0
    for run in ("one", "folds/fold-1", "folds/fold-2", "folds/fold-3"):
        assert all(record["accuracy"] < 0.7 for record in read_metrics(tmp_path / run))


@pytest.mark.parametrize("held", [{"data.valid_share": 0.2}, {"data.fold": "2/3"}])
@pytest.mark.parametrize("group", [None, "customer"])
def test_no_text_and_no_group_is_on_both_sides(held: dict[str, object], group: str | None, tmp_path: Path) -> None:
    rng, path = random.Random(2), tmp_path / "mails.csv"
    texts = list(draw_texts(300))  # a hundred of them twice, which connects two customers each
    rows = [(rng.choice("ab"), texts[i % 300], f"c{i // 4}") for i in range(400)]
    rng.shuffle(rows)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("label", "text", "customer"), *rows])
    values = {"data.train": str(path), "data.group": group, "tokenizer.model_type": "char", **held}
    dataset = load_dataset(
        load_config(overrides=[Override(key, value, key) for key, value in values.items()]), Reporter()
    )
    assert dataset.train.rows is not None
    assert dataset.valid.rows is not None
    assert len(dataset.train) + len(dataset.valid) == 400
    assert 0 < len(dataset.valid) < 200
    for column in (1, *((2,) if group else ())):
        sides = [{rows[row][column] for row in corpus.rows} for corpus in (dataset.train, dataset.valid)]
        assert not sides[0] & sides[1]


def test_one_group_of_all_texts_is_named(rows: Path, invoke: Run) -> None:
    lines = [
        f"{line.split()[0]},{number % 2},{line.split(maxsplit=1)[1]}"
        for number, line in enumerate(rows.read_text().splitlines())
    ]
    Path("rows.csv").write_text("\n".join(["label,customer,text", *lines, "tea,0,same", "coffee,1,same", ""]))
    done = invoke("train", "--train", "rows.csv", "--set", "data.group=customer", *SMALL)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"too few unconnected values of data.group" in done.stderr
