"""Output of records in order, and the filters that keep the records with a label, or a score in a range."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple, Protocol, cast

import numpy as np

from textrnn.inference import UNKNOWN
from textrnn.inference.engine import Engine, replace_unknown
from textrnn.pipeline.ordered_pool import run_in_order
from textrnn.pipeline.records import Record, RecordReader


class OutputChunk(NamedTuple):
    """Output of a chunk: ``data`` in complete lines, the number of ``records`` without headers, and those ``kept``.

    ``rejected`` has the lines of the records that were not kept.
    """

    data: bytes
    records: int
    kept: int
    rejected: bytes = b""


class Worker(Protocol):
    """Turns a chunk of records into output; threads call it concurrently."""

    def __call__(self, records: Sequence[Record], threads: int) -> OutputChunk:
        """Return the output of ``records``, computed with ``threads`` threads."""


def join_lines(records: Sequence[Record]) -> bytes:
    """Return the lines of ``records``."""
    return b"".join([record.raw + b"\n" for record in records])


def process(
    reader: RecordReader, paths: Iterable[str], worker: Worker, *, jobs: int
) -> Generator[OutputChunk, None, None]:
    """Yield the output of ``worker`` for all records of ``paths``, in order, as soon as they arrive.

    Memory does not grow with the input. ``jobs`` chunks are computed at once.

    Raises:
        DataError: a fault in a file, after the output of all earlier records.
    """
    return run_in_order(lambda emit: reader.read(paths, emit), worker, size=attrgetter("size"), jobs=jobs)


@dataclass(frozen=True, kw_only=True)
class RecordFilter(ABC):
    """Keeps some records, unchanged, and rejects the others; subclasses say which.

    ``invert`` rejects these records and keeps the others. Headers are in both parts, and never counted.
    ``format_kept`` and ``format_rejected`` turn the records of a part into its output.
    """

    invert: bool = False
    format_kept: Callable[[Sequence[Record]], bytes] = join_lines
    format_rejected: Callable[[Sequence[Record]], bytes] = join_lines

    def __call__(self, records: Sequence[Record], threads: int) -> OutputChunk:
        """Return the kept and the rejected ``records``."""
        texts = [record.text for record in records if record.text is not None]
        matches = iter(self.match(texts, threads) if texts else ())
        kept: list[Record] = []
        rejected: list[Record] = []
        headers = 0
        for record in records:
            if record.text is None:
                headers += 1
                kept.append(record)
                rejected.append(record)
            else:
                (kept if next(matches) != self.invert else rejected).append(record)
        return OutputChunk(self.format_kept(kept), len(texts), len(kept) - headers, self.format_rejected(rejected))

    @abstractmethod
    def match(self, texts: Sequence[str], threads: int) -> list[bool]:
        """Return whether each of ``texts`` is to be kept."""


@dataclass(frozen=True)
class LabelFilter(RecordFilter):
    """Keeps the records that have one of ``labels``.

    A record has a label if :meth:`Engine.predict` returns it, given ``threshold``. Unless ``ignore_thresholds``, the
    confidence thresholds of the model apply: a label below its own counts as ``unknown``. With ``min_prob`` a record
    has each label of at least that probability, whatever the other labels have.
    """

    engine: Engine
    labels: frozenset[str]
    min_prob: float | None = None
    threshold: float | None = None
    ignore_thresholds: bool = False

    def match(self, texts: Sequence[str], threads: int) -> list[bool]:
        """Return whether each of ``texts`` has one of the labels."""
        if self.min_prob is None:
            found = self.engine.predict(texts, threshold=self.threshold, threads=threads)
            if not self.ignore_thresholds:
                found = [
                    replace_unknown(predictions, self.engine.confidence_thresholds, UNKNOWN) for predictions in found
                ]
            return [any(p.label in self.labels for p in predictions) for predictions in found]
        log_probabilities = self.engine.predict_log_probabilities(texts, threads=threads)
        columns = [index for index, label in enumerate(self.engine.labels) if label in self.labels]
        passes = np.exp(log_probabilities[:, columns]) >= self.min_prob
        return cast("list[bool]", passes.any(axis=1).tolist())


@dataclass(frozen=True)
class ScoreFilter(RecordFilter):
    """Keeps the records whose score is at least ``least`` and at most ``most``; None sets no bound."""

    engine: Engine
    least: float | None = None
    most: float | None = None

    def match(self, texts: Sequence[str], threads: int) -> list[bool]:
        """Return whether the score of each of ``texts`` is in the range."""
        least, most = (-np.inf if self.least is None else self.least), (np.inf if self.most is None else self.most)
        scores = self.engine.predict_scores(texts, threads=threads)
        return cast("list[bool]", ((scores >= least) & (scores <= most)).tolist())
