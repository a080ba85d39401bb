"""The commands of the tutorial and the README run as printed, on the demo data."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from command import find_command

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "tutorial"
FASTER = (
    'textrnn() { if [ "$1" = train ]; then command textrnn "$@" --epochs 1 --hidden 8; else command textrnn "$@"; fi; }'
)


def list_blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_commands_run(tmp_path: Path) -> None:
    page = TUTORIAL / "english.md"
    shutil.copytree(ROOT / "data" / "demo", tmp_path / "data" / "demo")
    (tmp_path / "program.py").write_text("".join(list_blocks(page, "python")), encoding="utf-8")
    commands = "".join(list_blocks(page, "sh"))
    script = f"set -eu\n{FASTER}\n{commands}\n'{sys.executable}' ../program.py\n"
    environment = os.environ | {
        "PATH": f"{Path(find_command()).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tutorial" / "runs" / "first" / "model.safetensors").exists()


def test_readme_has_commands_of_the_tutorial() -> None:
    tutorial = "".join(list_blocks(TUTORIAL / "english.md", "sh"))
    commands = "".join(list_blocks(ROOT / "README.md", "sh")).splitlines()
    assert len(commands) >= 4
    assert set(commands) <= set(tutorial.splitlines())
    assert list_blocks(ROOT / "README.md", "python") == list_blocks(TUTORIAL / "english.md", "python")


def test_both_languages_have_the_same_commands() -> None:
    for language in ("sh", "python", "text"):
        assert list_blocks(TUTORIAL / "korean.md", language) == list_blocks(TUTORIAL / "english.md", language)
