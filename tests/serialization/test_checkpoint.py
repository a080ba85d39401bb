"""The checkpoint file: its content, and damage to it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from textrnn.errors import ModelError
from textrnn.serialization.checkpoint import Checkpoint, read_checkpoint, write_checkpoint


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    tensors = {"model.a": torch.randn(3, 2), "model.b.c": torch.ones(2).bfloat16(), "other.a": torch.arange(4)[::2]}
    state = {"text": "한국어", "numbers": [1, 0.1, 1e-300, None], "inner": {"epoch": 3}}
    write_checkpoint(tmp_path / "c.safetensors", Checkpoint(tensors, state))
    checkpoint = read_checkpoint(tmp_path / "c.safetensors")
    assert checkpoint.state == state
    assert checkpoint.tensors.keys() == tensors.keys()
    assert all(torch.equal(checkpoint.tensors[name], value) for name, value in tensors.items())
    assert checkpoint.part("model").keys() == {"a", "b.c"}
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


def test_missing_damaged_and_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    with pytest.raises(ModelError, match="no such checkpoint"):
        read_checkpoint(path)
    write_checkpoint(path, Checkpoint({"a": torch.ones(1000)}, {}))
    whole = path.read_bytes()
    for content in (b"", b"x" * 100, whole[:-1], whole[:50], whole[:-9] + b"\x41" + whole[-8:]):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="damaged"):
            read_checkpoint(path)
    save_file({"a": torch.ones(2)}, path)
    with pytest.raises(ModelError, match="damaged"):
        read_checkpoint(path)
    save_file({"a": torch.ones(2)}, path, {"textrnn": '{"format_version": 99}'})
    with pytest.raises(ModelError, match="not a checkpoint of this version"):
        read_checkpoint(path)
