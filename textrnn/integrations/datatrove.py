"""Steps of datatrove pipelines: a filter by labels, and predictions in the metadata of documents."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.utils.batching import batched

from textrnn.api import Model
from textrnn.errors import ConfigError
from textrnn.inference import Precision

if TYPE_CHECKING:
    from datatrove.pipeline.writers.disk_base import DiskWriter

Bounds = tuple[str, float] | Sequence[tuple[str, float]]
"""A label and a probability, or several such pairs."""

_BATCH = 256  # documents


class _LazyModel:
    """A model that each process loads when it needs it."""

    def __init__(self, path: str | os.PathLike[str], precision: Precision) -> None:
        self._path, self._precision = path, precision
        self._model: Model | None = None

    def load(self) -> Model:
        """Return the model."""
        if self._model is None:
            self._model = Model.load(self._path, precision=self._precision)
        return self._model

    def __reduce__(self) -> tuple[Any, ...]:
        return _LazyModel, (self._path, self._precision)


class TextRNNFilter(BaseFilter):  # type: ignore[misc]
    """Keeps documents by the probabilities of their labels, as FastTextClassifierFilter does.

    A document stays if at least one label of ``keep_labels`` reaches its bound, or none of ``remove_labels`` does; with
    neither, all stay. ``save_labels_in_metadata`` stores the probability of each label under its name. ``model`` is a
    model file or run folder, which each process loads once; set OMP_NUM_THREADS=1 if each core has a task.

    Raises:
        ValueError: both ``keep_labels`` and ``remove_labels`` are given.
    """

    name = "textrnn"

    def __init__(
        self,
        model: str | os.PathLike[str],
        keep_labels: Bounds | None = None,
        remove_labels: Bounds | None = None,
        *,
        save_labels_in_metadata: bool = True,
        exclusion_writer: DiskWriter | None = None,
        precision: Precision = "fp32",
        batch_size: int = _BATCH,
    ) -> None:
        super().__init__(exclusion_writer, batch_size)
        if keep_labels and remove_labels:
            raise ValueError("give keep_labels or remove_labels, not both; use two filters")
        self.keep_labels, self.remove_labels = _list_bounds(keep_labels), _list_bounds(remove_labels)
        self.save_labels_in_metadata = save_labels_in_metadata
        self._model = _LazyModel(model, precision)

    def filter(self, doc: Document) -> bool:
        """Return whether ``doc`` stays."""
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[bool]:
        """Return whether each of ``batch`` stays.

        Raises:
            ConfigError: the model does not know a label, or predicts scores.
        """
        model = self._model.load()
        if model.is_score:
            raise ConfigError("the model predicts scores, not labels; store them with TextRNNAnnotator, then filter")
        bounds = self.keep_labels or self.remove_labels
        if unknown := [label for label, _ in bounds if label not in model.labels]:
            raise ConfigError(f"label {unknown[0]}: the model has no such label; it has {', '.join(model.labels)}")
        columns = [(model.labels.index(label), bound) for label, bound in bounds]
        kept = []
        for doc, row in zip(batch, model.predict_proba([doc.text for doc in batch]).tolist(), strict=True):
            if self.save_labels_in_metadata:
                doc.metadata.update(zip(model.labels, row, strict=True))
            reaches = any(row[column] >= bound for column, bound in columns)
            kept.append(reaches if self.keep_labels else not reaches)
        return kept


class TextRNNAnnotator(PipelineStep):  # type: ignore[misc]
    """Stores the predicted label and its probability in the metadata, as ``label`` and ``probability``, or ``score``.

    ``prefix`` stands before both names. Those of a multi-label model, or with ``top_k`` above 1, are lists.
    """

    name = "textrnn"
    type = "✂️ - ANNOTATOR"

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        prefix: str = "",
        top_k: int | None = None,
        threshold: float | None = None,
        precision: Precision = "fp32",
        batch_size: int = _BATCH,
    ) -> None:
        super().__init__()
        self.prefix, self.top_k, self.threshold, self.batch_size = prefix, top_k, threshold, batch_size
        self._model = _LazyModel(model, precision)

    def run(self, data: Iterator[Document], rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield the documents of ``data`` with their predictions."""
        del rank, world_size
        for batch in batched(data, self.batch_size):
            with self.track_time("batch"):
                self._annotate(batch)
            for doc in batch:
                self.stat_update("total")
                self.update_doc_stats(doc)
                yield doc

    def _annotate(self, batch: list[Document]) -> None:
        model = self._model.load()
        if model.is_score:
            for doc, score in zip(batch, model.predict_scores([doc.text for doc in batch]).tolist(), strict=True):
                doc.metadata[f"{self.prefix}score"] = score
            return
        has_lists = (self.top_k or 1) > 1 or model.metadata["thresholds"] is not None
        found = model.predict([doc.text for doc in batch], top_k=self.top_k, threshold=self.threshold)
        for doc, row in zip(batch, found, strict=True):
            label: Any = [p.label for p in row] if has_lists else row[0].label
            probability: Any = [p.probability for p in row] if has_lists else row[0].probability
            doc.metadata |= {f"{self.prefix}label": label, f"{self.prefix}probability": probability}


def _list_bounds(bounds: Bounds | None) -> list[tuple[str, float]]:
    if not bounds:
        return []
    first = bounds[0]
    return [(first, bounds[1])] if isinstance(first, str) else list(bounds)  # type: ignore[arg-type,list-item]
