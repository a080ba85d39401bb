"""Stage of NeMo Curator pipelines: predictions as columns of document batches."""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import DocumentBatch

from textrnn.integrations.arrow_labeler import ArrowLabeler


class TextRNNStage(ProcessingStage[DocumentBatch, DocumentBatch]):  # type: ignore[misc]
    """Adds the columns ``label`` and ``probability``, or ``score``, to document batches, which become Arrow tables.

    Each worker loads the model file or run folder ``model``, which all machines must see, and computes on one thread.
    The other arguments are those of :meth:`textrnn.integrations.arrow_labeler.ArrowLabeler.load`.
    """

    name = "textrnn"

    def __init__(self, model: str | os.PathLike[str], *, column: str = "text", **options: Any) -> None:
        self.column = column
        self._model, self._options = os.fspath(model), options
        self._labeler: ArrowLabeler | None = None

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the attribute and the column that the stage reads."""
        return ["data"], [self.column]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the attribute that the stage writes; the names of the new columns depend on those of the batch."""
        return ["data"], [self.column]

    def setup(self, worker_metadata: Any = None) -> None:
        """Load the model.

        Raises:
            ModelError: there is no model, or it is damaged.
            ValueError: an option is out of range, or the model has no use for it.
        """
        del worker_metadata
        self._labeler = ArrowLabeler.load(self._model, column=self.column, **self._options)

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch with predictions.

        Raises:
            DataError: it has no such column, or a text is missing or no text.
        """
        if self._labeler is None:
            self.setup()
        assert self._labeler is not None
        is_arrow = isinstance(task.data, pa.Table)
        table = task.data if is_arrow else pa.Table.from_pandas(task.data, preserve_index=False)
        return DocumentBatch(
            dataset_name=task.dataset_name,
            data=self._labeler(table),
            _metadata=task._metadata,
            _stage_perf=task._stage_perf,
        )
