"""``textrnn optimize``: output, files and faults."""

from __future__ import annotations

import errno
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from command import Run
from textrnn.cli.commands.optimize import format_step, optimize_command
from textrnn.compression import Measured, Step
from textrnn.serialization.model_file import load_model, save_model


def test_the_smaller_model_predicts(trained: Path, invoke: Run, tmp_path: Path) -> None:
    words = ("optimize", "-m", trained / "runs/small", trained / "rows.tsv")
    done = invoke(*words, "-o", "small.safetensors")
    assert done.returncode == 0, done.stderr.decode()
    small, large = tmp_path / "small.safetensors", trained / "runs/small/model.safetensors"
    assert small.stat().st_size < large.stat().st_size
    lines = done.stdout.decode().splitlines()
    assert lines[0].split() == ["before", "after"]
    sizes = f"size {large.stat().st_size / 1e6:.2f} MB {small.stat().st_size / 1e6:.2f} MB"
    assert " ".join(lines[1].split()) == sizes
    names = [line[:13].strip() for line in lines[2:8]]
    assert names == ["n-grams", "accuracy", "macro F1", "loss", "calibration", ""]
    assert lines[3].split() == ["accuracy", "100.00", "%", "100.00", "%"]
    assert lines[-2] == "same labels  100.00 % of 40 texts"
    assert lines[-1].startswith("change of a probability  ")
    assert "wrote small.safetensors; label lines with: textrnn predict -m small.safetensors" in done.stderr.decode()
    said = invoke("predict", "-m", "small.safetensors", stdin=b"green tea please\nblack coffee\n").stdout.decode()
    assert [line.split("\t")[0] for line in said.splitlines()] == ["tea", "coffee"]
    scored = json.loads(invoke("evaluate", "-m", "small.safetensors", "--json", trained / "rows.tsv").stdout)
    found = json.loads(invoke(*words, "-o", "again.safetensors", "--json").stdout)
    assert (tmp_path / "again.safetensors").read_bytes() == small.read_bytes()
    for name in ("accuracy", "macro_f1", "weighted_f1", "loss", "calibration_error"):
        assert found["after"][name] == scored[name]
    assert found["after"]["bytes"] == small.stat().st_size
    assert found["before"]["bytes"] == large.stat().st_size
    assert found["after"]["ngrams"] <= found["ngrams_kept"] * found["before"]["ngrams"] + 1
    assert (found["storage"], found["texts"], found["drop_points"], found["same_labels"]) == ("int8", 40, 0.0, 1.0)


def test_options_choose_storage_and_ngrams(trained: Path, invoke: Run, tmp_path: Path) -> None:
    words = ("optimize", "-m", trained / "runs/small", trained / "rows.tsv", "--json")
    options = ("--storage", "fp32", "--ngrams", "0.5", "-o", "half.safetensors")
    found = json.loads(invoke(*words, *options).stdout)
    assert found["storage"] == "float32"
    whole, half = load_model(trained / "runs/small"), load_model(tmp_path / "half.safetensors")
    assert whole.ngrams is not None
    assert half.ngrams is not None
    assert len(half.ngrams.keys) == found["after"]["ngrams"] == -(-len(whole.ngrams.keys) // 2)
    assert all((half.weights[name] == whole.weights[name]).all() for name in whole.weights)
    found = json.loads(invoke(*words, "--storage", "bf16", "--ngrams", "1", "-o", "bf16.safetensors").stdout)
    assert (found["storage"], found["ngrams_kept"], found["after"]["ngrams"]) == ("bf16", 1.0, len(whole.ngrams.keys))


def test_an_earlier_file_is_kept(trained: Path, invoke: Run, tmp_path: Path) -> None:
    words = ("optimize", "-m", trained / "runs/small", trained / "rows.tsv", "-o", "small.safetensors")
    (tmp_path / "small.safetensors").write_bytes(b"mine")
    assert b"an earlier small.safetensors is kept as small.safetensors.1" in invoke(*words).stderr
    assert (tmp_path / "small.safetensors.1").read_bytes() == b"mine"
    assert b"kept" not in invoke(*words).stderr  # the bytes are the same
    assert b"kept" not in invoke(*words, "--ngrams", "0.5", "--overwrite").stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.safetensors", "small.safetensors.1"]


def test_a_full_disk_leaves_the_earlier_file(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, sizes = tmp_path / "small.safetensors", []
    out.write_bytes(b"mine")

    def fill(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(OSError, match=r"No space left on device: '.*/small\.safetensors'"):
        optimize_command(str(trained / "rows.tsv"), out, trained / "runs/small")
    assert out.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [out]
    monkeypatch.undo()
    optimize_command(str(trained / "rows.tsv"), out, trained / "runs/small")
    assert sizes == [out.stat().st_size]  # the whole file was flushed before it got its name


def test_a_link_stays_one(trained: Path, invoke: Run, tmp_path: Path) -> None:
    link, real = tmp_path / "link", tmp_path / "folder/real"
    real.parent.mkdir()
    link.symlink_to(Path("folder/real"))
    words = ("optimize", "-m", trained / "runs/small", trained / "rows.tsv", "-o", "link")
    assert invoke(*words).returncode == 0  # its target does not exist yet
    content = real.read_bytes()
    assert content == link.read_bytes()
    real.write_bytes(b"mine")
    assert f"an earlier {real} is kept as {real}.1".encode() in invoke(*words).stderr
    assert (real.read_bytes(), real.with_name("real.1").read_bytes()) == (content, b"mine")
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_only_regular_files_are_replaced(trained: Path, invoke: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "there").symlink_to("folder")
    before = sorted(tmp_path.iterdir())
    for name in ("pipe", "link", "there"):
        done = invoke("optimize", "-m", trained / "runs/small", trained / "rows.tsv", "-o", name)
        fault = "is a folder; name a file in it" if name == "there" else "is not a regular file; name another file"
        assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", f"textrnn: --out {name}: {fault}\n")
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "pipe").is_fifo()


def test_columns_are_aligned() -> None:
    found: Any = SimpleNamespace(texts=9, to_dict=lambda: {"accuracy": 1.0, "loss": 12.5, "calibration_error": 1.0})
    measured = Measured(10**12, 10**9, found)
    shown = format_step(Step(b"", 1.0, measured, measured, same_labels=1.0, mean_change=0.0, largest_change=0.0))
    assert re.split("  +", shown.splitlines()[5]) == ["calibration", "100.00 points off", "100.00 points off"]
    assert len({len(line) for line in shown.splitlines()[:6]}) == 1


def test_a_worse_model_is_not_written(trained: Path, invoke: Run, tmp_path: Path) -> None:
    save_model(tmp_path / "linear", replace(load_model(trained / "runs/small"), ngram_share=1.0))
    (tmp_path / "small").write_bytes(b"mine")
    words = ("optimize", "-m", "linear", trained / "rows.tsv", "-o", "small", "--ngrams", "0.001")
    done = invoke(*words)
    assert (done.returncode, done.stdout) == (1, b"")
    tried, why = done.stderr.decode().splitlines()
    assert tried.startswith("textrnn: 0.1 % of the n-grams: ")
    assert why.startswith("textrnn: linear: ")
    assert all(option in why for option in ("accuracy", "--storage bf16", "--ngrams", "--max-drop"))
    assert (tmp_path / "small").read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["linear", "small"]
    assert invoke(*words, "--max-drop", "100").returncode == 0


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("-o", "."), 2, "--out .: is a folder; name a file in it"),
        (("-o", "model.safetensors"), 2, "--out model.safetensors: is the model itself; name another file"),
        (("-o", "x", "--set", "data.train=x"), 2, "optimize takes data.format, "),
        (("-o", "x", "--set", "data.label_separator=|"), 2, "the model is single-label; leave it out"),
        (("-o", "x", "--ngrams", "0"), 2, "--ngrams"),
        (("-o", "x", "--max-drop", "-1"), 2, "--max-drop"),
        (("-o", "x", "--storage", "int4"), 2, "--storage"),
        ((), 2, "--out"),
    ],
)
def test_faults_are_one_line(
    trained: Path, invoke: Run, tmp_path: Path, options: tuple[str, ...], status: int, message: str
) -> None:
    (tmp_path / "model.safetensors").write_bytes((trained / "runs/small/model.safetensors").read_bytes())
    done = invoke("optimize", "-m", "model.safetensors", trained / "rows.tsv", *options)
    assert (done.returncode, done.stdout) == (status, b"")
    (line,) = done.stderr.decode().splitlines()
    assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_fault_of_the_text_has_its_line(trained: Path, invoke: Run) -> None:
    stdin = b"tea\tgreen tea\nno tab\n"
    done = invoke("optimize", "-m", trained / "runs/small", "-", "-o", "x", stdin=stdin)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("textrnn: standard input:2: ")


def test_multi_label_models_are_compared_by_micro_f1(trained_multi_label: Path, invoke: Run) -> None:
    rows = trained_multi_label / "rows.tsv"
    done = invoke("optimize", "-m", trained_multi_label / "runs/small", rows, "-o", "small.safetensors")
    assert done.returncode == 0, done.stderr.decode()
    names = [line[:13].strip() for line in done.stdout.decode().splitlines()[2:6]]
    assert names == ["n-grams", "micro F1", "accuracy", "macro F1"]
    assert "micro F1 " in done.stderr.decode()
    assert invoke("evaluate", "-m", "small.safetensors", rows).returncode == 0


def test_a_model_without_ngrams_keeps_no_share_of_them(trained: Path, invoke: Run, tmp_path: Path) -> None:
    save_model(tmp_path / "plain", replace(load_model(trained / "runs/small"), ngrams=None, ngram_share=0.0))
    done = invoke("optimize", "-m", "plain", trained / "rows.tsv", "-o", "x", "--ngrams", "0.5")
    assert (done.returncode, done.stderr.decode()) == (
        2,
        "textrnn: --ngrams 0.5: the model has no n-grams; leave it out\n",
    )
    assert invoke("optimize", "-m", "plain", trained / "rows.tsv", "-o", "x", "--max-drop", "100").returncode == 0
    assert (tmp_path / "x").exists()


def test_text_of_another_task_is_refused_or_reported(trained: Path, invoke: Run, tmp_path: Path) -> None:
    words = ("optimize", "-m", trained / "runs/small", "-o", "small", "--max-drop", "100", "-")
    done = invoke(*words, stdin=b"pos\tgreen tea\nneg\tblack coffee\n")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)
    assert b"standard input: the model has none of its labels, such as 'pos'; " in done.stderr
    assert not (tmp_path / "small").exists()
    texts = ("green tea with lemon", "black coffee with milk")
    for labels, quality in ((("tea", "coffee"), b""), (("coffee", "tea"), b"accuracy 0.0 %, but 'coffee' for every")):
        rows = "".join(f"{labels[i % 2]}\t{texts[i % 2]} {i}\n" for i in range(40))
        done = invoke(*words, stdin=rows.encode())
        assert done.returncode == 0, done.stderr.decode()
        assert (b"for every text gives 50.0 %" in done.stderr) is bool(quality)
        assert quality in done.stderr
        assert b"lacks" not in done.stderr
    done = invoke(*words, stdin=f"{rows}cocoa\thot cocoa\n".encode())
    assert b"1 of 41 texts have a label that the model lacks, such as 'cocoa'\n" in done.stderr


def test_multi_label_text_of_another_task_is_reported(trained_multi_label: Path, invoke: Run) -> None:
    rows = "".join(f"praise\tgive my money back {i}\n" for i in range(40))
    words = ("optimize", "-m", trained_multi_label / "runs/small", "-o", "small", "--max-drop", "100", "-")
    done = invoke(*words, stdin=rows.encode())
    assert done.returncode == 0, done.stderr.decode()
    assert b"but 'praise' for every text gives 100.0 %; " in done.stderr
