"""Prediction with the packages of requirements/predict.txt alone: all others are hidden."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements" / "predict.txt"
PROGRAM = """
import contextlib, importlib.metadata as metadata, io, re, sys
from pathlib import Path

def find(name, found):
    key = re.sub("[-_.]+", "-", name).lower()
    if key not in found:
        found.add(key)
        for line in metadata.requires(name) or []:
            if "extra ==" not in line and not re.search("python_version *<|platform_system|sys_platform", line):
                find(re.match(r"[\\w.-]+", line)[0], found)
    return found

wanted = {"textrnn"}
for line in Path(sys.argv[1]).read_text().splitlines():
    if line and not line.startswith("#"):
        find(re.match(r"[\\w.-]+", line)[0], wanted)
owners = {module: {re.sub("[-_.]+", "-", name).lower() for name in names}
          for module, names in metadata.packages_distributions().items()}

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name in owners and name != "textrnn" and not owners[name] & wanted:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hide())
from textrnn.__main__ import main

for command in (
    ["predict", "texts.txt"], ["filter", "--label", "tea", "texts.txt"], ["evaluate", "rows.tsv"],
    ["embed", "texts.txt"], ["explain", "green tea"], ["card"], ["inspect"], ["predict", "--help"],
):
    sys.argv = ["textrnn", *command]
    try:
        main()
    except SystemExit as end:
        assert not end.code, command

import textrnn
model = textrnn.load("runs/small")
assert model.predict(["green tea"])[0][0].label == "tea"
assert model.evaluate("rows.tsv").accuracy > 0.5
assert model.explain("green tea").parts
hidden = {"torch", "sklearn", "scipy", "jinja2", "vl_convert", "safetensors", "pandas"}
assert not hidden & sys.modules.keys()
try:
    import torch
except ModuleNotFoundError:
    print("torch is hidden", file=sys.stderr)
"""


def test_the_commands_and_the_api(trained: Path, tmp_path: Path) -> None:
    for name in ("rows.tsv", "runs"):
        (tmp_path / name).symlink_to(trained / name)
    (tmp_path / "texts.txt").write_text("green tea\nblack coffee\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, REQUIREMENTS],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "torch is hidden" in done.stderr
    assert done.stdout.startswith("tea\t")
