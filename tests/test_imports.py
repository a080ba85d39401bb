"""The rules of docs/architecture.md about what may import what, kept over the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "textrnn"
MODULES = sorted(PACKAGE.rglob("*.py"))

# what each room may import from the others; a room may always import from itself
ALLOWED = {
    "errors": set(),
    "files": set(),
    "counting": set(),
    "runs": {"errors", "files"},
    "calibration": set(),
    "metrics": set(),
    "config": {"errors"},
    "corpus": {"config", "counting", "errors", "files"},
    "tokenizer": {"config", "errors"},
    "ops": {"errors"},
    "ngrams": {"errors", "ops", "tokenizer", "corpus"},
    "layers": {"ops", "errors"},
    "classifier": {"layers", "ops", "errors"},
    "tensorfile": set(),
    "narrowing": {"ops", "tensorfile"},
    "modelfile": {"config", "errors", "files", "runs", "corpus", "narrowing", "ngrams", "tensorfile", "tokenizer"},
    "training": {
        "ops",
        "config",
        "calibration",
        "metrics",
        "counting",
        "errors",
        "files",
        "runs",
        "corpus",
        "tokenizer",
        "classifier",
        "modelfile",
        "ngrams",
    },
    "inference": {"calibration", "config", "counting", "errors", "corpus", "tokenizer", "modelfile", "ngrams", "ops"},
    "report": {"calibration", "config", "corpus", "inference", "metrics", "errors"},
    "model": {"inference", "runs"},
    "optimising": {
        "calibration",
        "corpus",
        "errors",
        "inference",
        "modelfile",
        "narrowing",
        "ngrams",
        "report",
        "tensorfile",
    },
    "studies": {"config", "corpus", "errors", "files", "runs", "training", "inference", "report"},
    "bench": {"layers", "ops", "errors"},
}
NO_TORCH = {
    "errors",
    "files",
    "counting",
    "runs",
    "calibration",
    "metrics",
    "config",
    "corpus",
    "tokenizer",
    "ngrams",
    "tensorfile",
    "narrowing",
    "modelfile",
    "inference",
    "report",
    "model",
    "optimising",
    "cli",
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path, *, top_level: bool) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_finds_the_package() -> None:
    assert len(MODULES) > 30


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    if room in {"cli", "__init__", "__main__"}:
        return  # the command line may use every room
    assert room in ALLOWED  # a new room states what it may import
    rooms = {name.split(".")[1] for name in imported(path, top_level=False) if name.startswith("textrnn.")}
    assert rooms - {room} <= ALLOWED[room]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_who_knows_what(path: Path) -> None:
    room, names = room_of(path), {name.split(".")[0] for name in imported(path, top_level=False)}
    if room not in {"cli", "__main__"}:
        assert not names & {"typer", "rich"}
    if path.relative_to(PACKAGE).as_posix() != "ops/sru/cuda.py":
        assert "triton" not in names
    if room in NO_TORCH:
        assert "torch" not in names


@pytest.mark.parametrize(
    "module",
    [
        "textrnn.cli.app",
        "textrnn.inference.stream",
        "textrnn.ngrams.table",
        "textrnn.ops.rnn",
        "textrnn.report.evaluation",
    ],
)
def test_importing_does_not_load_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
