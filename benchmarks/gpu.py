"""A GPU against this package: are the results right, and how fast are the layers, the kernels and whole trainings?

    python benchmarks/gpu.py [--minutes 8] [--data FOLDER] [--wheels FOLDER] [--small] [--tf32] [--only PART ...]

It runs from a checkout and installs nothing; torch, Triton, numpy, scipy, sentencepiece and safetensors must be there.
Modules that are missing (pydantic and PyYAML for the trainings) are taken from the wheels in a folder:

    pip download --no-deps -d FOLDER pydantic pydantic-core annotated-types typing-extensions typing-inspection pyyaml

with --python-version, --platform and --only-binary=:all: for the machine with the GPU, on one that has a network.

The parts, in this order, print Markdown tables, each row as it comes, the most telling rows first:

- parity: the kernels against their definitions in float64, outputs and gradients (gpu_kernels.py);
- layers: two stacked SRU layers against cuDNN's LSTM and GRU, float32 and bfloat16 autocast;
- kernels: the recurrence alone, and its share of the bandwidth with which the device copies a large tensor;
- training: trec with default settings and nsmc in batches of 256, on the GPU and on the CPU (gpu_training.py). FOLDER
  holds NAME/train.tsv, valid.tsv and test.tsv, or these as .xz; it is TEXTRNN_TEST_DATA by default.

With --minutes each part gets a share of the time. A row that would start after the end of its part is left out, and a
process that is still running then is killed: the script ends in time. Without it every row is measured, which takes a
while: all kernels are compiled in all configurations; --small is for a first look. The exit status is 1 if a check
fails, or a part for another reason than a lack of memory or time. Without a GPU the kernels run in Triton's interpreter
on tiny shapes, which shows that the script works, and nothing else.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHARES = {"parity": 0.2, "layers": 0.25, "kernels": 0.1, "training": 0.45}  # of the time
GRACE = 15.0  # seconds that a row may take longer than its part has
RESERVE = 3.0  # seconds to end in
FOREVER = 366 * 24 * 3600.0


def unpack_wheels(wheels: Path, folder: Path) -> None:
    """Unpack all wheels into one folder, as pip would."""
    found = sorted(wheels.glob("*.whl"))
    if not found:
        sys.exit(f"{wheels}: no wheels (.whl) there")
    for wheel in found:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)


def run_part(command: list[str], environment: dict[str, str], *, seconds: float) -> int | None:
    """Run a part; return its exit status, or None if it was killed after ``seconds``."""
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return process.wait(timeout=max(seconds, 0.1))
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=RESERVE)


def list_commands(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return the command of each part that is asked for, without the time of its end."""
    kernels = [str(HERE / "gpu_kernels.py"), "--seconds", str(options.seconds)]
    kernels += [name for name in ("--small", "--tf32") if getattr(options, name[2:])]
    training = [str(HERE / "gpu_training.py"), *(["--data", str(options.data)] if options.data else [])]
    commands = {part: [*kernels, "--only", part] for part in SHARES} | {"training": training}
    return {part: [sys.executable, *commands[part]] for part in SHARES if part in options.only}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help="end after this time, whatever is left; default: no limit")
    parser.add_argument("--data", type=Path, default=os.environ.get("TEXTRNN_TEST_DATA"), help="folder of data sets")
    parser.add_argument("--wheels", type=Path, help="folder of wheels with the modules that are missing here")
    parser.add_argument("--small", action="store_true", help="fewer cases and shapes")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each contestant, shape and pass")
    parser.add_argument("--only", nargs="+", choices=SHARES, default=list(SHARES), help="these parts alone")
    parser.add_argument("--tf32", action="store_true", help="allow TF32 in float32 products, for all sides")
    options = parser.parse_args()
    end = time.time() + (FOREVER if options.minutes is None else 60 * options.minutes - RESERVE)
    failed = False
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if options.wheels:
            unpack_wheels(options.wheels, Path(folder))
        path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", ""), folder])
        environment = os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "XDG_CACHE_HOME": folder}
        commands = list_commands(options)
        left = sum(SHARES[part] for part in commands)
        for part, command in commands.items():
            now = time.time()
            until = now + (end - now) * SHARES[part] / left
            left -= SHARES[part]
            seconds = min(until + GRACE, end) - now
            status = run_part([*command, "--until", str(until)], environment, seconds=seconds)
            if status is None:
                print(f"\n{part}: killed, its time was up", flush=True)
            failed = failed or bool(status)
    sys.exit(failed)


if __name__ == "__main__":
    main()
