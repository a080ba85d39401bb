"""The programs of the page about clusters run as printed, where their engines are installed."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pa = pytest.importorskip("pyarrow")

from pyarrow import parquet  # noqa: E402

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "cluster.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
OUTPUTS = {
    "predict_files": ["labelled/a.parquet", "labelled/_manifest.json"],
    "Predictor": [],
    "datatrove": ["kept/*.parquet"],
    "nemo_curator": ["curated/*.parquet"],
    "pyspark": ["spark-labelled/*.parquet", "spark-top/*.parquet"],
    "textrnn.load": [],
}


@pytest.mark.parametrize(
    "name",
    [name if name in ("datatrove", "textrnn.load") else pytest.param(name, marks=pytest.mark.long) for name in OUTPUTS],
)
def test_a_program_runs(name: str, trained: Path, tmp_path: Path) -> None:
    program = next(program for program in PROGRAMS if name in program)
    package = "ray" if "integrations.ray" in program else name if "." not in name else "textrnn"
    if importlib.util.find_spec(package) is None or (package == "pyspark" and not shutil.which("java")):
        pytest.skip(f"{package} is not installed")
    (tmp_path / "crawl").mkdir()
    parquet.write_table(pa.table({"id": ["1", "2"], "text": ["green tea", "coffee"]}), tmp_path / "crawl/a.parquet")
    shutil.copy(trained / "runs/small/model.safetensors", tmp_path)
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()
    for pattern in OUTPUTS[name]:
        assert list(tmp_path.glob(pattern)), pattern
