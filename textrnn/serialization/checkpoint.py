"""The checkpoint of a run: its complete state as a safetensors file, which cannot hold code."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from textrnn.errors import ModelError
from textrnn.files import atomic_write

FORMAT_VERSION = 3  # raise it when older checkpoints would resume differently, or fill in their config differently

_METADATA = "textrnn"


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a run by name, and the rest of its state as plain JSON values."""

    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with ``prefix.``, without that prefix."""
        start = f"{prefix}."
        return {name.removeprefix(start): value for name, value in self.tensors.items() if name.startswith(start)}


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint`` to ``path``, atomically."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in checkpoint.tensors.items()}
    header = {"format_version": FORMAT_VERSION, "crc": _compute_crc(tensors), **checkpoint.state}
    with atomic_write(path) as file:
        file.write(save(tensors, {_METADATA: json.dumps(header, ensure_ascii=False)}))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the checkpoint at ``path``; raises ModelError if it is missing, damaged, or of another format version."""
    try:
        path.open("rb").close()  # safetensors reports any file that it cannot open as missing
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})[_METADATA])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except FileNotFoundError:
        raise ModelError(path, "no such checkpoint") from None
    except OSError as error:
        raise ModelError(path, f"cannot be read ({error.strerror or error})") from None
    except (SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise ModelError(path, f"not a checkpoint, or damaged ({str(error).splitlines()[0]}); train again") from None
    if not isinstance(state, dict) or state.pop("format_version", None) != FORMAT_VERSION:
        raise ModelError(path, "not a checkpoint of this version of textrnn; train again")
    if state.pop("crc", None) != _compute_crc(tensors):
        raise ModelError(path, "damaged: its content has changed since it was written; train again")
    return Checkpoint(tensors, state)


def _compute_crc(tensors: Mapping[str, Tensor]) -> int:
    """Return the CRC-32 of all values, by the order of their names."""
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, crc)
    return crc


@contextmanager
def explaining_damage(path: Path) -> Iterator[None]:
    """Turn the errors that the content of a damaged checkpoint causes into a ModelError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # pydantic's errors are ValueErrors
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        raise ModelError(
            path, f"not a checkpoint, damaged, or of another version of textrnn ({reason}); train again"
        ) from None
