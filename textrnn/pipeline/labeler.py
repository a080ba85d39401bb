"""Predictions in front of records: the likeliest labels, or probabilities of labels in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from textrnn.data.labels import PRINTED_SEPARATOR
from textrnn.errors import ConfigError
from textrnn.inference import UNKNOWN
from textrnn.inference.engine import Prediction, replace_unknown
from textrnn.pipeline.record_writer import RECORD, RecordWriter
from textrnn.pipeline.records import Record
from textrnn.pipeline.writers import OutputChunk

_LABEL, _PROBABILITY, _TOP, _PARTS = "label", "probability", "top", "parts"
_SCORE, _PROBABILITIES = "score", "probabilities"


def refuse_tables(records: Sequence[Record]) -> None:
    """Raise ConfigError if some of ``records``, which get explanations, are rows of a TSV or CSV table."""
    if table := next((record.format for record in records if record.format in {"tsv", "csv"}), None):
        raise ConfigError(f"--explain: writes JSON, but the input is {table.upper()}; leave it out")


@dataclass(frozen=True)
class Labeler(RecordWriter[list[Prediction]]):
    """Writes the predicted labels of records; ``top_k`` and ``threshold`` are those of :meth:`Engine.predict`.

    Each label has its probability, unless ``output="label"``. The likeliest label of a single-label model is replaced
    by ``unknown_label`` if its probability is below ``min_prob`` (None: the confidence threshold that the model has for
    it, if any). ``explain`` adds the effect of each part of the text to JSON
    (:mod:`textrnn.inference.explain`).

    Raises:
        ConfigError: ``explain`` is set, and the output is not JSON.
    """

    top_k: int | None = None
    threshold: float | None = None
    min_prob: float | None = None
    unknown_label: str = UNKNOWN
    explain: bool = False

    def __call__(self, records: Sequence[Record], threads: int) -> OutputChunk:
        """Return a line for each of ``records``."""
        if self.explain:
            refuse_tables(records)
        return super().__call__(records, threads)

    def predict(self, texts: Sequence[str], threads: int) -> list[list[Prediction]]:
        """Return the likeliest or the assigned labels of each text."""
        return self.engine.predict(texts, top_k=self.top_k, threshold=self.threshold, threads=threads)

    def list_columns(self) -> list[str]:
        """Return ``label``, ``probability``, ``label_2``, ``probability_2`` and so on."""
        count = 1 if self._is_multi_label else min(self.top_k or 1, len(self.engine.labels))
        return [name if rank == 1 else f"{name}_{rank}" for rank in range(1, count + 1) for name in self._pair]

    def list_keys(self) -> tuple[str, ...]:
        """Return the keys of all options, so that an option does not rename the others."""
        return (_LABEL, _PROBABILITY, _TOP, _PARTS, RECORD)

    def list_types(self) -> dict[str, Any]:
        """Return the columns of a table: the keys of JSON; those of a multi-label model hold lists."""
        import pyarrow as pa  # noqa: PLC0415 - other output does not need it

        own = {name: {_LABEL: pa.string(), _PROBABILITY: pa.float32()}[name] for name in self._pair}
        if self._is_multi_label:
            return {name: pa.list_(kind) for name, kind in own.items()}
        return own | ({_TOP: pa.list_(pa.struct(own))} if self._has_top else {})

    def make_values(self, predictions: Sequence[list[Prediction]]) -> dict[str, list[Any]]:
        """Return the labels and probabilities of each column."""
        pairs = [
            [{name: getattr(p, name) for name in self._pair} for p in self._replace_unknown(found)]
            for found in predictions
        ]
        if self._is_multi_label:
            return {name: [[pair[name] for pair in found] for found in pairs] for name in self._pair}
        values: dict[str, list[Any]] = {name: [found[0][name] for found in pairs] for name in self._pair}
        return values | ({_TOP: pairs} if self._has_top else {})

    def make_fields(self, prediction: list[Prediction]) -> list[str]:
        """Return the labels and probabilities; a multi-label prediction is one pair."""
        pairs = [(p.label, f"{p.probability:.6f}") for p in self._replace_unknown(prediction)]
        if self._is_multi_label:
            separator = self.engine.separator or PRINTED_SEPARATOR
            pairs = [(separator.join(label for label, _ in pairs), separator.join(number for _, number in pairs))]
        return [field for pair in pairs for field in (pair[:1] if self.output == "label" else pair)]

    def make_row(self, prediction: list[Prediction], text: str, threads: int) -> dict[str, object]:
        """Return the labels and probabilities, lists if there may be several, and the options' own keys."""
        replaced = [{_LABEL: p.label, _PROBABILITY: round(p.probability, 6)} for p in self._replace_unknown(prediction)]
        pairs = [{name: pair[name] for name in self._pair} for pair in replaced]
        row: dict[str, object] = (
            {name: [pair[name] for pair in pairs] for name in self._pair} if self._is_multi_label else dict(pairs[0])
        )
        if self._has_top:
            row[_TOP] = pairs
        if self.explain:
            from textrnn.inference.explain import explain  # noqa: PLC0415 - other output does not need it

            labels = [p.label for p in prediction] if self._is_multi_label else prediction[0].label
            row |= explain(self.engine, text, labels, threads=threads).to_dict()
        return row

    @property
    def _pair(self) -> tuple[str, ...]:
        """The names of what is written of a label."""
        return (_LABEL,) if self.output == "label" else (_LABEL, _PROBABILITY)

    @property
    def _has_top(self) -> bool:
        return not self._is_multi_label and (self.top_k or 1) > 1

    @property
    def _is_multi_label(self) -> bool:
        return self.engine.thresholds is not None

    def _replace_unknown(self, prediction: list[Prediction]) -> list[Prediction]:
        minimum = self.engine.confidence_thresholds if self.min_prob is None else self.min_prob
        return replace_unknown(prediction, minimum, self.unknown_label)


@dataclass(frozen=True)
class ProbabilityWriter(RecordWriter[list[float]]):
    """Writes the probability of ``label``, or without it those of all labels, in the order of the model."""

    label: str | None = None

    def predict(self, texts: Sequence[str], threads: int) -> list[list[float]]:
        """Return the probabilities of each text."""
        chosen = self.engine.predict_log_probabilities(texts, threads=threads)
        if self.label is not None:
            chosen = chosen[:, [self.engine.labels.index(self.label)]]
        return cast("list[list[float]]", np.exp(chosen).tolist())

    def list_columns(self) -> list[str]:
        """Return ``score``, or ``probability_LABEL`` for each label."""
        return [_SCORE] if self.label is not None else [f"{_PROBABILITY}_{label}" for label in self.engine.labels]

    def list_keys(self) -> tuple[str, ...]:
        """Return ``score`` or ``probabilities``."""
        return (_PROBABILITIES if self.label is None else _SCORE, RECORD)

    def list_types(self) -> dict[str, Any]:
        """Return the columns of a table."""
        import pyarrow as pa  # noqa: PLC0415 - other output does not need it

        return dict.fromkeys(self.list_columns(), pa.float32())

    def make_values(self, predictions: Sequence[list[float]]) -> dict[str, tuple[float, ...]]:
        """Return the probabilities of each column."""
        return dict(zip(self.list_columns(), zip(*predictions, strict=True), strict=True))

    def make_fields(self, prediction: list[float]) -> list[str]:
        """Return the probabilities."""
        return [f"{probability:.6f}" for probability in prediction]

    def make_row(self, prediction: list[float], text: str, threads: int) -> dict[str, object]:
        """Return the score, or an object with the probability of each label."""
        del text, threads
        rounded = [round(probability, 6) for probability in prediction]
        if self.label is not None:
            return {_SCORE: rounded[0]}
        return {_PROBABILITIES: dict(zip(self.engine.labels, rounded, strict=True))}
