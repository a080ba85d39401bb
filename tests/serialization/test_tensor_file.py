"""Safetensors files: compatible with the safetensors package, read as views, and refused if damaged or hostile."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save
from safetensors.torch import load as load_torch

from textrnn.serialization.tensor_file import BFLOAT16, format_tensors, map_file, read_header, read_tensors, read_text

TENSORS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a 배": np.array([1.5, -0.0, np.inf], np.float32),
    "bytes": np.frombuffer(b"odd", np.uint8),
    "keys": np.array([0, 2**32 - 1], np.uint32),
    "steps": np.array([[-127, 127]], np.int8),
    "none": np.zeros((0, 4), np.float32),
    "one": np.array(2.5, np.float64),
    "yes": np.array([True, False, True]),
    "half": np.array([0.5], np.float16),
    "long": np.array([-(2**63)], np.int64),
}
TEXTS = {"key": 'quotes " and \\, a line\nend, 배송 and \x01'}


def read(content: bytes) -> dict[str, Any]:
    return read_tensors(content, read_header(content))


def make(entries: Any, data: bytes = bytes(range(16))) -> bytes:
    head = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return len(head).to_bytes(8, "little") + head + data


def entry(**change: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16], **change}


def find_owner(array: Any) -> Any:
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array.obj if isinstance(array, memoryview) else array


def test_the_bytes_are_those_of_the_safetensors_package() -> None:
    assert format_tensors(TENSORS, TEXTS) == save(TENSORS, TEXTS)
    assert format_tensors(dict(reversed(TENSORS.items())), TEXTS) == save(TENSORS, TEXTS)


def test_written_tensors_are_read_back() -> None:
    content = format_tensors(TENSORS, TEXTS)
    assert read_text(read_header(content), "key") == TEXTS["key"]
    for tensors in (read(content), load(content)):
        assert tensors.keys() == TENSORS.keys()
        for name, array in TENSORS.items():
            assert (tensors[name].dtype, tensors[name].shape) == (array.dtype, array.shape)
            assert tensors[name].tobytes() == array.tobytes()


def test_memory_layout_does_not_matter() -> None:
    turned = {"b": np.asfortranarray(TENSORS["b"]), "half": np.repeat(TENSORS["keys"], 2)[::2]}
    plain = {"b": TENSORS["b"], "half": TENSORS["keys"]}
    assert format_tensors(turned, {}) == format_tensors(plain, {})


def test_bfloat16_is_compatible_with_torch() -> None:
    array = np.array([0x3FC0, 0xFF80], "<u2").view(BFLOAT16)
    content = format_tensors({"x": array, "b": TENSORS["b"]}, {})
    assert load_torch(content)["x"].tolist() == [1.5, -float("inf")]
    assert load_torch(content)["x"].dtype == torch.bfloat16
    tensors = read(content)["x"]
    assert (tensors.dtype, tensors.tobytes()) == (BFLOAT16, array.tobytes())


def test_tensors_are_read_only_views_of_the_mapped_file(tmp_path: Path) -> None:
    path = tmp_path / "tensors"
    path.write_bytes(format_tensors(TENSORS, TEXTS))
    content = map_file(path)
    tensors = read_tensors(content, read_header(content))
    assert isinstance(content, mmap.mmap)
    for name, array in tensors.items():
        assert find_owner(array) is content, name
        assert array.flags.aligned
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    path.unlink()  # the mapping stays
    del content
    assert tensors["b"].tolist() == TENSORS["b"].tolist()


def test_misaligned_tensors_are_copied() -> None:
    for shift in range(1, 8):
        head = json.dumps({"x": entry()}).encode() + b" " * shift
        tensors = read(make(head, np.arange(4, dtype="<f4").tobytes()))["x"]
        assert tensors.tolist() == [[0, 1], [2, 3]]
        assert tensors.flags.aligned
        assert not tensors.flags.writeable


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert map_file(tmp_path / "empty") == b""
    with pytest.raises(ValueError, match="cut short"):
        read_header(b"")


@pytest.mark.parametrize(
    "head", [b"", b"{", b"[]", b"1", b"null", b"\xff\xfe", b'{"x": 1}x', b"[" * 100_000, b'{"a":' * 100_000]
)
def test_a_header_that_is_not_an_object_is_refused(head: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        read_header(make(head))


@pytest.mark.parametrize("size", [2**64 - 1, 2**63, 2**32, 1000])
def test_a_header_larger_than_the_file_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="cut short"):
        read_header(size.to_bytes(8, "little") + b"{}" + bytes(16))


@pytest.mark.parametrize("texts", [None, [], "key", {}, {"key": 1}, {"key": None}, {"other": "x"}])
def test_a_missing_text_is_reported(texts: Any) -> None:
    with pytest.raises(ValueError, match="no text 'key'"):
        read_text({"__metadata__": texts}, "key")


LARGE = 2**62


@pytest.mark.parametrize(
    "entries",
    [
        {"x": None},
        {"x": []},
        {"x": {"dtype": "F32", "shape": [4]}},
        {"x": entry(more=1)},
        *({"x": entry(dtype=dtype)} for dtype in ("F33", "f32", "", None, 4, ["F32"], "F64", "F16", "F8_E4M3")),
        *({"x": entry(shape=shape)} for shape in (None, 4, [4, 2], [2], [-2, -2], [2.0, 2.0], ["2", 2], [True, 4])),
        *({"x": entry(shape=shape)} for shape in ([LARGE, 0], [LARGE, LARGE], [2**70, 0], [1] * 100 + [4])),
        *({"x": entry(data_offsets=place)} for place in (None, 0, [], [0], [0, 16, 16], [16, 0], [-16, 0], [0, 2**70])),
        *({"x": entry(data_offsets=place)} for place in ([0.0, 16], [4, 20], [LARGE, LARGE + 16], [False, 16])),
        {"x": entry(), "y": entry()},  # the same bytes twice
        {"x": entry(), "y": entry(shape=[2], data_offsets=[8, 16])},
        {"x": entry(shape=[3], data_offsets=[0, 12]), "y": entry(shape=[2], data_offsets=[8, 16])},
        {"x": entry(shape=[2], data_offsets=[0, 8])},  # bytes of no tensor
        {"x": entry(shape=[2], data_offsets=[8, 16])},
        {"x": entry(shape=[1], data_offsets=[0, 4]), "y": entry(shape=[2], data_offsets=[8, 16])},
        {},
    ],
)
def test_tensors_that_do_not_fit_the_file_are_refused(entries: Any) -> None:
    content = make(entries)
    assert read(make({"x": entry()}))["x"].shape == (2, 2)
    with pytest.raises(ValueError, match=r"."):
        read_tensors(content, read_header(content))


def test_empty_tensors_may_lie_between_others() -> None:
    none = entry(shape=[0, 3], data_offsets=[8, 8])
    parts = {"x": entry(shape=[2], data_offsets=[0, 8]), "y": entry(shape=[2], data_offsets=[8, 16])}
    assert read(make({**parts, "none": none, "more": none}))["none"].shape == (0, 3)


def test_no_changed_byte_of_a_header_reads_outside_the_file() -> None:
    content = format_tensors(TENSORS, TEXTS)
    size = 8 + int.from_bytes(content[:8], "little")
    for place in range(size):
        for value in b'\x000"9[{}-e ':
            changed = content[:place] + bytes([value]) + content[place + 1 :]
            try:
                tensors = read(changed)
            except (ValueError, RecursionError):
                continue
            assert sum(array.nbytes for array in tensors.values()) <= len(content)
