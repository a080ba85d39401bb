"""Tables of pyarrow in files of every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import feather, parquet

FORMATS = ("a.parquet", "a.feather", "a.arrow", "stream.arrow")


def write_table(path: Path, table: Any) -> Path:
    """Write ``table`` in the format of the extension; a name with ``stream`` gets an Arrow stream."""
    if path.suffix == ".feather":
        feather.write_feather(table, str(path))
    elif path.suffix == ".arrow":
        make = pa.ipc.new_stream if path.name.startswith("stream") else pa.ipc.new_file
        with make(str(path), table.schema) as writer:
            writer.write_table(table)
    else:
        parquet.write_table(table, path)
    return path


def read_table(path: Path) -> Any:
    """Return the table in a file that textrnn has written."""
    return parquet.read_table(path) if path.suffix == ".parquet" else feather.read_table(path)
