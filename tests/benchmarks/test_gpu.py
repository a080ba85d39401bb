"""benchmarks/gpu.py and its parts without a GPU: the kernels run in Triton's interpreter."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("triton")

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu_kernels.py"
BROKEN = """
import sys
sys.path.insert(0, {folder!r})
import gpu_kernels
run = gpu_kernels.run
def run_wrongly(inputs, upstream, *, backend):
    results = run(inputs, upstream, backend=backend)
    if backend == "cuda":
        results["dv"][0, 0, 0] += 1e-3 * results["dv"].abs().max()
    return results
gpu_kernels.run = run_wrongly
gpu_kernels.main()
"""


WHOLE = SCRIPT.with_name("gpu.py")
SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(WHOLE.parent))
    return importlib.import_module("gpu_training")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(WHOLE.parent))
    return importlib.import_module("gpu")


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment)


def test_checks_parity_and_measures_no_speed() -> None:
    done = run_python(str(SCRIPT))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    verdicts = [line for line in lines if line.endswith("| pass |")]
    assert {line.split(" | ")[0] for line in verdicts} == {"| float32", "| float16", "| bfloat16"}
    assert f"parity: {len(verdicts)} of {len(verdicts)} cases pass" in lines
    assert "FAIL" not in done.stdout
    assert done.stdout.count("interpreter: no speed is measured") == 3  # at the top and at both tables
    assert sum(line.startswith("| 4 | 2 | 8 |") for line in lines) == 4  # two dtypes each


def test_says_what_is_wrong() -> None:
    done = run_python("-c", BROKEN.format(folder=str(SCRIPT.parent)), "--only", "parity")
    assert done.returncode == 1, done.stderr
    assert "| FAIL |" in done.stdout
    assert "parity: 0 of " in done.stdout


def test_a_part_that_runs_too_long_is_killed(gpu: ModuleType) -> None:
    assert gpu.run_part(SLEEP, dict(os.environ), seconds=1.0) is None
    assert gpu.run_part([sys.executable, "-c", "raise SystemExit(3)"], dict(os.environ), seconds=60.0) == 3


def test_no_row_starts_after_the_end() -> None:
    done = run_python(str(SCRIPT), "--until", str(time.time()))
    assert done.returncode == 0, done.stderr
    assert "parity: 0 of 0 cases pass; 8 left out, no time" in done.stdout
    assert done.stdout.count("left out, no time") == 3


def test_wheels_are_unpacked_and_found_first(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "extra-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("sitecustomize.py", "print('from the wheel')")
    done = run_python(str(WHOLE), "--wheels", str(tmp_path), "--minutes", "0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("killed, its time was up") == 4
    done = run_python(str(WHOLE), "--wheels", str(tmp_path / "none"))
    assert (done.returncode, done.stderr) == (1, f"{tmp_path / 'none'}: no wheels (.whl) there\n")


@pytest.mark.parametrize(("until", "end"), [(math.inf, "done"), (0.0, "time up")])
def test_a_training_ends_in_a_row(training: ModuleType, until: float, end: str) -> None:
    settings = {"train.max_steps": 2, "train.epochs": 1, "model.hidden": 4, "tokenizer.vocab_size": 1000}
    cells = training.measure("demo", settings, device="cpu", until=until).strip("| ").split(" | ")
    assert (cells[0], cells[2], cells[-1]) == ("demo", "cpu", end)
    assert (int(cells[5]) == 2) == (end == "done")


def test_data_sets_are_found_compressed_or_not(training: ModuleType, tmp_path: Path) -> None:
    for path in ("trec/train.tsv", "trec/valid.tsv.xz", "nsmc/train.tsv"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    expected = {"data.train": str(tmp_path / "trec/train.tsv"), "data.valid": str(tmp_path / "trec/valid.tsv.xz")}
    assert training.find_files(tmp_path, "trec") == expected
    assert training.find_files(tmp_path, "nsmc") is None
    assert training.find_files(None, "trec") is None
