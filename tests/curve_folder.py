"""A finished experiment with a learning curve, without its models."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from samples import make_config
from textrnn.evaluation.learning_curve import fit_curve

RISING = {100: [0.5, 0.5, 0.5], 200: [0.6, 0.61, 0.59], 400: [0.7, 0.71, 0.69]}
FLAT = {100: [0.70, 0.72, 0.68], 200: [0.71, 0.73, 0.69], 400: [0.71, 0.73, 0.69]}


def write_curve(folder: Path, runs: dict[int, list[float]], *, report: bool = True) -> Path:
    """Write the files of an experiment whose models have these accuracies by their number of texts."""
    folder.mkdir(parents=True)
    names = [f"part-1-seed-{seed}" for seed in (42, 43, 44)]
    best = {"kind": "seed", "metric": "loss", "best": names[1], "runs": {name: {} for name in names}}
    summary = best | {"curve": asdict(fit_curve(runs))}
    config = make_config(train__report=report).model_dump()
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    state = {"command": "textrnn train --learning-curve", "config": config}
    (folder / "study.json").write_text(json.dumps(state), encoding="utf-8")
    return folder
