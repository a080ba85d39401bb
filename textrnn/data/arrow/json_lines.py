"""Rows of Arrow as lines of JSON, with the objects that a parser would make of them."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from json.encoder import encode_basestring
from typing import Any

from textrnn.errors import DataError, shorten

_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None)
_BOOLEANS = {True: "true", False: "false", None: "null"}
_NOT_FINITE = {None, "nan", "inf", "-inf"}

Column = tuple[Sequence[Any], Sequence[str]]
"""The values of a column, with numbers as text, and the values in JSON."""


class ParsedLines(list[bytes]):
    """Lines with the ``records`` that they hold."""

    records: list[dict[str, Any]]


class JsonLines(bytes):
    """Lines of JSON, the last one without its end, with the ``records`` that they hold."""

    records: list[dict[str, Any]]


def split_lines(chunk: bytes) -> list[bytes]:
    """Return the lines of ``chunk``, as :class:`ParsedLines` if their records are known."""
    if not isinstance(chunk, JsonLines):
        return chunk.split(b"\n")
    lines = ParsedLines(chunk.split(b"\n"))
    lines.records = chunk.records
    return lines


def format_batch(batch: Any, texts: Collection[str] = (), *, path: str, row: int) -> bytes:
    """Return the rows of a pyarrow.RecordBatch with at least one row and column as :class:`JsonLines`.

    Strings with bytes that are not UTF-8 are returned as they are, in plain lines. So are binary values in the columns
    ``texts``; in other columns they are written in Base64. ``row`` is the number of the first row in ``path``.

    Raises:
        DataError: a value cannot be converted.
    """
    names, columns = batch.schema.names, []
    for name, column in zip(names, batch.columns, strict=True):
        with _explain(name, column, path=path, row=row):
            columns.append(_convert(column, is_text=name in texts))
    template = ", ".join(f"{encode_basestring(name).replace('%', '%%')}: %s" for name in names)
    text = "\n".join(map(f"{{{template}}}".__mod__, zip(*(tokens for _, tokens in columns), strict=True)))
    try:
        lines = JsonLines(text.encode())
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape") + b"\n"
    rows = zip(*(values for values, _ in columns), strict=True)
    lines.records = [dict(zip(keys, row, strict=True)) for keys, row in zip(repeat(names), rows, strict=False)]
    return lines


@contextmanager
def _explain(name: str, column: Any, *, path: str, row: int) -> Iterator[None]:
    """Turn an error about a value of ``column``, whose first row is ``row`` of ``path``, into a DataError."""
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    faults = (pa.ArrowException, ValueError, OverflowError)
    try:
        yield
    except faults as error:
        reason = str(error)
        for at in range(len(column)):
            try:
                _convert(column.slice(at, 1), is_text=False)
            except faults as fault:
                reason, row = str(fault), row + at
                break
        reason = reason.partition("\n")[0].rstrip(".")
        where = f"column '{shorten(name)}' ({shorten(str(column.type))}) cannot be read as text"
        raise DataError(path, row, f"{where} ({reason}); write it with another type", in_rows=True) from None


def _convert(column: Any, *, is_text: bool) -> Column:
    import pyarrow as pa  # noqa: PLC0415 - only these files need it
    from pyarrow import compute  # noqa: PLC0415

    while True:
        kind = column.type
        if isinstance(kind, pa.BaseExtensionType):
            column = column.storage
        elif pa.types.is_dictionary(kind):
            column = column.dictionary_decode()
        elif pa.types.is_run_end_encoded(kind):
            column = compute.run_end_decode(column)
        else:
            break
    is_binary = any(is_kind(kind) for is_kind in _list_binary_kinds(pa.types))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view():
        return _quote(_read_strings(column))
    if is_binary:
        return _quote([_decode(value, is_text=is_text) for value in column.to_pylist()])
    if pa.types.is_temporal(kind) and not (pa.types.is_duration(kind) or pa.types.is_interval(kind)):
        return _quote(column.cast(pa.string()).to_pylist())
    if pa.types.is_boolean(kind):
        values = column.to_pylist()
        return values, list(map(_BOOLEANS.__getitem__, values))
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        values = column.cast(pa.string()).to_pylist()
        return values, [value or "null" for value in values]
    if pa.types.is_floating(kind):
        texts = (column.cast(pa.float32()) if pa.types.is_float16(kind) else column).cast(pa.string()).to_pylist()
        values = [None if text in _NOT_FINITE else text if {*".e"} & {*text} else f"{text}.0" for text in texts]
        return values, [value or "null" for value in values]
    target = _make_plain(kind)
    # safe=False: durations lose their nanoseconds
    plain = column if target == kind else column.cast(target, safe=False)
    tokens = list(map(_dump, plain.to_pylist()))
    return [_DECODER.decode(token) for token in tokens], tokens


def _make_plain(kind: Any) -> Any:
    """Return the type to cast ``kind`` to: date and time within lists and structs to strings, durations to us."""
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    types = pa.types
    if types.is_duration(kind):
        return pa.duration("us") if kind.unit == "ns" else kind  # Python has no nanoseconds
    if types.is_temporal(kind) and not types.is_interval(kind):
        return pa.string()
    if types.is_map(kind):
        return pa.map_(_make_plain(kind.key_type), _make_plain(kind.item_type))
    if types.is_struct(kind):
        return pa.struct([kind.field(at).with_type(_make_plain(kind.field(at).type)) for at in range(kind.num_fields)])
    if types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(_make_plain(kind.value_type)), kind.list_size)
    if types.is_list(kind) or types.is_large_list(kind):
        make = pa.list_ if types.is_list(kind) else pa.large_list
        return make(kind.value_field.with_type(_make_plain(kind.value_type)))
    return kind


def _dump(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=_plain, allow_nan=False)
    except ValueError:  # NaN or an infinity, which JSON lacks
        return json.dumps(_remove_nan(value), ensure_ascii=False, default=_plain)


def _remove_nan(value: Any) -> Any:
    """Return ``value`` with None instead of numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _remove_nan(each) for name, each in value.items()}
    return list(map(_remove_nan, value)) if isinstance(value, (list, tuple)) else value


def _list_binary_kinds(types: Any) -> list[Any]:
    names = ("is_binary", "is_large_binary", "is_fixed_size_binary", "is_binary_view")
    return [getattr(types, name) for name in names if hasattr(types, name)]


def _read_strings(column: Any) -> list[str | None]:
    import pyarrow as pa  # noqa: PLC0415 - only these files need it

    try:
        return column.to_pylist()  # type: ignore[no-any-return]
    except (UnicodeDecodeError, pa.ArrowException):  # Parquet is not checked when it is read
        return [_decode(value, is_text=True) for value in column.cast(pa.large_binary()).to_pylist()]


def _decode(value: bytes | None, *, is_text: bool) -> str | None:
    if value is None:
        return None
    try:
        return value.decode("utf-8", "surrogateescape" if is_text else "strict")
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _quote(values: Sequence[str | None]) -> Column:
    return values, ["null" if value is None else encode_basestring(value) for value in values]


def _plain(value: Any) -> Any:
    """Return ``value``, of a type that JSON lacks, as text."""
    return _decode(value, is_text=False) if isinstance(value, bytes) else str(value)
