"""One pass over labelled text that keeps what the page shows: a few bytes of each text, and samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from textrnn.config import DataConfig
from textrnn.data.labels import join_labels
from textrnn.data.reading.io import Note, encode_lines, open_data, read_chunks
from textrnn.data.reading.rows import RowReader
from textrnn.evaluation.multi_label import MultiLabelBuilder, MultiLabelEvaluation
from textrnn.evaluation.predictions import Predictions, PredictionsBuilder
from textrnn.evaluation.single_label import Evaluation, evaluate_predictions
from textrnn.inference.engine import Engine
from textrnn.inference.pooling import Array
from textrnn.native.malloc import give_back_freed_memory
from textrnn.report.curves import LabelHistogram, LengthBin, Reliability, measure_by_length, trace_coverage
from textrnn.report.curves import trace_thresholds as trace_confidences
from textrnn.report.intervals import Interval, PoissonBootstrap, compute_intervals
from textrnn.report.samples import EXTREME_CHARACTERS, CellSamples, Extremes, LabelErrorSearch, Sample, cut

SHOWN_TEXTS = 15
"""The number of confident mistakes, and of uncertain texts."""
_MAX_ROWS, _MAX_LOGITS, _MAX_CHARACTERS = 1024, 1 << 20, 1 << 20  # of a batch

Batch = tuple[list[str], list[str]]
"""The labels (several of one text are joined by tabs) and the texts of some rows."""


@dataclass(frozen=True)
class Abstention:
    """The texts that the confidence thresholds of the model let through, and those of them with a wrong label."""

    covered: int
    errors: int


@dataclass(frozen=True)
class Observations:
    """What the page shows of the evaluated texts; what does not apply to a multi-label model is None.

    ``abstention`` is None also for a model without confidence thresholds.
    ``label_errors`` are the most probable ones with the number of all; None also for too many texts.
    """

    evaluation: Evaluation | MultiLabelEvaluation
    intervals: dict[str, Interval]
    thresholds: list[tuple[float, float | None, float]]
    reliability: list[tuple[float, float, int]]
    uncalibrated: list[tuple[float, float, int]] | None
    coverage: list[tuple[float, float]] | None
    by_length: list[LengthBin]
    mistakes: list[Sample]
    doubts: list[Sample]
    cells: CellSamples | None
    label_errors: tuple[list[Sample], int] | None
    abstention: Abstention | None = None


def read_batches(
    path: str, config: DataConfig, *, note: Note | None = None, rejects: Callable[[bytes], object] | None = None
) -> Iterator[Batch]:
    """Yield the rows of the labelled file at ``path`` (``-``: standard input); raises DataError."""
    with open_data(path, config, whole=rejects is not None, note=note) as (_, file):
        rejects = None if rejects is None else encode_lines(rejects, lambda: file)
        for rows in RowReader(path, read_chunks(file.read), config, note=note, rejects=rejects):
            yield [join_labels(row.labels) for row in rows], [row.text for row in rows]


def observe(engine: Engine, batches: Iterable[Batch], *, threshold: float | None = None) -> Observations:
    """Evaluate ``engine`` on ``batches``, of which one is held at a time; ``threshold`` is for multi-label models."""
    observer = SingleLabelObserver(engine) if engine.thresholds is None else MultiLabelObserver(engine, threshold)
    for labels, texts in resize_batches(batches, len(engine.labels)):
        ids, lengths = engine.encode(texts)
        observer.add(labels, texts, lengths=lengths, logits=engine.forward_ids(ids, lengths))
    give_back_freed_memory()
    found = observer.finish()
    give_back_freed_memory()
    return found


def resize_batches(batches: Iterable[Batch], labels: int) -> Iterator[Batch]:
    """Yield batches of a size that suits the engine, from any others."""
    most = max(1, min(_MAX_ROWS, _MAX_LOGITS // max(1, labels)))
    own: Batch = ([], [])
    characters = 0
    for batch in batches:
        for label, text in zip(*batch, strict=True):
            own[0].append(label)
            own[1].append(text)
            characters += len(text)
            if len(own[0]) >= most or characters >= _MAX_CHARACTERS:
                yield own
                own, characters = ([], []), 0
    if own[0]:
        yield own


@dataclass
class _Observer:
    """The parts that both kinds of models share."""

    engine: Engine
    mistakes: Extremes = field(default_factory=lambda: Extremes(SHOWN_TEXTS))
    doubts: Extremes = field(default_factory=lambda: Extremes(SHOWN_TEXTS))
    lengths: list[npt.NDArray[np.int32]] = field(default_factory=list)

    def keep(
        self,
        extremes: Extremes,
        scores: npt.NDArray[np.float32],
        *,
        rows: Batch,
        columns: npt.NDArray[np.int64],
        probabilities: Array,
    ) -> None:
        """Offer texts with ``scores`` (B,); the label of each is ``columns`` (B,) of ``probabilities`` (B, C)."""
        for place in extremes.choose(scores):
            column = int(columns[place])
            sample = Sample(
                cut(rows[1][place], EXTREME_CHARACTERS),
                rows[0][place],
                self.engine.labels[column],
                float(probabilities[place, column]),
            )
            extremes.add(float(scores[place]), sample)


class SingleLabelObserver(_Observer):
    """Observes the texts of a single-label model."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._builder, self._cells = PredictionsBuilder(engine), CellSamples()
        self._label_errors = LabelErrorSearch(engine.labels)
        self._index_of = {label: index for index, label in enumerate(engine.labels)}

    def add(self, labels: list[str], texts: list[str], *, lengths: npt.NDArray[np.int64], logits: Array) -> None:
        """Add texts with their true ``labels`` and ``logits`` (B, C)."""
        self._builder.add(labels, logits)
        self.lengths.append(lengths.astype(np.int32))
        probabilities = np.exp(self.engine.to_log_probabilities(logits))
        predicted = probabilities.argmax(axis=1)
        true = np.array([self._index_of.get(label, -1) for label in labels])
        self._cells.add(labels, [self.engine.labels[column] for column in predicted.tolist()], texts)
        self._label_errors.add(true, probabilities, texts)
        confidence = probabilities[np.arange(len(texts)), predicted]
        given = {"rows": (labels, texts), "columns": predicted, "probabilities": probabilities}
        self.keep(self.mistakes, np.where(true == predicted, np.float32(-np.inf), confidence), **given)
        if probabilities.shape[1] > 1:
            best = np.partition(probabilities, -2, axis=1)[:, -2:]
            self.keep(self.doubts, best[:, 0] - best[:, 1], **given)

    def finish(self) -> Observations:
        """Return what was observed."""
        predictions = self._builder.build()
        del self._builder
        evaluation = evaluate_predictions(predictions)
        confidence, correct = predictions.calibrated.confidence, predictions.correct
        return Observations(
            evaluation=evaluation,
            intervals=compute_intervals(predictions, evaluation),
            thresholds=trace_confidences(confidence, correct),
            reliability=_measure_reliability(confidence, correct),
            uncalibrated=_measure_uncalibrated(predictions),
            coverage=trace_coverage(confidence, correct),
            by_length=measure_by_length(np.concatenate([np.zeros(0, np.int32), *self.lengths]), correct),
            mistakes=self.mistakes.samples,
            doubts=self.doubts.samples,
            cells=self._cells,
            label_errors=self._label_errors.find(SHOWN_TEXTS),
            abstention=_count_covered(predictions, self.engine.confidence_thresholds),
        )


class MultiLabelObserver(_Observer):
    """Observes the texts of a multi-label model."""

    def __init__(self, engine: Engine, threshold: float | None) -> None:
        super().__init__(engine)
        C = len(engine.labels)
        self._threshold, self._builder = threshold, MultiLabelBuilder(engine, threshold=threshold)
        self._bootstrap, self._histogram, self._reliability = PoissonBootstrap(C), LabelHistogram(), Reliability()
        self._correct: list[npt.NDArray[np.bool_]] = []

    def add(self, labels: list[str], texts: list[str], *, lengths: npt.NDArray[np.int64], logits: Array) -> None:
        """Add texts with their true ``labels`` and ``logits`` (B, C)."""
        every = self._builder.add(labels, logits)
        true, unknown = every[:, : logits.shape[1]], every[:, logits.shape[1] :].sum(axis=1)
        self.lengths.append(lengths.astype(np.int32))
        log_probabilities = self.engine.to_log_probabilities(logits)
        probabilities = np.exp(log_probabilities)
        predicted = self.engine.assign_labels(log_probabilities, threshold=self._threshold)
        scaled = logits / np.float64(self.engine.temperature)
        loss = (np.logaddexp(0, scaled) - np.where(true, scaled, 0)).sum(axis=1)
        self._bootstrap.add(true, predicted, unknown=unknown, loss=loss, probabilities=probabilities)
        self._correct.append((true == predicted).all(axis=1) & (unknown == 0))
        self._histogram.add(probabilities.ravel(), true.ravel(), missed=int(unknown.sum()))
        self._reliability.add(probabilities.ravel(), true.ravel())
        wrongness = np.where(true == predicted, -np.inf, np.abs(probabilities - true)).astype(np.float32)
        thresholds = self.engine.thresholds if self._threshold is None else self._threshold
        nearness = -np.abs(probabilities - thresholds).astype(np.float32)
        for extremes, scores in ((self.mistakes, wrongness), (self.doubts, nearness)):
            columns = scores.argmax(axis=1)
            best = scores[np.arange(len(texts)), columns]
            self.keep(extremes, best, rows=(labels, texts), columns=columns, probabilities=probabilities)

    def finish(self) -> Observations:
        """Return what was observed."""
        evaluation = self._builder.build()
        known, unknown = len(self.engine.labels), len(evaluation.unknown_labels)
        correct = np.concatenate([np.zeros(0, np.bool_), *self._correct])
        return Observations(
            evaluation=evaluation,
            intervals=self._bootstrap.compute(labels=known, unknown_labels=unknown),
            thresholds=self._histogram.trace_thresholds(),
            reliability=self._reliability.points,
            uncalibrated=None,
            coverage=None,
            by_length=measure_by_length(np.concatenate([np.zeros(0, np.int32), *self.lengths]), correct),
            mistakes=self.mistakes.samples,
            doubts=self.doubts.samples,
            cells=None,
            label_errors=None,
        )


def _measure_reliability(
    probabilities: npt.NDArray[np.float32], correct: npt.NDArray[np.bool_]
) -> list[tuple[float, float, int]]:
    reliability = Reliability()
    reliability.add(probabilities, correct)
    return reliability.points


def _count_covered(predictions: Predictions, thresholds: Mapping[str, float]) -> Abstention | None:
    """Return what ``thresholds``, by label, let through; None without any."""
    if not thresholds:
        return None
    least = np.array([thresholds[label] for label in predictions.labels[: predictions.known]])
    covered = predictions.calibrated.confidence.astype(np.float64) >= least[predictions.predicted]
    return Abstention(int(covered.sum()), int((covered & ~predictions.correct).sum()))


def _measure_uncalibrated(predictions: Predictions) -> list[tuple[float, float, int]] | None:
    """Return the reliability at a temperature of 1; None if that is the model's own."""
    if predictions.temperature == 1:
        return None
    return _measure_reliability(predictions.uncalibrated.confidence, predictions.correct)
