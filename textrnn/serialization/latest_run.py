"""What tells runs from one another: the pointer to the latest, which lets commands go without ``-m``, and studies."""

from __future__ import annotations

from pathlib import Path

from textrnn.errors import ModelError
from textrnn.files import write_text

POINTER = Path("runs") / "latest"
CHECKPOINT_NAME = "checkpoint.safetensors"  # what a run that was stopped leaves in its folder
STUDY_NAME = "study.json"


def point_to(folder: Path) -> None:
    """Make ``folder`` the latest run of the current folder; raises OSError where that cannot be written."""
    absolute = folder.resolve()
    here = Path.cwd().resolve()
    shown = absolute.relative_to(here) if absolute.is_relative_to(here) else absolute
    write_text(POINTER, f"{shown.as_posix()}\n")


def find_latest(naming: str = "with -m") -> Path:
    """Return the folder of the latest run; errors advise to name a model as ``naming`` says.

    Raises:
        ModelError: no run was trained from the current folder, or its folder is gone.
    """
    try:
        name = POINTER.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        raise ModelError(POINTER, f"no model was trained in this folder; train one, or name one {naming}") from None
    if not name or not Path(name).is_dir():
        raise ModelError(POINTER, f"points to {name or 'nothing'}, which is gone; name a model {naming}")
    return Path(name)


def is_study(folder: Path) -> bool:
    """Whether several runs from one config were begun in ``folder``."""
    return (folder / STUDY_NAME).is_file()
