"""The rows that a student learns from: labelled ones, and raw text with the probabilities of a teacher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.config import Config
from textrnn.data.cache import Cache
from textrnn.data.reading.examples import Example
from textrnn.data.reading.io import Note
from textrnn.distillation.mixture import Mixture, Trial, sample_rows
from textrnn.distillation.raw_text import RawText, fill
from textrnn.distillation.soft_rows import write_examples, write_rows
from textrnn.distillation.spool import Spool
from textrnn.distillation.teacher import Teacher
from textrnn.errors import DataError, ModelError, name_file, pluralize, shorten
from textrnn.preparation.labelled_rows import LabelledRows, read_labelled_rows
from textrnn.reporter import Reporter
from textrnn.serialization.model_file import make_labels

Probabilities = npt.NDArray[np.float32]

TRAIN_NAME, VALID_NAME = "train.jsonl.zst", "valid.jsonl.zst"  # in a folder of their own

_BLOCK = 4096  # labelled rows written at once


@dataclass(frozen=True)
class Distillation:
    """What a student learns from: ``raw`` text, labelled by a ``teacher`` or by the file ``answers``.

    ``labelled`` reads the labelled rows. ``fixed`` are the values of the :class:`Mixture` that are not chosen.
    """

    raw: RawText
    labelled: Config
    teacher: Teacher | None = None
    answers: str | None = None
    fixed: Mapping[str, float] | None = None

    def write(self, folder: Path, *, reporter: Reporter) -> tuple[Path, Path]:
        """Write the training and the validation rows into ``folder``, and return their paths.

        Raises:
            DataError: a file is unusable, labels or answers do not fit, or the raw text is empty.
            ModelError: the teacher lacks a label of the labelled rows.
        """
        rows = read_labelled_rows(self.labelled, note=reporter.note)
        labels = self._find_labels(rows)
        held_out = [example.text for example in rows.valid]
        cache = Cache.open(self.labelled.data.cache, reporter.note)
        with Spool(cache.draft(), len(labels)) as spool:
            if self.teacher is not None:
                blocks = self.raw.label(self.teacher)
            else:
                assert self.answers is not None
                blocks = self.raw.pair(self.answers, labels)
            fill(spool, blocks, held_out=held_out, note=reporter.note)
            if not len(spool):
                if self.answers is not None:
                    raise DataError(self.answers, None, "has no answer to a text that is not blank; nothing to learn")
                raise DataError(name_file(self.raw.paths[0]), None, "has no text to learn from; name files with text")
            soft = pluralize(len(spool), "raw text", "raw texts")
            reporter.note(f"{soft} labelled by {self._describe()}, added to {len(rows.train):,} labelled rows")
            mixture = self._choose(rows, spool, labels=labels, note=reporter.note)
            paths = folder / TRAIN_NAME, folder / VALID_NAME
            write_rows(paths[0], labels, self._list_blocks(rows.train, spool, labels=labels, mixture=mixture))
        write_examples(paths[1], rows.valid)
        return paths

    def _describe(self) -> str:
        if self.teacher is None:
            return str(self.answers)
        return self.teacher.name + (f" ({len(self.teacher)} models)" if len(self.teacher) > 1 else "")

    def _find_labels(self, rows: LabelledRows) -> tuple[str, ...]:
        """Return the labels of the student; raises ModelError if the teacher lacks one of the labelled rows."""
        own = make_labels([label for example in rows.train for label in example.distribution or [example.label]])
        if self.teacher is None:
            if len(own) < 2:
                raise DataError(rows.file, None, f"every row has the label '{shorten(own[0])}'; two are needed")
            return own
        if missing := [label for label in own if label not in self.teacher.labels]:
            others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            reason = f"lacks the label '{shorten(missing[0])}'{others} of {rows.file}"
            raise ModelError(self.teacher.name, f"{reason}; train the teacher on these labels, or drop the rows")
        return self.teacher.labels

    def _choose(self, rows: LabelledRows, spool: Spool, *, labels: Sequence[str], note: Note) -> Mixture:
        """Return the mixture that is given, or chosen on a sample."""
        labelled = [rows.train[row] for row in sample_rows(len(rows.train)).tolist()]
        valid = [rows.valid[row] for row in sample_rows(len(rows.valid)).tolist()]
        texts = [example.text for example in labelled]
        raw_texts, raw = spool.select(sample_rows(len(spool)))
        columns = {label: column for column, label in enumerate(labels)}
        trial = Trial(
            texts,
            _make_true(labelled, columns),
            None if self.teacher is None else self.teacher.predict(texts),
            raw_texts,
            raw,
            [example.text for example in valid],
            np.array([columns.get(example.label, -1) for example in valid], np.int64),
        )
        return trial.choose(dict(self.fixed or {}), note=note)

    def _list_blocks(
        self, labelled: Sequence[Example], spool: Spool, *, labels: Sequence[str], mixture: Mixture
    ) -> Iterator[tuple[Sequence[str], Probabilities]]:
        """Yield the texts of all rows and their targets (B, C), labelled ones first."""
        columns = {label: column for column, label in enumerate(labels)}
        for start in range(0, len(labelled), _BLOCK):
            block = labelled[start : start + _BLOCK]
            texts = [example.text for example in block]
            is_mixed = self.teacher is not None and mixture.true_share < 1
            teacher = self.teacher.predict(texts) if self.teacher is not None and is_mixed else None
            yield texts, mixture.mix(_make_true(block, columns), teacher)
        for texts, probabilities in spool.blocks():
            yield texts, mixture.soften(probabilities)


def _make_true(examples: Sequence[Example], columns: Mapping[str, int]) -> Probabilities:
    """Return what is true (B, C) of ``examples``: their label, or their distribution."""
    true = np.zeros((len(examples), len(columns)), np.float32)
    for row, example in zip(true, examples, strict=True):
        for label, share in (example.distribution or {example.label: 1.0}).items():
            row[columns[label]] = share
    return true
