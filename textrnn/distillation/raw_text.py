"""Raw text with the probabilities of a teacher, or with the answers of another tool, in order and in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from textrnn.config import DataConfig
from textrnn.data.minhash import normalize
from textrnn.data.reading.io import Note
from textrnn.data.reading.lines import read_texts
from textrnn.distillation.answers import read_answers
from textrnn.distillation.spool import Spool
from textrnn.distillation.teacher import Teacher
from textrnn.errors import DataError, pluralize
from textrnn.native.library import default_threads
from textrnn.pipeline.ordered_pool import run_in_order

Probabilities = npt.NDArray[np.float32]
Block = tuple[list[str], Probabilities]
"""Texts and their probabilities (B, C)."""

_BLOCK = 1024  # lines of answers at once


@dataclass(frozen=True)
class RawText:
    """The files of raw text, read by ``config`` as prediction reads them; ``note`` gets lines for the user."""

    paths: Sequence[str]
    config: DataConfig
    note: Note

    def __iter__(self) -> Iterator[str]:
        for path in self.paths:
            yield from read_texts(path, self.config, note=self.note)

    def label(self, teacher: Teacher) -> Iterator[Block]:
        """Yield the texts that are not blank, with the probabilities of ``teacher``."""

        def read(emit: Callable[[Sequence[str]], None]) -> None:
            texts = filter(str.strip, self)
            while block := list(islice(texts, _BLOCK)):
                emit(block)

        def predict(texts: list[str], threads: int) -> Block:
            return texts, teacher.predict(texts, threads=threads)

        with closing(run_in_order(read, predict, size=len, jobs=default_threads())) as blocks:
            yield from blocks

    def pair(self, answers: str, labels: Sequence[str]) -> Iterator[Block]:
        """Yield the texts that are not blank and have an answer in the file ``answers``, one of ``labels``.

        Raises:
            DataError: there are more answers than texts or fewer, or one is bad.
        """
        found, texts, number = read_answers(answers, labels, note=self.note), iter(self), 0
        unanswered = 0
        while block := list(islice(texts, _BLOCK)):
            rows = list(islice(found, len(block)))
            number += len(rows)
            if len(rows) < len(block):
                total = number + len(block) - len(rows) + sum(1 for _ in texts)
                raise DataError(answers, number + 1, f"is missing: the raw text has {total:,} lines; answer each")
            pairs = [(text, row) for text, row in zip(block, rows, strict=True) if row is not None and text.strip()]
            unanswered += sum(row is None for row in rows)
            if pairs:
                yield [text for text, _ in pairs], np.stack([row for _, row in pairs])
        if next(found, self) is not self:
            raise DataError(answers, number + 1, f"is one too many: the raw text has {number:,} lines")
        if unanswered:
            self.note(f"{answers}: {pluralize(unanswered, 'line has', 'lines have')} no answer; left out")


def fill(spool: Spool, blocks: Iterator[Block], *, held_out: Sequence[str], note: Note) -> None:
    """Write ``blocks`` to ``spool``, without texts that are equal to one of ``held_out``, the validation set."""
    known: Set[str] = frozenset(normalize(held_out)) if held_out else frozenset()
    seen = 0
    for texts, probabilities in blocks:
        kept = [place for place, text in enumerate(normalize(texts)) if text not in known]
        seen += len(texts) - len(kept)
        if kept:
            spool.write([texts[place] for place in kept], probabilities[kept])
    if seen:
        note(f"raw text: {pluralize(seen, 'text is', 'texts are')} in the validation set; left out")
