"""Copies of rows with more columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from arrow_tables import FORMATS, read_table, write_table
from textrnn.data.arrow.arrow_writer import open_arrow
from textrnn.errors import DataError

N = 3000
TABLE = pa.table(
    {
        "n": pa.array(range(N)),
        "view": pa.array([f"text {n} that is long enough" for n in range(N)], pa.string_view()),
        "kind": pa.array([str(n % 7) for n in range(N)]).dictionary_encode(),
        "list": pa.array([[n, n] for n in range(N)]),
        "views": pa.array([[str(n)] for n in range(N)], pa.list_(pa.string_view())),
    }
).replace_schema_metadata({"origin": "test"})


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("target", ["out.parquet", "out.arrow", "out.feather"])
def test_rows_keep_their_columns_types_and_metadata(name: str, target: str, tmp_path: Path) -> None:
    source = write_table(tmp_path / name, TABLE)
    rows = np.flatnonzero(np.arange(N) % 3 != 1)
    types = {"label": pa.string(), "vector": pa.list_(pa.float32(), 2)}
    with open_arrow(tmp_path / target, types=types, sources=[str(source)]) as write:
        for part in np.array_split(rows, 7):
            values = np.stack([part, part], axis=1)
            write(part, {"label": [f"label {row}" for row in part], "vector": values})
    written = read_table(tmp_path / target)
    expected = [TABLE.slice(int(row), 1).to_pylist()[0] for row in rows]
    assert written.select(TABLE.column_names).to_pylist() == expected
    assert written["label"].to_pylist() == [f"label {row}" for row in rows]
    assert written.schema.field("vector").type == pa.list_(pa.float32(), 2)
    assert written["vector"].to_pylist()[-1] == [rows[-1], rows[-1]]
    assert written.schema.metadata[b"origin"] == b"test"
    is_parquet = target.endswith("parquet")
    assert pa.types.is_dictionary(written.schema.field("kind").type) == is_parquet


def write_all(path: Path, sources: list[str], count: int, **options: Any) -> None:
    with open_arrow(path, types={"p": pa.float32()}, sources=sources, **options) as write:
        if count:
            write(np.arange(count), {"p": [0.5] * count})


def test_rows_of_several_files_follow_each_other(tmp_path: Path) -> None:
    paths = [
        str(write_table(tmp_path / f"{n}.parquet", pa.table({"n": pa.array([n], kind)})))
        for n, kind in ((1, pa.int64()), (2, pa.int32()))
    ]
    write_all(tmp_path / "out.parquet", paths, 2, all_rows=True)
    assert read_table(tmp_path / "out.parquet")["n"].to_pylist() == [1, 2]
    other = str(write_table(tmp_path / "3.parquet", pa.table({"m": [1]})))
    with pytest.raises(DataError, match=r"3.parquet: has other columns than .*1.parquet"):
        write_all(tmp_path / "x.parquet", [*paths, other], 3)
    text = str(write_table(tmp_path / "4.parquet", pa.table({"n": ["one"]})))
    with pytest.raises(DataError, match=r"4.parquet: has other types than the first file"):
        write_all(tmp_path / "x.parquet", [*paths, text], 3)
    assert not list(tmp_path.glob("*x.parquet*"))


@pytest.mark.parametrize(
    "kind",
    [
        pa.struct([]),
        pa.list_(pa.struct([])),
        pa.run_end_encoded(pa.int32(), pa.string()),
        pa.sparse_union([pa.field("a", pa.int32())]),
        pa.month_day_nano_interval(),
    ],
)
def test_types_that_parquet_lacks_are_refused_at_once(kind: Any, tmp_path: Path) -> None:
    schema = pa.schema({"text": pa.string(), "meta": kind})
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), schema):
        pass
    with pytest.raises(
        DataError, match=r"a.arrow: column 'meta' has a type that Parquet cannot store .*; write .arrow"
    ):
        write_all(tmp_path / "x.parquet", [str(tmp_path / "a.arrow")], 0)
    write_all(tmp_path / "x.arrow", [str(tmp_path / "a.arrow")], 0)
    assert read_table(tmp_path / "x.arrow").schema.field("meta").type == kind


def test_repeated_names_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["n", "n"])
    source = str(write_table(tmp_path / "a.arrow", table))
    for name in ("x.parquet", "x.arrow"):
        with pytest.raises(DataError, match=r"a.arrow: several columns are named 'n'; rename one"):
            write_all(tmp_path / name, [source], 1)


def test_parts_may_order_their_columns_and_are_named_if_they_differ(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for name, columns in (("1", {"n": [1], "m": [0]}), ("2", {"m": [0], "n": [2]})):
        write_table(folder / f"{name}.parquet", pa.table(columns))
    write_all(tmp_path / "x.parquet", [str(folder)], 2)
    assert read_table(tmp_path / "x.parquet")["n"].to_pylist() == [1, 2]
    write_table(folder / "3.parquet", pa.table({"n": [3], "m": [0], "k": [0]}))
    with pytest.raises(DataError, match=r"3.parquet: has other columns than .*1.parquet"):
        write_all(tmp_path / "x.parquet", [str(folder)], 3)


def test_missing_and_extra_rows_are_errors_and_leave_no_file(tmp_path: Path) -> None:
    source = str(write_table(tmp_path / "a.parquet", pa.table({"n": [1, 2]})))
    with pytest.raises(DataError, match="would have 1 row instead of 2: the input changed"):
        write_all(tmp_path / "x.parquet", [source], 1, all_rows=True)
    with pytest.raises(DataError, match="changed while it was read"):
        write_all(tmp_path / "x.parquet", [source], 3)
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_no_rows_give_a_file_with_all_columns(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.arrow"):
        source = str(write_table(tmp_path / name, pa.table({"n": pa.array([], pa.int64())})))
        write_all(tmp_path / f"out-{name}", [source], 0, all_rows=True)
        assert read_table(tmp_path / f"out-{name}").schema.names == ["n", "p"]


def test_lists_keep_their_type_without_values(tmp_path: Path) -> None:
    with open_arrow(
        tmp_path / "a.parquet", types={"label": pa.list_(pa.string()), "probability": pa.list_(pa.float32())}
    ) as write:
        write(None, {"label": [[]], "probability": [[]]})
    schema = read_table(tmp_path / "a.parquet").schema
    assert [field.type for field in schema] == [pa.list_(pa.string()), pa.list_(pa.float32())]
