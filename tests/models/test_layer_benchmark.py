"""The layer benchmark: its contestants, turns and ratios, without any speed."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from command import Run
from textrnn.cli.commands.bench import bench_command
from textrnn.models import layer_benchmark
from textrnn.models.layer_benchmark import (
    OURS,
    PASSES,
    Shape,
    Timing,
    contest,
    passes_of,
    rivals,
    tabulate,
)
from textrnn.native import library

SMALL = Shape(3, 2, 8)


def test_a_ratio_compares_times_within_a_turn() -> None:
    timing = Timing(SMALL, "training", {OURS: [1.0, 10.0, 2.0], "LSTM": [3.0, 30.0, 8.0]})
    assert timing.ratio("LSTM") == 3.0  # the medians would give 4
    assert timing.milliseconds("LSTM") == 8.0


def test_a_table_marks_passes_that_did_not_run() -> None:
    timings = [
        Timing(SMALL, "inference", {OURS: [1.0], "peer": [4.0]}),
        Timing(Shape(5, 2, 8), "inference", {OURS: [2.0], "peer": [2.0]}),
        Timing(SMALL, "training", {OURS: [5.0]}),
    ]
    assert tabulate(timings) == [
        ["(T, B, D)", "pass", "SRU ms", "peer ms", "peer x"],
        ["(3, 2, 8)", "inference", "1.000", "4.000", "4.00"],
        ["(5, 2, 8)", "inference", "2.000", "2.000", "1.00"],
        ["(3, 2, 8)", "training", "5.000", "-", "-"],
        ["geometric mean", "inference", "", "", "2.00"],
        ["geometric mean", "training", "", "", "-"],
    ]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_all_contestants_have_the_same_number_of_turns(precision: str) -> None:
    seen: list[torch.dtype] = []

    def prepare(shape: Shape, device: torch.device, precision: str) -> dict[str, object]:
        weight = torch.randn(shape.D, shape.D, requires_grad=True)

        def forward(x: torch.Tensor) -> torch.Tensor:
            h = x @ weight
            seen.append(h.dtype)
            return h

        return {"training": passes_of(forward, [weight], torch.randn(shape.B, shape.D))["training"]}

    options: dict[str, Any] = {"device": torch.device("cpu"), "precision": precision, "seconds": 0.01}
    timings = [*contest([SMALL], **options), *contest([SMALL], **options, against={"linear": prepare})]
    assert [timing.which for timing in timings] == [*PASSES, *PASSES]
    names = [list(timing.turns) for timing in timings]
    assert names == [[OURS, *rivals(options["device"], precision)]] * 2 + [[OURS], [OURS, "linear"]]
    for timing in timings:
        counts = {len(turns) for turns in timing.turns.values()}
        assert len(counts) == 1
        assert counts.pop() >= 3
        assert all(x > 0 for turns in timing.turns.values() for x in turns)
    assert set(seen) == {torch.float32 if precision == "fp32" else torch.bfloat16}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "fp8"], "--precision"),
        (["--device", "cuda"], "CUDA"),
        (["--device", "toaster"], "toaster"),
        (["--seconds", "0"], "--seconds"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], message: str, invoke: Run) -> None:
    done = invoke("bench", *arguments)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert done.stdout == b""


def test_the_command_prints_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(layer_benchmark, "SHAPES", (SMALL,))
    bench_command(device="cpu", precision="fp32", seconds=0.01)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].endswith("LSTM x  GRU x")
    assert "products x" in lines[0]
    assert ("products by torch" in lines[0]) == library.supports_dtype(torch.float32)
    assert [line[:9] for line in lines[1:3]] == ["(3, 2, 8)"] * 2
    assert [line.split()[:3] for line in lines[3:]] == [["geometric", "mean", which] for which in PASSES]
    assert "SRU backend" in err
