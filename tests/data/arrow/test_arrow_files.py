"""Parquet and Arrow files, streams, and folders of them."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from arrow_tables import FORMATS, write_table
from textrnn.data.arrow.arrow_files import ArrowSource, choose_columns, find_parts, find_row_suffix
from textrnn.errors import DataError

TABLE = pa.table({"text": ["a", "b", "c"], "n": [1, 2, 3]})


def read(path: Path, names: list[str] | None = None) -> list[dict[str, object]]:
    return [row for batch in ArrowSource(str(path)).read(names) for row in batch.to_pylist()]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_by_its_content(name: str, tmp_path: Path) -> None:
    path = write_table(tmp_path / name, TABLE)
    assert read(path) == TABLE.to_pylist()
    assert read(path, ["n"]) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert read(path, ["n", "text"])[0] == {"n": 1, "text": "a"}
    bare = path.rename(tmp_path / "bare")
    assert read(bare) == TABLE.to_pylist()
    assert find_row_suffix(str(bare)) == (".parquet" if name.endswith("parquet") else ".arrow")


@pytest.mark.parametrize("name", FORMATS)
def test_large_rows_come_in_small_batches_and_positions_end_at_the_size(name: str, tmp_path: Path) -> None:
    table = pa.table({"text": [f"{n} " * 50_000 for n in range(50)], "n": list(range(50))})
    path = write_table(tmp_path / name, table)
    source = ArrowSource(str(path))
    batches = [(batch.num_rows, batch.nbytes, source.position) for batch in source.read()]
    assert sum(rows for rows, _, _ in batches) == 50
    assert max(size for _, size, _ in batches) < 4 << 20
    assert [position for _, _, position in batches] == sorted(position for _, _, position in batches)
    assert source.position == path.stat().st_size


def test_a_folder_is_its_parts(tmp_path: Path) -> None:
    for name in ("part-1.parquet", "part-0.parquet", ".part-0.parquet.crc", "_SUCCESS"):
        write_table(tmp_path / name, TABLE)
    assert [Path(part).name for part in find_parts(str(tmp_path))] == ["part-0.parquet", "part-1.parquet"]
    assert len(read(tmp_path)) == 6
    write_table(tmp_path / "part-2.parquet", TABLE.select(["n"]))
    with pytest.raises(DataError, match=r"part-2.parquet: has no column 'text', unlike .*part-0.parquet"):
        read(tmp_path, ["text"])
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"several formats \(.parquet and .txt\); name the files"):
        find_parts(str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"is a folder without files in .parquet"):
        find_parts(str(tmp_path / "empty"))


def test_a_folder_has_the_parts_in_its_folders(tmp_path: Path) -> None:
    for name in ("b.parquet", "a/1.parquet", "a/2/x.parquet", "_temporary/c.parquet", ".git/d.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_table(tmp_path / name, TABLE)
    names = [Path(part).relative_to(tmp_path).as_posix() for part in find_parts(str(tmp_path))]
    assert names == ["a/1.parquet", "a/2/x.parquet", "b.parquet"]
    (tmp_path / "bare").touch()
    with pytest.raises(DataError, match=r"several formats \('bare' and .parquet\)"):
        find_parts(str(tmp_path))
    (tmp_path / "bare").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "a", target_is_directory=True)
    with pytest.raises(DataError, match=r"link: is a link to a folder inside a folder; name the folders"):
        find_parts(str(tmp_path))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="lists open files as Linux does")
@pytest.mark.parametrize("name", FORMATS)
def test_files_are_closed(name: str, tmp_path: Path) -> None:
    path = write_table(tmp_path / name, TABLE)
    with ArrowSource(str(path)) as source:
        assert next(source.read()).num_rows == 3
    links = [file.readlink() for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    assert path not in links
    assert str(path) not in Path("/proc/self/maps").read_text()


def test_damage_is_reported_in_a_line(tmp_path: Path) -> None:
    whole = write_table(tmp_path / "a.parquet", TABLE).read_bytes()
    for content, message in (
        (whole[:100], "is damaged or cut"),
        (whole[:4] + bytes(60) + whole[64:], "is damaged or cut"),
        (b"PARE" + whole[4:-4] + b"PARE", "is encrypted; decrypt it first"),
        (b"text\n", "is neither a Parquet nor an Arrow file, or is damaged"),
    ):
        (tmp_path / "b.parquet").write_bytes(content)
        with pytest.raises(DataError, match=message) as fault:
            read(tmp_path / "b.parquet")
        assert "\n" not in str(fault.value)
    stream = write_table(tmp_path / "stream.arrow", TABLE).read_bytes()
    (tmp_path / "c.arrow").write_bytes(stream[: len(stream) * 2 // 3])
    with pytest.raises(DataError, match="is damaged or cut"):
        read(tmp_path / "c.arrow")


def test_a_parquet_file_with_another_name_may_be_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"PAR1S is a name\n")
    assert find_row_suffix(str(tmp_path / "a.txt")) is None


class Pipe(io.BytesIO):
    """A file that can be read only once."""

    def seekable(self) -> bool:
        return False


def open_pipe(path: Path) -> io.BufferedReader:
    return io.BufferedReader(Pipe(path.read_bytes()))


def test_a_pipe_gives_streams_but_no_parquet(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="standard input: Parquet files cannot be read from a pipe; name the file"):
        ArrowSource("-", raw=open_pipe(write_table(tmp_path / "a.parquet", TABLE)))
    stream = write_table(tmp_path / "stream.arrow", TABLE)
    for names in (None, ["n"]):
        rows = [row for batch in ArrowSource("-", raw=open_pipe(stream)).read(names) for row in batch.to_pylist()]
        assert rows == TABLE.select(names or TABLE.column_names).to_pylist()


def test_columns_are_found_by_name_case_and_path() -> None:
    schema = pa.schema([("Text", pa.string()), ("a.b", pa.string()), ("meta", pa.struct([("t", pa.string())]))])
    assert choose_columns(schema, ["text", "a.b", "meta.t"], path="x", cure="") == ["Text", "a.b", "meta"]
    with pytest.raises(DataError, match=r"x: no column 'body'; the columns are Text, a.b, meta; cure"):
        choose_columns(schema, ["body"], path="x", cure="cure")
    double = pa.schema([("a", pa.string()), ("a", pa.string())])
    with pytest.raises(DataError, match="several columns are named 'a'"):
        choose_columns(double, ["a"], path="x", cure="")


def test_a_huge_row_group_is_read_in_parts(tmp_path: Path) -> None:
    rows = 20_000
    table = pa.table({"text": [f"{n} {'x' * 200}" for n in range(rows)], "wide": [b"\0" * 100] * rows})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=rows)
    first = next(iter(ArrowSource(str(tmp_path / "a.parquet")).read(["text"])))
    assert (first.num_rows, first.schema.names) == (1024, ["text"])
