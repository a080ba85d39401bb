"""The rules of docs/explanation/architecture.md about what may import what, kept over the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "textrnn"
MODULES = sorted(PACKAGE.rglob("*.py"))

# what each room may import from the others; a room may always import from itself
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "files": set(),
    "signals": set(),
    "reporter": set(),
    "config": {"errors"},
    "native": {"errors"},
    "ops": {"native", "errors"},
    "data": {"config", "errors", "files", "native"},
    "tokenization": {"config", "data", "errors"},
    "models": {"config", "data", "errors", "native", "ops", "serialization", "tokenization"},
    "serialization": {"config", "data", "errors", "files", "models", "ops", "reporter", "tokenization"},
    "inference": {"config", "data", "errors", "models", "native", "ops", "serialization", "tokenization"},
    "pipeline": {"data", "errors", "inference"},
    "evaluation": {"config", "data", "errors", "inference", "models"},
    "preparation": {"config", "data", "errors", "files", "native", "reporter", "serialization", "tokenization"},
    "training": {
        *("config", "data", "errors", "evaluation", "models", "native", "ops", "preparation", "reporter"),
        *("serialization", "signals", "tokenization"),
    },
    "compression": {"data", "errors", "evaluation", "inference", "models", "serialization"},
    "experiments": {
        *("config", "data", "errors", "evaluation", "files", "inference", "preparation", "reporter", "serialization"),
        *("ops", "training"),
    },
    "api": {"inference", "serialization"},
}
USES_TORCH = {"ops", "models", "preparation", "training", "experiments"}


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
    if room not in USES_TORCH and path.name != "checkpoint.py":
        assert "torch" not in names


@pytest.mark.parametrize(
    "module",
    [
        "textrnn.cli.app",
        "textrnn.pipeline.writers",
        "textrnn.models.ngram.table",
        "textrnn.ops.rnn_forward",
        "textrnn.evaluation.single_label",
    ],
)
def test_importing_does_not_load_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
