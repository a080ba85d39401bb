"""Choice of the model, the device and the precision."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from textrnn.cli.model_loading import check_threshold, choose_model, load_engine
from textrnn.errors import BackendError, ConfigError
from textrnn.ops.prepacked import missing_isa


def test_the_latest_run_is_the_default(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    assert choose_model(None) == Path("runs/small")
    assert choose_model(Path("other")) == Path("other")


def test_auto_reports_the_device(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = load_engine(trained / "runs/small", device="auto")
    assert engine.labels == ("coffee", "tea")
    assert capsys.readouterr().err == "textrnn: device auto: cpu\n"  # the tests hide all GPUs


def test_numpy_starts_no_threads_unless_the_user_says_so(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing_isa("float32"):
        pytest.skip("numpy computes the products on this machine")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    load_engine(trained / "runs/small")
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    load_engine(trained / "runs/small")
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
    assert gc.isenabled()


def test_a_missing_device_is_an_error(trained: Path) -> None:
    with pytest.raises(BackendError, match="cuda:99"):
        load_engine(trained / "runs/small", device="cuda:99")


def test_reduced_precision_is_for_the_cpu() -> None:
    with pytest.raises(ConfigError, match=r"^--precision bf16: CPU only; leave it out with --device cuda$"):
        load_engine(Path("gone"), precision="bf16", device="cuda")


def test_a_single_label_model_takes_no_threshold(trained: Path) -> None:
    engine = load_engine(trained / "runs/small")
    check_threshold(engine, None)
    with pytest.raises(ConfigError, match=r"^--threshold 0\.5: the model is single-label; leave it out$"):
        check_threshold(engine, 0.5)
