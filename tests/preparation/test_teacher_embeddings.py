"""Sentence embeddings of a teacher, read from a NumPy array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textrnn.errors import DataError
from textrnn.preparation.teacher_embeddings import TeacherEmbeddings


def save(path: Path, values: Any) -> str:
    np.save(path, values)
    return str(path)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_rows_have_norm_1(tmp_path: Path, dtype: str) -> None:
    teacher = TeacherEmbeddings.open(save(tmp_path / "e.npy", np.array([[3, 4], [0, 0], [0, -2]], dtype)))
    teacher.check_count("raw.txt", lines=3)
    teacher.check_values("raw.txt", rows=np.array([0, 2]))
    assert teacher.width == 2
    np.testing.assert_allclose(teacher.select(np.array([2, 0])), [[0, -1], [0.6, 0.8]], atol=1e-3)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.ones(3, np.float32), r"has shape \(3,\); it needs a row for each line"),
        (np.ones((3, 0), np.float32), r"has shape \(3, 0\)"),
        (np.ones((3, 2), np.int64), "holds int64; convert it to float16 or float32"),
    ],
)
def test_arrays_of_another_shape_or_type_are_refused(tmp_path: Path, values: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        TeacherEmbeddings.open(save(tmp_path / "e.npy", values))


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "e.npy"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a NumPy array"):
        TeacherEmbeddings.open(str(path))


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a NumPy array"):
        TeacherEmbeddings.open(save(tmp_path / "e.npy", np.array([{}], object)))


def test_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.npz"
    np.savez(path, a=np.ones((2, 2), np.float32))
    with pytest.raises(DataError, match="an archive of arrays"):
        TeacherEmbeddings.open(str(path))


def test_another_number_of_rows_is_refused(tmp_path: Path) -> None:
    teacher = TeacherEmbeddings.open(save(tmp_path / "e.npy", np.ones((3, 2), np.float32)))
    with pytest.raises(DataError, match=r"has 3 rows, but raw\.txt has 4 lines"):
        teacher.check_count("raw.txt", lines=4)


@pytest.mark.parametrize(("value", "fault"), [(0.0, "all zeros"), (np.nan, "not finite"), (np.inf, "not finite")])
def test_rows_without_a_direction_are_refused(tmp_path: Path, value: float, fault: str) -> None:
    values = np.ones((4, 2), np.float32)
    values[2] = value
    teacher = TeacherEmbeddings.open(save(tmp_path / "e.npy", values))
    teacher.check_values("raw.txt", rows=np.array([0, 1, 3]))
    with pytest.raises(DataError, match=f"row 3 is {fault}; embed line 3"):
        teacher.check_values("raw.txt", rows=np.arange(4))
