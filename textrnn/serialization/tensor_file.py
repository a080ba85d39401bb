"""Safetensors files: named tensors and text metadata.

The files are compatible with the package ``safetensors``, which copies each tensor. Here tensors are views of the
memory-mapped file: loading is immediate, and processes share the pages.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Tensors = Mapping[str, npt.NDArray[Any]]
Content = bytes | mmap.mmap

BFLOAT16 = np.dtype([("bfloat16", "<u2")])
"""The upper half of a float32. numpy lacks bfloat16; a structured dtype cannot be used in arithmetic by mistake."""

_DTYPES: dict[str, Any] = {
    **{"U64": "<u8", "I64": "<i8", "F64": "<f8", "F32": "<f4", "U32": "<u4", "I32": "<i4", "BF16": BFLOAT16},
    **{"F16": "<f2", "U16": "<u2", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"},
}  # in file order: wide types first, so that all tensors are aligned
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
_METADATA = "__metadata__"
_ALIGNMENT = 8  # of the tensors in the file


def map_file(path: Path) -> Content:
    """Return the content of ``path`` as read-only mapped memory.

    Replacing the file by renaming another one, as textrnn does, leaves the mapping unchanged. Do not modify a mapped
    file in place. Windows cannot replace a file while it is mapped.

    Raises:
        OSError: the file cannot be opened or mapped.
    """
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return b""  # an empty file cannot be mapped
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def read_header(content: Content) -> dict[str, Any]:
    """Return the unchecked header of ``content``; raises ValueError or RecursionError if there is none."""
    start = _find_start(content)
    header = json.loads(content[8:start])
    if not isinstance(header, dict):
        raise ValueError("the header is not an object")
    return header


def read_text(header: Mapping[str, Any], key: str) -> str:
    """Return the metadata text ``key`` of ``header``; raises ValueError if it is missing."""
    texts = header.get(_METADATA)
    if not isinstance(texts, dict) or not isinstance(texts.get(key), str):
        raise ValueError(f"there is no text '{key}'")
    return str(texts[key])


def read_tensors(content: Content, header: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of ``content`` by name: read-only views of its memory, C-contiguous and aligned.

    A misaligned tensor, which another program may write, is copied. As the format requires, the tensors cover the file
    from the header to the end without gaps or overlaps.

    Raises:
        ValueError: there are gaps or overlaps, or the dtype, shape and offsets of a tensor do not fit.
    """
    start = _find_start(content)
    tensors, ranges = {}, [(0, 0)]
    for name, entry in header.items():
        if name == _METADATA:
            continue
        dtype, shape, (begin, end) = _read_entry(name, entry)
        if prod(shape) * dtype.itemsize != end - begin or start + end > len(content):
            raise ValueError(f"tensor '{name}' does not fit its offsets, or the file is cut short")
        view: npt.NDArray[Any] = np.ndarray(shape, dtype, buffer=content, offset=start + begin)
        tensors[name] = np.require(view, requirements="A")
        tensors[name].flags.writeable = False
        ranges.append((begin, end))
    ranges = [*sorted(ranges), (len(content) - start,) * 2]
    if any(before != begin for (_, before), (begin, _) in pairwise(ranges)):
        raise ValueError("its tensors have gaps or overlap")
    return tensors


def format_tensors(tensors: Tensors, texts: Mapping[str, str]) -> bytes:
    """Return the bytes of a file with ``tensors`` and the metadata ``texts``; equal input gives equal bytes."""
    order = list(_DTYPES)
    kinds = {name: _NAMES[array.dtype] for name, array in tensors.items()}
    header: dict[str, Any] = {_METADATA: dict(texts)}
    parts, end = [], 0
    for name in sorted(tensors, key=lambda name: (order.index(kinds[name]), name)):
        begin, end = end, end + tensors[name].nbytes
        header[name] = {"dtype": kinds[name], "shape": list(tensors[name].shape), "data_offsets": [begin, end]}
        parts.append(tensors[name].tobytes())
    head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    head += b" " * (-len(head) % _ALIGNMENT)
    return b"".join([len(head).to_bytes(8, "little"), head, *parts])


def _find_start(content: Content) -> int:
    """Return the offset of the first tensor."""
    size = int.from_bytes(content[:8], "little")
    if size > len(content) - 8:
        raise ValueError("the file is cut short")
    return 8 + size


def _read_entry(name: str, entry: Any) -> tuple[np.dtype[Any], tuple[int, ...], tuple[int, int]]:
    """Return dtype, shape and byte range of a tensor; the range counts from the end of the header."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the entry of tensor '{name}' is not dtype, shape and data_offsets")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in _DTYPES:
        raise ValueError(f"tensor '{name}' has an unknown dtype")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"the shape or the offsets of tensor '{name}' are invalid")
    return np.dtype(_DTYPES[entry["dtype"]]), tuple(shape), (offsets[0], offsets[1])


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)
