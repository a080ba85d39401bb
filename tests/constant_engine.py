"""A fake engine, records of all formats, and the output of a worker for files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from textrnn.config import DataConfig
from textrnn.inference.engine import Engine, Prediction
from textrnn.pipeline.records import Record, RecordReader
from textrnn.pipeline.writers import Worker, process

FOUND = [Prediction("refund", 0.75), Prediction("a b", 0.25)]

LINE = Record(b"x\ty\r", "x\ty")
TSV = (
    Record(b"id\ttext\r", None, "tsv", names=("id", "text")),
    Record(b"1\t\xff\r", "\ufffd", "tsv"),
)
CSV = (
    Record(b'label,"text"', None, "csv", ",", is_quoted=True, names=("label", "text")),
    Record(b'1,"a\nb"', "a b", "csv", ",", is_quoted=True),
)
JSON = (Record(b' {"id": 1.00,"text":"\xff"}\r', "\ufffd", "jsonl", names=("id", "text")),)


class ConstantEngine:
    """An engine that predicts the same for every text."""

    def __init__(self, found: list[Prediction], *, multi_label: bool = False) -> None:
        self.labels = ("refund", "a b", "c")
        self.thresholds = [0.5] * 3 if multi_label else None
        self.confidence_thresholds: dict[str, float] = {}
        self.separator = None
        self._found = found

    def predict(self, texts: Sequence[str], *, top_k: int | None = None, **_: object) -> list[list[Prediction]]:
        return [self._found[: top_k or (1 if self.thresholds is None else None)] for _ in texts]

    def predict_log_probabilities(
        self, texts: Sequence[str], *, threads: int
    ) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        found = {prediction.label: prediction.probability for prediction in self._found}
        row = np.array([found.get(label, 1e-9) for label in self.labels], np.float32)
        return np.tile(np.log(row), (len(texts), 1))


def make_engine(found: list[Prediction], *, multi_label: bool = False) -> Engine:
    return cast("Engine", ConstantEngine(found, multi_label=multi_label))


def run_worker(worker: Worker, paths: Sequence[Path], *, jobs: int = 2, field: str | None = None) -> bytes:
    config = DataConfig() if field is None else DataConfig(text=field, on_error="empty")
    outputs = list(process(RecordReader(config), map(str, paths), worker, jobs=jobs))
    return b"".join(output.data for output in outputs)
