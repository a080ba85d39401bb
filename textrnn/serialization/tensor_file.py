"""The safetensors format, read as views of the file's memory and written: tensors by name, and text beside them.

The package ``safetensors`` reads what this writes, and the other way round. It copies each tensor, so that every
process has its own; here they are pages of the file, which nobody waits for, and which processes share as far as they
make no copies of them.
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
"""The upper half of a float32. numpy has no such type, so it is one that nothing computes with by mistake."""

_DTYPES: dict[str, Any] = {
    **{"U64": "<u8", "I64": "<i8", "F64": "<f8", "F32": "<f4", "U32": "<u4", "I32": "<i4", "BF16": BFLOAT16},
    **{"F16": "<f2", "U16": "<u2", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"},
}  # in the order of a file's tensors: the wide ones first, so that all are aligned
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
_METADATA = "__metadata__"
_ALIGNMENT = 8  # of the tensors in the file


def map_file(path: Path) -> Content:
    """Return the content of ``path`` as memory that is read when it is looked at, and never written to.

    It is the file that is there now: whoever renames another to its name, as all of textrnn's writing does, leaves this
    one as it is. A file that is changed or cut short in its place changes under its readers. Windows does not let a
    file go that is mapped: it can be replaced when no tensor of it is left.

    Raises:
        OSError: it cannot be opened or mapped.
    """
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return b""  # which cannot be mapped
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def read_header(content: Content) -> dict[str, Any]:
    """Return the header of ``content``, in which nothing is checked yet.

    Raises:
        ValueError, RecursionError: there is none.
    """
    start = _find_start(content)
    header = json.loads(content[8:start])
    if not isinstance(header, dict):
        raise ValueError("the header is no object")
    return header


def read_text(header: Mapping[str, Any], key: str) -> str:
    """Return the text ``key`` that stands in ``header`` beside the tensors.

    Raises:
        ValueError: there is none.
    """
    texts = header.get(_METADATA)
    if not isinstance(texts, dict) or not isinstance(texts.get(key), str):
        raise ValueError(f"there is no text '{key}'")
    return str(texts[key])


def read_tensors(content: Content, header: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of ``content`` by name: read-only views of its memory, C-contiguous and aligned.

    One that another program laid at an odd place is a copy. Tensors follow one another from the header to the end, as
    the format wants it: none shares bytes with another, and no byte is in none.

    Raises:
        ValueError: that is not so, or a tensor's dtype, shape and place do not fit.
    """
    start = _find_start(content)
    tensors, places = {}, [(0, 0)]
    for name, entry in header.items():
        if name == _METADATA:
            continue
        dtype, shape, (begin, end) = _read_entry(name, entry)
        if prod(shape) * dtype.itemsize != end - begin or start + end > len(content):
            raise ValueError(f"tensor '{name}' does not fit into its place, or the file is cut short")
        view: npt.NDArray[Any] = np.ndarray(shape, dtype, buffer=content, offset=start + begin)
        tensors[name] = np.require(view, requirements="A")
        tensors[name].flags.writeable = False
        places.append((begin, end))
    places = [*sorted(places), (len(content) - start,) * 2]
    if any(before != begin for (_, before), (begin, _) in pairwise(places)):
        raise ValueError("its tensors do not follow one another")
    return tensors


def format_tensors(tensors: Tensors, texts: Mapping[str, str]) -> bytes:
    """Return the bytes of a file with ``tensors`` and, beside them, ``texts``; the same ones give the same bytes."""
    group = list(_DTYPES)
    kinds = {name: _NAMES[array.dtype] for name, array in tensors.items()}
    header: dict[str, Any] = {_METADATA: dict(texts)}
    parts, end = [], 0
    for name in sorted(tensors, key=lambda name: (group.index(kinds[name]), name)):
        begin, end = end, end + tensors[name].nbytes
        header[name] = {"dtype": kinds[name], "shape": list(tensors[name].shape), "data_offsets": [begin, end]}
        parts.append(tensors[name].tobytes())
    head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    head += b" " * (-len(head) % _ALIGNMENT)
    return b"".join([len(head).to_bytes(8, "little"), head, *parts])


def _find_start(content: Content) -> int:
    """Return where the tensors begin."""
    size = int.from_bytes(content[:8], "little")
    if size > len(content) - 8:
        raise ValueError("it is cut short")
    return 8 + size


def _read_entry(name: str, entry: Any) -> tuple[np.dtype[Any], tuple[int, ...], tuple[int, int]]:
    """Return dtype, shape and place of a tensor, the latter counted from the end of the header."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"what is said of tensor '{name}' is not its dtype, shape and place")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in _DTYPES:
        raise ValueError(f"tensor '{name}' is of a dtype that is not known")
    shape, place = entry["shape"], entry["data_offsets"]
    if not _are_sizes(shape) or not _are_sizes(place) or len(place) != 2:
        raise ValueError(f"shape or place of tensor '{name}' are none")
    return np.dtype(_DTYPES[entry["dtype"]]), tuple(shape), (place[0], place[1])


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)
