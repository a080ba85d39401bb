"""Output of prediction: records with their labels, or only the records that have a label."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple, Protocol

from textrnn.data.io import decode
from textrnn.errors import ConfigError
from textrnn.inference import OutputFormat
from textrnn.inference.engine import Engine, Prediction
from textrnn.inference.explain import explain
from textrnn.pipeline.ordered_pool import run_in_order
from textrnn.pipeline.records import NAMES, Record, RecordReader

SEPARATOR = "|"  # between labels, if the training set used none


class OutputChunk(NamedTuple):
    """Output of a chunk: ``data`` in complete lines, the number of ``records`` without headers, and those ``kept``."""

    data: bytes
    records: int
    kept: int


class Worker(Protocol):
    """Turns a chunk of records into output; threads call it concurrently."""

    def __call__(self, records: Sequence[Record], threads: int) -> OutputChunk:
        """Return the output of ``records``, computed with ``threads`` threads."""


def process(
    reader: RecordReader, paths: Iterable[str], worker: Worker, *, jobs: int
) -> Generator[OutputChunk, None, None]:
    """Yield the output of ``worker`` for all records of ``paths``, in order, as soon as they arrive.

    Memory does not grow with the input. ``jobs`` chunks are computed at once.

    Raises:
        DataError: a fault in a file, after the output of all earlier records.
    """
    return run_in_order(lambda emit: reader.read(paths, emit), worker, size=attrgetter("size"), jobs=jobs)


@dataclass(frozen=True)
class Labeler:
    """Writes the predicted labels of records; ``top_k`` and ``threshold`` are those of :meth:`Engine.predict`.

    A line of text gives a line in the format ``output``; ``with_text`` appends the text. A record of a table keeps its
    format and gets the label in front, and unless ``output="label"`` the probability, as columns or keys. Labels of
    a single-label model with a probability below ``min_prob`` are replaced by ``unknown_label``. ``explain`` adds the
    effect of each part of the text to JSON (:mod:`textrnn.inference.explain`).

    Raises:
        ConfigError: ``explain`` is set, and the output is not JSON.
    """

    engine: Engine
    top_k: int | None = None
    threshold: float | None = None
    output: OutputFormat = "tsv"
    with_text: bool = False
    min_prob: float = 0.0
    unknown_label: str = "unknown"
    explain: bool = False

    def __call__(self, records: Sequence[Record], threads: int) -> OutputChunk:
        """Return a line for each of ``records``."""
        if self.explain and (table := next((r.format for r in records if r.format in {"tsv", "csv"}), None)):
            raise ConfigError(f"--explain: writes JSON, but the input is {table.upper()}; leave it out")
        results = _predict(self.engine, records, top_k=self.top_k, threshold=self.threshold, threads=threads)
        lines = [
            self._format_header(record) if predictions is None else self._format(record, predictions, threads)
            for record, predictions in zip(records, results, strict=True)
        ]
        count = sum(record.text is not None for record in records)
        return OutputChunk(b"".join(lines), count, count)

    def _format(self, record: Record, predictions: list[Prediction], threads: int) -> bytes:
        """Return the output line of ``record``, with its end."""
        shown = predictions
        if shown and shown[0].probability < self.min_prob:
            shown = [replace(shown[0], label=self.unknown_label), *shown[1:]]
        if record.format == "jsonl" or (record.format == "line" and self.output == "jsonl"):
            row = self._make_row(shown, record.prefix)
            if self.explain:
                row |= self._explain(record, predictions, threads)
            if record.format == "jsonl":
                return _prepend_keys(row, record)
            if self.with_text:
                row["text"] = record.text
            return json.dumps(row, ensure_ascii=False).encode() + b"\n"
        fields = [field for pair in self._make_pairs(shown) for field in pair]
        if record.format == "csv":
            quoted = [_quote(field, record.delimiter) for field in fields]
            return (record.delimiter.join([*quoted, ""])).encode() + record.raw + b"\n"
        line = "\t".join(fields).encode()
        return line + b"\t" + record.raw + b"\n" if self.with_text or record.format == "tsv" else line + b"\n"

    def _explain(self, record: Record, predictions: list[Prediction], threads: int) -> dict[str, object]:
        assert record.text is not None  # headers have no predictions
        labels = [p.label for p in predictions] if self._is_multi_label else predictions[0].label
        parts = explain(self.engine, record.text, labels, threads=threads).to_dict()
        return {record.prefix + name: value for name, value in parts.items()}

    def _format_header(self, record: Record) -> bytes:
        names = [record.prefix + name for name in NAMES[: 1 if self.output == "label" else 2]]
        count = 1 if self._is_multi_label else min(self.top_k or 1, len(self.engine.labels))
        columns = [name if rank == 1 else f"{name}_{rank}" for rank in range(1, count + 1) for name in names]
        delimiter = record.delimiter.encode()
        return delimiter.join([*map(str.encode, columns), record.raw]) + b"\n"

    @property
    def _is_multi_label(self) -> bool:
        return self.engine.thresholds is not None

    def _make_pairs(self, predictions: list[Prediction]) -> list[tuple[str, ...]]:
        """Return the printed labels and probabilities; a multi-label prediction is one pair."""
        pairs = [(p.label, f"{p.probability:.6f}") for p in predictions]
        if self._is_multi_label:
            separator = self.engine.separator or SEPARATOR
            pairs = [(separator.join(label for label, _ in pairs), separator.join(number for _, number in pairs))]
        return [pair[:1] for pair in pairs] if self.output == "label" else list(pairs)

    def _make_row(self, predictions: list[Prediction], prefix: str) -> dict[str, object]:
        """Return the prediction as a JSON object; keys begin with ``prefix``."""
        label, probability, top, *_ = (prefix + name for name in NAMES)
        pairs = [{"label": p.label, "probability": round(p.probability, 6)} for p in predictions]
        row: dict[str, object] = (
            {name: [pair[key] for pair in pairs] for name, key in ((label, "label"), (probability, "probability"))}
            if self._is_multi_label
            else {label: pairs[0]["label"], probability: pairs[0]["probability"]}
        )
        if self.output == "label":
            del row[probability]
        elif not self._is_multi_label and (self.top_k or 1) > 1:
            row[top] = pairs
        return row


@dataclass(frozen=True)
class LabelFilter:
    """Keeps the records, unchanged, whose prediction contains one of ``labels`` with at least ``min_prob``.

    ``invert`` keeps the others. Headers are always kept and never counted. ``threshold`` is that of
    :meth:`Engine.predict`.
    """

    engine: Engine
    labels: frozenset[str]
    min_prob: float = 0.0
    threshold: float | None = None
    invert: bool = False

    def __call__(self, records: Sequence[Record], threads: int) -> OutputChunk:
        """Return the kept ``records``."""
        results = _predict(self.engine, records, top_k=None, threshold=self.threshold, threads=threads)
        kept = [
            record
            for record, predictions in zip(records, results, strict=True)
            if predictions is None or self._matches(predictions) != self.invert
        ]
        headers = sum(record.text is None for record in records)
        data = b"".join(record.raw + b"\n" for record in kept)
        return OutputChunk(data, len(records) - headers, len(kept) - headers)

    def _matches(self, predictions: list[Prediction]) -> bool:
        return any(p.label in self.labels and p.probability >= self.min_prob for p in predictions)


def _predict(
    engine: Engine, records: Sequence[Record], *, top_k: int | None, threshold: float | None, threads: int
) -> Iterator[list[Prediction] | None]:
    """Yield the predictions of each record, None for a header."""
    texts = [record.text for record in records if record.text is not None]
    results = iter(engine.predict(texts, top_k=top_k, threshold=threshold, threads=threads) if texts else ())
    return (None if record.text is None else next(results) for record in records)


def _prepend_keys(row: dict[str, object], record: Record) -> bytes:
    """Return a JSON object with the keys of ``row`` in front; the rest is unchanged.

    A record that is no JSON object becomes the value of the key ``record``.
    """
    keys = json.dumps(row, ensure_ascii=False)[1:-1].encode()
    before, brace, rest = record.raw.partition(b"{")
    if not record.is_valid and not _is_object(record.raw):
        name = json.dumps(record.prefix + NAMES[-1]).encode()
        return b"{" + keys + b", " + name + b": " + json.dumps(decode(record.raw)).encode() + b"}\n"
    comma = b"" if rest.lstrip().startswith(b"}") else b", "
    return before + brace + keys + comma + rest + b"\n"


def _is_object(raw: bytes) -> bool:
    try:
        return isinstance(json.loads(raw), dict)
    except (ValueError, RecursionError):
        return False


def _quote(field: str, delimiter: str) -> str:
    """Return ``field``, which contains no newline, as a CSV field."""
    return '"' + field.replace('"', '""') + '"' if '"' in field or delimiter in field else field
