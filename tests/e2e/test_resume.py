"""Resumed runs give the bytes of uninterrupted ones, and two processes train the same model as one."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from command import MULTI_LABEL, Run, run_command, small, start_command
from samples import write_rows, write_sets
from textrnn.serialization.model_file import load_model

KILLS = int(os.environ.get("TEXTRNN_KILLS", "4"))  # 30 in the long form
ARGUMENTS = (
    *("train", "--train", "rows.tsv", "--out", "run", *small(epochs=12)),
    *("--set", "train.checkpoint_minutes=0", "--set", "train.patience=12"),
)


def test_a_run_killed_at_random_gives_the_same_bytes(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv", 400)
    started = time.monotonic()
    done = run_command(*ARGUMENTS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    seconds = time.monotonic() - started
    (tmp_path / "run").rename(tmp_path / "whole")
    assert load_model(tmp_path / "whole").ngrams is not None
    rng = random.Random(KILLS)
    kills = 0
    while True:  # if a run ends before the last kill, start another
        checkpoint = (tmp_path / "run" / "checkpoint.safetensors").exists()
        process = start_command(*(("train", "--resume", "run") if checkpoint else ARGUMENTS), cwd=tmp_path)
        try:
            # early enough to hit the start, late enough for some progress
            _, messages = process.communicate(timeout=rng.uniform(0.3, 1.2) * seconds / 2 if kills < KILLS else 600)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            continue
        assert process.returncode == 0, messages.decode()
        for name in ("model.safetensors", "config.yaml"):
            assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
        run, whole = ({path.name for path in (tmp_path / name).iterdir()} for name in ("run", "whole"))
        assert run == whole
        if kills == KILLS:
            break
        shutil.rmtree(tmp_path / "run")


def test_ctrl_c_then_resume(tmp_path: Path, invoke: Run) -> None:
    write_rows(tmp_path / "rows.tsv", 400)
    arguments = [*ARGUMENTS[:-4], "--set", "train.patience=12"]
    done = invoke(*arguments)
    assert done.returncode == 0, done.stderr.decode()
    (tmp_path / "run").rename(tmp_path / "whole")
    process = start_command(*arguments, cwd=tmp_path)
    assert process.stderr
    while b"epoch 2/12" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    messages = process.stderr.read().decode().splitlines()
    assert process.wait(60) == 128 + signal.SIGTERM
    done = invoke("predict", "--format", "label", stdin=b"green tea\n")
    assert done.stdout == b"tea\n"  # the best model so far
    assert messages[-1].endswith("textrnn train --resume run")
    done = run_command("train", "--resume", "./run/", cwd=tmp_path)  # as a shell completes the name
    assert done.returncode == 0, done.stderr.decode()
    assert b"epoch 1/12" not in done.stderr
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


def children_of(parent: int) -> list[int]:
    children = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, rest = path.read_text().split(" ", 1)
        except OSError:  # the process has ended
            continue
        if int(rest.rpartition(")")[2].split()[1]) == parent:
            children.append(int(number))
    return children


def losses_of(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines for name in ("loss", "valid_loss", "network_loss")]


@pytest.mark.parametrize(("write", "more"), [(write_rows, ()), (write_sets, MULTI_LABEL)])
def test_two_processes_train_as_one(write: Callable[[Path, int], Path], more: tuple[str, ...], tmp_path: Path) -> None:
    write(tmp_path / "rows.tsv", 100)
    rest = ("--train", "rows.tsv", *small(epochs=4, dropout=0), "--set", "train.precision=fp32", *more)
    done = run_command("train", *rest, "--out", "one", cwd=tmp_path)  # with as many BLAS threads as each of the two
    assert done.returncode == 0, done.stderr.decode()
    stdout, stderr = start_command("train", *rest, "--out", "two", cwd=tmp_path, processes=2).communicate(timeout=300)
    assert stdout == b"two\n", stderr.decode()
    assert losses_of(tmp_path / "two") == pytest.approx(losses_of(tmp_path / "one"), abs=1e-3 if more else 1e-4)
    assert stderr.count(b"epoch 4/4") == 1  # only rank 0 reports
    assert stderr.count(b"n-grams: ") == 1
    one, two = (load_model(tmp_path / name) for name in ("one", "two"))
    assert one.ngrams is not None
    assert two.ngrams is not None
    assert two.ngrams.keys.tobytes() == one.ngrams.keys.tobytes()
    # the last bit of a weight depends on where numpy's arrays lie in memory, which differs under torchrun
    np.testing.assert_allclose(two.ngrams.weight, one.ngrams.weight, rtol=0, atol=1e-6)
    assert two.ngram_share == pytest.approx(one.ngram_share, abs=1e-3)
    assert two.temperature == pytest.approx(one.temperature, rel=1e-2)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to find the processes in")
def test_a_killed_process_is_restarted_and_all_resume(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv", 400)
    rest = ARGUMENTS[1:]
    _, stderr = start_command("train", *rest, cwd=tmp_path, processes=2).communicate(timeout=300)
    (tmp_path / "run").rename(tmp_path / "whole")
    process = start_command("train", *rest, cwd=tmp_path, processes=2)
    while not (tmp_path / "run" / "checkpoint.safetensors").exists():
        assert process.poll() is None, stderr.decode()
        time.sleep(0.05)
    os.kill(max(children_of(process.pid)), signal.SIGKILL)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr.decode()
    assert re.search(rb"textrnn: (going on|resum)", stderr)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


def test_a_broken_pipe_on_stderr_loses_no_run(tmp_path: Path, invoke: Run) -> None:
    write_rows(tmp_path / "rows.tsv", 400)
    process = start_command(*ARGUMENTS, cwd=tmp_path)
    assert process.stderr
    while b"epoch 1/" not in process.stderr.readline():
        assert process.poll() is None
    process.stderr.close()  # Ctrl-C also ends `| tee log`
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 128 + signal.SIGINT
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    done = invoke("train", "--resume", "run")
    assert done.returncode == 0, done.stderr.decode()


def test_several_processes_report_a_fault_once(tmp_path: Path) -> None:
    process = start_command("train", "--train", "missing.tsv", cwd=tmp_path, processes=2)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode != 0
    own = [line for line in stderr.decode().splitlines() if line.startswith("textrnn: ")]
    assert len({line for line in own if line.startswith("textrnn: missing.tsv: ")}) == 1, own
    assert all("missing.tsv" in line or "process" in line for line in own)
