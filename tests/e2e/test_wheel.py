"""The source distribution, the wheel with the C++ library, and the wheel built without a compiler."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from textrnn.native import library

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = f"textrnn/native/_native{library._ENDING}"
SOURCES = {
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "textrnn/native").rglob("*")
    if path.suffix in {".cpp", ".h", ".txt"}
}

SDIST = "import sys; from scikit_build_core.build import build_sdist; build_sdist(sys.argv[1])"
# two steps over u0 = 1 with open gates of a half: the states are 1/2 and 3/4, the outputs half of that
INPUT = """
import json, sys
import numpy as np
from textrnn.native import functions, library
u = np.zeros((2, 1, 4, 3), np.float32)
u[:, :, 0] = 1
v = np.zeros((1, 2, 3), np.float32)
offsets = np.array([0, 2])
"""
FORWARD = f"""{INPUT}
h, final = np.empty((2, 1, 3), np.float32), np.empty((1, 1, 3), np.float32)
functions.sru_forward(u=u, offsets=offsets, v=v, b=v, alpha=1.0, h=h, final=final, threads=2)
assert "torch" not in sys.modules
print(json.dumps([library.load_native().library._name, library.__file__, h.tolist(), final.tolist()]))
"""
REFERENCE = f"""{INPUT}
import torch
from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.sru.recurrence import sru_recurrence
u, v, offsets = map(torch.from_numpy, (u, v, offsets))
h, final = sru_recurrence(u, None, BatchLayout(offsets), v=v, b=v)
print(json.dumps([library.load_native().library, library.__file__, h.tolist(), final.tolist()]))
"""
OUTPUT = [[[[0.25] * 3], [[0.375] * 3]], [[[0.75] * 3]]]


def run(
    *command: object, cwd: Path, environment: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | dict(environment or {}),
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


@dataclass(frozen=True)
class Installed:
    """A wheel, and the folder where it is installed."""

    wheel: Path
    site: Path

    @property
    def names(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    def run(self, *command: object) -> str:
        """Run Python with this installation and the dependencies of the tests, but not with the checkout."""
        others = [path for path in sys.path if path and Path(path).resolve() not in {ROOT, ROOT / "tests"}]
        path = {"PYTHONPATH": os.pathsep.join([str(self.site), *others])}
        return run("-S", *command, cwd=self.site, environment=path).stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution; skips without access to a package index."""
    folder = tmp_path_factory.mktemp("sdist")
    if importlib.util.find_spec("pip") is None:
        pytest.skip("pip is not installed")
    wanted = json.loads(
        re.search(r"^requires = (\[.*\])$", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)[1]
    )
    tools = folder / "tools"
    done = run("-m", "pip", "install", "--retries=1", "-q", "--target", tools, *wanted, cwd=folder, check=False)
    if done.returncode != 0:
        pytest.skip(f"the build requirements cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    run("-c", SDIST, folder, cwd=ROOT, environment={"PYTHONPATH": str(tools)})
    (found,) = folder.glob("textrnn-*.tar.gz")
    return found


def install(sdist: Path, folder: Path, environment: Mapping[str, str]) -> Installed:
    """Build a wheel from the source distribution with pip, and install it in a folder of its own."""
    run("-m", "tarfile", "-e", sdist, folder, cwd=folder)
    (unpacked,) = folder.glob("textrnn-*")
    source = unpacked.rename(folder / "source")  # pip would cache a path with a version in it
    run("-m", "pip", "wheel", "--no-deps", "-w", folder, source, cwd=folder, environment=environment)
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    run("-m", "pip", "install", "--no-deps", "--no-index", "--target", site, wheel, cwd=folder)
    return Installed(wheel, site)


@pytest.fixture(scope="module")
def compiled(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    if library.load_native().library is None and "TEXTRNN_WITHOUT_NATIVE" in os.environ:
        pytest.skip("installed without a compiler on purpose")
    return install(sdist, tmp_path_factory.mktemp("compiled"), {})


@pytest.fixture(scope="module")
def plain(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Built where no compiler works."""
    false = shutil.which("false")
    if sys.platform != "linux" or false is None:
        pytest.skip("CC and CXX choose the compiler on Linux only")
    return install(sdist, tmp_path_factory.mktemp("plain"), {"CC": false, "CXX": false})


def test_the_source_distribution_holds_all_that_is_built_and_tested(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert len(SOURCES) > 20
    assert names >= SOURCES
    assert {"pyproject.toml", "README.md", "LICENSE", "CONTRIBUTING.md", ".ci/run", "tests/conftest.py"} <= names
    assert {"configs/starter.yaml", "data/demo/train.tsv", "docs/README.md", "tests/sanitize/run"} <= names
    odd = re.compile(r"(^|/)(build|runs|dist|__pycache__|\.git)/|\.(so|dylib|dll|pyc|o)$|^data/(?!demo/)")
    assert not [name for name in names if odd.search(name)]


def test_the_wheel_holds_the_library_and_not_its_sources(compiled: Installed) -> None:
    _, _, python, abi, platform = compiled.wheel.stem.split("-")
    assert (python, abi) == ("py3", "none")
    assert platform != "any"
    names = compiled.names
    assert LIBRARY in names
    assert_ships(names)


def assert_ships(names: set[str]) -> None:
    assert {"textrnn/shipped/demo/train.tsv", "textrnn/py.typed"} <= names
    assert {f"textrnn/shipped/configs/{name}.yaml" for name in ("starter", "space")} <= names
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"textrnn"}  # no tests, no docs
    assert not [name for name in names if name.endswith((".cpp", ".h", ".pyc", ".o", "CMakeLists.txt"))]


def test_the_installed_library_computes(compiled: Installed) -> None:
    path, module, *output = json.loads(compiled.run("-c", FORWARD))
    assert Path(path) == compiled.site / LIBRARY
    assert Path(module).is_relative_to(compiled.site)
    assert output == OUTPUT
    doctor = compiled.run("-m", "textrnn", "doctor")
    assert re.search(r"^SRU backend +cpu: C\+\+ with \w+ instructions$", doctor, re.M)
    assert ("by the C++ library\n" in doctor) == bool(library.gemm_dtypes())


def test_without_a_compiler_the_wheel_is_plain_python(plain: Installed) -> None:
    assert plain.wheel.name.endswith("-py3-none-any.whl")
    assert LIBRARY not in plain.names
    assert_ships(plain.names)


def test_without_a_compiler_doctor_says_so_and_the_reference_computes(plain: Installed) -> None:
    doctor = plain.run("-m", "textrnn", "doctor")
    assert re.search(r"^SRU backend +reference: ", doctor, re.M)
    assert re.search(r"^products +by torch and numpy; ", doctor, re.M)
    assert re.search(r"^ +not cpu: .*C\+\+ comp", doctor, re.M)
    path, module, *output = json.loads(plain.run("-c", REFERENCE))
    assert path is None
    assert Path(module).is_relative_to(plain.site)
    assert output == OUTPUT


def test_both_predict_the_same(compiled: Installed, plain: Installed, trained: Path) -> None:
    command = ("-m", "textrnn", "predict", "-m", trained / "runs" / "small", trained / "rows.tsv")
    one, other = (
        [line.split("\t") for line in installed.run(*command).splitlines()] for installed in (compiled, plain)
    )
    assert len(one) == len((trained / "rows.tsv").read_bytes().splitlines())
    assert [label for label, _ in one] == [label for label, _ in other]
    assert [float(p) for _, p in one] == pytest.approx([float(p) for _, p in other], abs=1e-4)
