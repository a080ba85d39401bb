"""A run that is killed again and again ends with the bytes of one that was left alone; two processes train as one."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from command import SMALL, find_command, run_command
from samples import write_rows
from textrnn.serialization.model_file import load_model

KILLS = int(os.environ.get("TEXTRNN_KILLS", "4"))  # 30 in the long form
ARGUMENTS = (
    *("train", "--train", "rows.tsv", "--out", "run", *SMALL, "--epochs", "12"),
    *("--set", "train.checkpoint_minutes=0", "--set", "train.patience=12"),
)


def start(*arguments: str, cwd: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen([find_command(), *arguments], cwd=cwd, env=environment, stderr=subprocess.PIPE)


def test_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv", 400)
    begun = time.monotonic()
    done = run_command(*ARGUMENTS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    seconds = time.monotonic() - begun
    (tmp_path / "run").rename(tmp_path / "whole")
    assert load_model(tmp_path / "whole").ngrams is not None
    drawn = random.Random(KILLS)
    kills = 0
    while True:  # a run that came to its end before it was killed as often is followed by another
        checkpoint = (tmp_path / "run" / "checkpoint.safetensors").exists()
        process = start(*(("train", "--resume", "run") if checkpoint else ARGUMENTS), cwd=tmp_path)
        try:
            # from the loading of the program to well within training, but not so that it never comes to an end
            _, said = process.communicate(timeout=drawn.uniform(0.3, 1.2) * seconds / 2 if kills < KILLS else 600)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            continue
        assert process.returncode == 0, said.decode()
        for name in ("model.safetensors", "config.yaml"):
            assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
        run, whole = ({path.name for path in (tmp_path / name).iterdir()} for name in ("run", "whole"))
        assert run == whole
        if kills == KILLS:
            break
        shutil.rmtree(tmp_path / "run")


def test_ctrl_c_then_resume(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv", 400)
    arguments = [*ARGUMENTS[:-4], "--set", "train.patience=12"]
    done = run_command(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    (tmp_path / "run").rename(tmp_path / "whole")
    process = start(*arguments, cwd=tmp_path)
    assert process.stderr
    while b"epoch 2/12" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    said = process.stderr.read().decode().splitlines()
    assert process.wait(60) == 128 + signal.SIGTERM
    command = said[-1].split("go on with: textrnn ")[1].split(" ")
    done = run_command(*command[:-1], f"./{command[-1]}/", cwd=tmp_path)  # as a shell completes it
    assert done.returncode == 0, done.stderr.decode()
    assert b"going on in epoch" in done.stderr
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--resume", "gone"), 1, "gone: no such folder; name the folder of the run"),
        (("--resume", "run", "--lr", "0.1"), 2, "goes on with the run as it was begun; leave out --lr"),
        (("config.yaml", "--resume", "run"), 2, "goes on with the run as it was begun; leave out config.yaml"),
    ],
)
def test_what_cannot_be_gone_on_with_is_told(
    arguments: tuple[str, ...], status: int, message: str, tmp_path: Path
) -> None:
    done = run_command("train", *arguments, cwd=tmp_path)
    assert done.returncode == status
    assert message in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def together(*arguments: str, cwd: Path) -> subprocess.Popen[bytes]:
    """Start two processes under torchrun, which starts them anew up to twice."""
    torchrun = Path(find_command()).with_name("torchrun")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [torchrun, "--standalone", "--nproc-per-node=2", "--max-restarts=2", "-m", "textrnn", *arguments]
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def children_of(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, rest = path.read_text().split(" ", 1)
        except OSError:  # it has ended
            continue
        if int(rest.rpartition(")")[2].split()[1]) == parent:
            found.append(int(number))
    return found


def losses_of(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines for name in ("loss", "valid_loss", "network_loss")]


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv", 100)
    rest = ("--train", "rows.tsv", *SMALL, "--epochs", "4", "--set", "model.dropout=0")
    done = run_command("train", *rest, "--out", "one", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    stdout, stderr = together("train", *rest, "--out", "two", cwd=tmp_path).communicate(timeout=300)
    assert stdout == b"two\n", stderr.decode()
    assert losses_of(tmp_path / "two") == pytest.approx(losses_of(tmp_path / "one"), abs=1e-4)
    assert stderr.count(b"epoch 4/4") == 1  # the first speaks for both
    assert stderr.count(b"n-grams: ") == 1  # and fits them
    one, two = (load_model(tmp_path / name) for name in ("one", "two"))
    assert one.ngrams is not None
    assert two.ngrams is not None
    assert two.ngrams.weight.tobytes() == one.ngrams.weight.tobytes()
    assert two.ngram_share == pytest.approx(one.ngram_share, abs=1e-3)
    found = json.loads(run_command("evaluate", "-m", "two", "rows.tsv", "--json", cwd=tmp_path).stdout)
    assert found["accuracy"] == 1.0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to find the processes in")
def test_a_killed_process_is_started_anew_and_all_go_on(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv", 400)
    rest = ARGUMENTS[1:]
    _, stderr = together("train", *rest, cwd=tmp_path).communicate(timeout=300)
    (tmp_path / "run").rename(tmp_path / "whole")
    process = together("train", *rest, cwd=tmp_path)
    while not (tmp_path / "run" / "checkpoint.safetensors").exists():
        assert process.poll() is None, stderr.decode()
        time.sleep(0.05)
    os.kill(max(children_of(process.pid)), signal.SIGKILL)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr.decode()
    assert b"going on in epoch" in stderr
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


def test_a_reader_of_stderr_that_goes_takes_nothing_along(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv", 400)
    process = start(*ARGUMENTS, cwd=tmp_path)
    assert process.stderr
    while b"epoch 1/" not in process.stderr.readline():
        assert process.poll() is None
    process.stderr.close()  # Ctrl-C ends `| tee log` too
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 128 + signal.SIGINT
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    done = run_command("train", "--resume", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()


def test_a_fault_is_told_once_by_several_processes(tmp_path: Path) -> None:
    process = together("train", "--train", "missing.tsv", cwd=tmp_path)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode != 0
    own = [line for line in stderr.decode().splitlines() if line.startswith("textrnn: ")]
    assert {line for line in own if "missing.tsv" in line} == {"textrnn: missing.tsv: no such file"}, own
    assert all("missing.tsv" in line or "another process failed" in line for line in own)
