"""Whole trainings on the GPU and on the CPU, a part of benchmarks/gpu.py: seconds, tokens per second, accuracy.

    python benchmarks/gpu_training.py [--data FOLDER] [--until TIME]

The network alone is trained, without n-grams, by the Python interface: neither Typer nor the C++ library is needed.
A training that has no time left stops, and its row shows how far it came. ``TIME`` is in seconds since 1970.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

SETS: dict[str, dict[str, object]] = {"trec": {}, "nsmc": {"train.batch_size": 256}}
WEIGHTS = {"nsmc": 2}  # of the time that is left; 1 for the others
FALLBACK = "demo"  # the data that ship with the package
NEEDED = ("pydantic", "yaml")
HEADER = "set, settings, device, SRU backend, epochs, steps, seconds, tokens/s, validation accuracy %, end"


class TimeUp(Exception):  # noqa: N818 - no error
    """The time of a training is up."""


@dataclass
class Progress:
    """How far a training came: its epochs, steps, training seconds and tokens, and the best validation accuracy."""

    until: float
    epochs: int = 0
    steps: int = 0
    started: float = field(default_factory=time.perf_counter)
    speed: float = math.nan
    accuracy: float = math.nan


def train(settings: dict[str, object], until: float) -> tuple[Progress, str]:
    """Train until the end, or until the time is up; return the progress and how it ended."""
    from textrnn.config import Override, load_config  # noqa: PLC0415 - if its modules are there
    from textrnn.reporter import EpochRecord, Reporter  # noqa: PLC0415
    from textrnn.training.train import train as train_model  # noqa: PLC0415

    progress = Progress(until)

    class Watch(Reporter):
        def begin(self, plan: object) -> None:
            del plan
            progress.started = time.perf_counter()

        def load(self, what: str, done: int, total: int | None) -> None:
            del what, done, total
            self.check_time()

        def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
            del epoch, loss
            progress.steps, progress.speed = progress.steps + 1, tokens_per_second
            self.check_time()

        def check_time(self) -> None:
            if time.time() > progress.until:
                raise TimeUp

        def end_epoch(self, record: EpochRecord) -> None:
            progress.epochs, progress.accuracy = record.epoch, max(record.accuracy, progress.accuracy, key=rank)

    config = load_config(overrides=[Override(key, value, key) for key, value in settings.items()])
    with tempfile.TemporaryDirectory() as folder:
        try:
            train_model(config, Path(folder, "run"), reporter=Watch())
        except TimeUp:
            return progress, "time up"
    return progress, "done"


def rank(accuracy: float) -> float:
    return -1.0 if math.isnan(accuracy) else accuracy


def find_files(data: Path | None, name: str) -> dict[str, object] | None:
    """Return the settings that name the files of a data set; None if they are not there."""
    found: dict[str, object] = {}
    for part in ("train", "valid"):
        paths = [data / name / f"{part}.tsv{ending}" for ending in ("", ".xz")] if data else []
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            return None
        found[f"data.{part}"] = str(path.resolve())
    return found


def measure(name: str, settings: dict[str, object], *, device: str, until: float) -> str:
    """Train on a device; return the row."""
    from textrnn.ops.sru.backends import choose_backend  # noqa: PLC0415

    settings = settings | {"train.device": device, "ngrams.share": 0}
    progress, end = train(settings, until)
    seconds = time.perf_counter() - progress.started
    shown = ", ".join(f"{key}={value}" for key, value in SETS.get(name, {}).items()) or "default"
    cells = [name, shown, device, choose_backend("auto", device=device), progress.epochs, progress.steps]
    cells += [f"{seconds:.1f}", f"{progress.speed:,.0f}", f"{100 * progress.accuracy:.2f}", end]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of data sets")
    parser.add_argument("--until", type=float, default=math.inf, help="the end, in seconds since 1970")
    options = parser.parse_args()
    print("\ntrainings of the network alone; seconds and tokens/s without reading and encoding the text\n")
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        print(f"left out: {', '.join(missing)} not installed; benchmarks/gpu.py --wheels FOLDER takes them from wheels")
        return
    os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))
    columns = HEADER.split(", ")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    devices = ["cuda", "cpu"] if torch.cuda.is_available() else ["cpu"]
    found = {name: find_files(options.data, name) for name in SETS}
    sets = {name: files | SETS[name] for name, files in found.items() if files} or {FALLBACK: {}}
    rows = [(name, device) for device in devices for name in sets]
    failed = False
    for number, (name, device) in enumerate(rows):
        now = time.time()
        if now > options.until:
            print(f"\nleft out, no time: {', '.join(f'{name} on {device}' for name, device in rows[number:])}")
            break
        weights = [WEIGHTS.get(other, 1) for other, _ in rows[number:]]
        until = now + (options.until - now) * weights[0] / sum(weights)
        try:
            print(measure(name, sets[name], device=device, until=until), flush=True)
        except Exception as error:  # the next row may work
            failed = True
            print(f"\nFAIL {name} on {device}: {type(error).__name__}: {str(error).splitlines()[:1]}", flush=True)
    if len(sets) < len(SETS):
        print("\n--data FOLDER names the folder of nsmc and trec")
    sys.exit(failed)


if __name__ == "__main__":
    main()
