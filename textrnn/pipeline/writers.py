"""From records to what is printed of them: with their labels, or those alone that have a label."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple, Protocol

from textrnn.errors import ConfigError
from textrnn.inference import OutputFormat
from textrnn.inference.engine import Engine, Prediction
from textrnn.inference.explain import explain
from textrnn.pipeline.ordered_pool import run_in_order
from textrnn.pipeline.records import NAMES, Record, RecordReader

SEPARATOR = "|"  # between labels, where the training text had none of its own


class Output(NamedTuple):
    """What a chunk of records gives: ``data`` is whole lines; of ``records`` (without headers) ``kept`` are in it."""

    data: bytes
    records: int
    kept: int


class Worker(Protocol):
    """What turns a chunk of records into output; called by several threads at once."""

    def __call__(self, records: Sequence[Record], threads: int) -> Output:
        """Return the output of ``records``, computed with ``threads`` threads."""


def process(reader: RecordReader, paths: Iterable[str], worker: Worker, *, jobs: int) -> Generator[Output, None, None]:
    """Yield the output of ``worker`` for all records of ``paths``, in their order, as they come.

    Memory does not grow with the input. ``jobs`` is how many chunks are computed at once.

    Raises:
        DataError: a fault in a file, after the output of what stands before it.
    """
    return run_in_order(lambda emit: reader.read(paths, emit), worker, size=attrgetter("size"), jobs=jobs)


@dataclass(frozen=True)
class Labeller:
    """Puts labels to records; ``top_k`` and ``threshold`` are those of :meth:`Engine.predict`.

    Lines become what ``output`` says, with the line behind it where ``with_text`` is set. Records of tables stay as
    they are but for the columns or keys that are put in front: the label with ``output="label"``, else the probability
    too. A label that is less likely than ``min_prob`` gives way to ``unknown_label``; for models of one label a text.
    With ``explain`` an object of JSON tells what each part of the text does (:mod:`textrnn.inference.explain`).

    Raises:
        ConfigError: ``explain`` where the output is not JSON.
    """

    engine: Engine
    top_k: int | None = None
    threshold: float | None = None
    output: OutputFormat = "tsv"
    with_text: bool = False
    min_prob: float = 0.0
    unknown_label: str = "unknown"
    explain: bool = False

    def __call__(self, records: Sequence[Record], threads: int) -> Output:
        """Return a line for each of ``records``."""
        if self.explain and (table := next((r.format for r in records if r.format in {"tsv", "csv"}), None)):
            raise ConfigError(f"--explain: tells of words in JSON, and the input is {table.upper()}; leave it out")
        found = _predict(self.engine, records, top_k=self.top_k, threshold=self.threshold, threads=threads)
        lines = [
            self._format_header(record) if predictions is None else self._format(record, predictions, threads)
            for record, predictions in zip(records, found, strict=True)
        ]
        count = sum(record.text is not None for record in records)
        return Output(b"".join(lines), count, count)

    def _doubt(self, found: list[Prediction]) -> list[Prediction]:
        if found and found[0].probability < self.min_prob:
            return [replace(found[0], label=self.unknown_label), *found[1:]]
        return found

    def _format(self, record: Record, predictions: list[Prediction], threads: int) -> bytes:
        """Return the output line of ``record``, with its end."""
        found = self._doubt(predictions)
        if record.format == "jsonl" or (record.format == "line" and self.output == "jsonl"):
            row = self._make_row(found, record.prefix)
            if self.explain:
                row |= self._explain(record, predictions, threads)
            if record.format == "jsonl":
                return _put_in_front(row, record.raw)
            if self.with_text:
                row["text"] = record.text
            return json.dumps(row, ensure_ascii=False).encode() + b"\n"
        fields = [field for pair in self._make_pairs(found) for field in pair]
        if record.format == "csv":
            return ",".join(map(_quote, fields)).encode() + b"," + record.raw + b"\n"
        line = "\t".join(fields).encode()
        return line + b"\t" + record.raw + b"\n" if self.with_text or record.format == "tsv" else line + b"\n"

    def _explain(self, record: Record, found: list[Prediction], threads: int) -> dict[str, object]:
        assert record.text is not None  # headers have no predictions
        labels = [p.label for p in found] if self._gives_sets else found[0].label
        parts = explain(self.engine, record.text, labels, threads=threads).to_dict()
        return {record.prefix + name: value for name, value in parts.items()}

    def _format_header(self, record: Record) -> bytes:
        names = [record.prefix + name for name in NAMES[: 1 if self.output == "label" else 2]]
        count = 1 if self._gives_sets else min(self.top_k or 1, len(self.engine.labels))
        numbered = [name if place == 1 else f"{name}_{place}" for place in range(1, count + 1) for name in names]
        divider = b"," if record.format == "csv" else b"\t"
        return divider.join([*map(str.encode, numbered), record.raw]) + b"\n"

    @property
    def _gives_sets(self) -> bool:
        return self.engine.thresholds is not None

    def _make_pairs(self, found: list[Prediction]) -> list[tuple[str, ...]]:
        """Return labels with probabilities, as they are printed; a set is one pair, whatever it holds."""
        pairs = [(p.label, f"{p.probability:.6f}") for p in found]
        if self._gives_sets:
            separator = self.engine.separator or SEPARATOR
            pairs = [(separator.join(label for label, _ in pairs), separator.join(number for _, number in pairs))]
        return [pair[:1] for pair in pairs] if self.output == "label" else list(pairs)

    def _make_row(self, found: list[Prediction], prefix: str) -> dict[str, object]:
        """Return the prediction as an object of JSON, its keys with ``prefix``."""
        label, probability, top, _ = (prefix + name for name in NAMES)
        pairs = [{"label": p.label, "probability": round(p.probability, 6)} for p in found]
        row: dict[str, object] = (
            {name: [pair[key] for pair in pairs] for name, key in ((label, "label"), (probability, "probability"))}
            if self._gives_sets
            else {label: pairs[0]["label"], probability: pairs[0]["probability"]}
        )
        if self.output == "label":
            del row[probability]
        elif not self._gives_sets and (self.top_k or 1) > 1:
            row[top] = pairs
        return row


@dataclass(frozen=True)
class LabelFilter:
    """Keeps the records, as they stand, that are given one of ``labels`` with a probability of ``min_prob`` at least.

    With ``invert`` it keeps the others. Headers are kept, and counted nowhere. ``threshold`` is that of
    :meth:`Engine.predict`.
    """

    engine: Engine
    labels: frozenset[str]
    min_prob: float = 0.0
    threshold: float | None = None
    invert: bool = False

    def __call__(self, records: Sequence[Record], threads: int) -> Output:
        """Return those of ``records`` that are kept."""
        found = _predict(self.engine, records, top_k=None, threshold=self.threshold, threads=threads)
        passed = [
            record
            for record, predictions in zip(records, found, strict=True)
            if predictions is None or self._passes(predictions) != self.invert
        ]
        headers = sum(record.text is None for record in records)
        data = b"".join(record.raw + b"\n" for record in passed)
        return Output(data, len(records) - headers, len(passed) - headers)

    def _passes(self, found: list[Prediction]) -> bool:
        return any(p.label in self.labels and p.probability >= self.min_prob for p in found)


def _predict(
    engine: Engine, records: Sequence[Record], *, top_k: int | None, threshold: float | None, threads: int
) -> Iterator[list[Prediction] | None]:
    """Yield the predictions of each record, None for a header."""
    texts = [record.text for record in records if record.text is not None]
    found = iter(engine.predict(texts, top_k=top_k, threshold=threshold, threads=threads) if texts else ())
    return (None if record.text is None else next(found) for record in records)


def _put_in_front(row: dict[str, object], raw: bytes) -> bytes:
    """Return the object ``raw``, which has keys, with those of ``row`` before them; the rest stays byte for byte."""
    before, brace, rest = raw.partition(b"{")
    return before + brace + json.dumps(row, ensure_ascii=False)[1:-1].encode() + b", " + rest + b"\n"


def _quote(field: str) -> str:
    """Return ``field``, which has no line end, as a field of CSV."""
    return '"' + field.replace('"', '""') + '"' if '"' in field or "," in field else field
