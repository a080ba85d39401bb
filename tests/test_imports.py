"""The rules of docs/explanation/architecture.md about imports, checked in the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "textrnn"
MODULES = sorted(PACKAGE.rglob("*.py"))

# the rooms that each room may import from, besides itself; cli may import from all
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "extras": {"errors"},
    "files": set(),
    "lazy": set(),
    "signals": set(),
    "reporter": set(),
    "config": {"errors"},
    "native": {"errors"},
    "ops": {"native", "errors"},
    "data": {"config", "errors", "extras", "files"},
    "tokenization": {"data", "errors", "native"},
    "models": {"data", "errors", "lazy", "native", "ops", "serialization", "tokenization"},
    "serialization": {"config", "data", "errors", "files", "models", "ops", "reporter", "tokenization"},
    "inference": {"config", "data", "errors", "lazy", "models", "native", "ops", "serialization", "tokenization"},
    "pipeline": {"config", "data", "errors", "files", "inference"},
    "evaluation": {"config", "data", "errors", "inference", "models"},
    "preparation": {"config", "data", "errors", "files", "native", "reporter", "serialization", "tokenization"},
    "training": {
        *("config", "data", "errors", "evaluation", "extras", "files", "inference", "models", "native", "ops"),
        *("preparation", "reporter", "serialization", "signals", "tokenization"),
    },
    "report": {
        *("config", "data", "errors", "evaluation", "files", "inference", "models", "native", "preparation"),
        *("serialization", "tokenization"),
    },
    "compression": {"data", "errors", "evaluation", "inference", "models", "serialization"},
    "distillation": {
        *("config", "data", "errors", "files", "inference", "models", "native", "pipeline", "preparation", "reporter"),
        "serialization",
    },
    "experiments": {
        *("config", "data", "errors", "evaluation", "extras", "files", "inference", "models", "ops", "preparation"),
        *("reporter", "serialization", "training"),
    },
    "server": {"api", "errors", "inference", "native", "pipeline"},
    "sklearn": {"api", "data", "errors"},
    "fasttext": {"api", "config", "data", "errors", "reporter", "serialization"},
    "integrations": {"api", "errors", "extras", "files", "inference", "pipeline", "serialization"},
    "api": {"config", "data", "errors", "evaluation", "files", "inference", "reporter", "serialization", "training"},
}
# the rooms and modules that know these packages
ONLY_IN = {
    "ctypes": ("native/",),
    "pydantic": ("config/sections.py", "cli/command_class.py"),
    "datatrove": ("integrations/datatrove.py",),
    "jinja2": ("report/",),
    "prometheus_client": ("server/",),
    "pyspark": ("integrations/spark.py",),
    "ray": ("integrations/ray.py",),
    "rich": ("cli/",),
    "starlette": ("server/",),
    "torch": (
        *("models/", "ops/", "serialization/checkpoint.py", "training/"),
        *("preparation/initial_model.py", "preparation/pretrained_vectors.py"),
    ),
    "triton": ("ops/fused_kernels.py", "ops/sru/cuda.py"),
    "typer": ("cli/",),
    "uvicorn": ("server/",),
    "vl_convert": ("report/",),
}
WITHOUT_TORCH = (
    "textrnn.serialization.inspection",
    *("textrnn.cli.app", "textrnn.pipeline.labeler", "textrnn.inference.engine", "textrnn.inference.explain"),
    *("textrnn.models.ngram.table", "textrnn.ops.rnn_forward", "textrnn.evaluation.single_label"),
    *("textrnn.evaluation.comparison", "textrnn.cli.commands.analysis.compare"),
    *("textrnn.data.check", "textrnn.tokenization.spm_trainer", "textrnn.compression", "textrnn.api"),
    "textrnn.report.evaluation_page",
    "textrnn.server.serving",
    *("textrnn.evaluation.label_errors", "textrnn.experiments.out_of_fold", "textrnn.evaluation.suggestions"),
)


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_the_package_is_found() -> None:
    assert len(MODULES) > 30


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    room = name_of(path).split("/")[0].removesuffix(".py")
    if room in {"cli", "__init__", "__main__"}:
        return
    assert room in ALLOWED, "a new room states what it may import"
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("textrnn.")}
    assert rooms - {room} <= ALLOWED[room]


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_package_is_imported_in_its_rooms_only(package: str) -> None:
    users = {name_of(path) for path in MODULES if package in {name.split(".")[0] for name in imported(path)}}
    assert {name for name in users if not name.startswith(ONLY_IN[package])} == set()


def test_prediction_does_not_load_torch() -> None:
    lines = [f"import {module}; assert 'torch' not in sys.modules, '{module}'" for module in WITHOUT_TORCH]
    done = subprocess.run([sys.executable, "-c", "\n".join(["import sys", *lines])], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_training_starts_without_the_compiler_of_torch() -> None:
    code = (
        "import sys, textrnn.training.train; from textrnn.ops.device import make_repeatable; make_repeatable(1)\n"
        "print({'torch._dynamo', 'torch._inductor'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"  # importing them takes a second each
