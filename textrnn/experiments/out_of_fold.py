"""Out-of-fold probabilities of a training set: those of each text by the model that did not see it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textrnn.config import DEMO, DataConfig, as_list, load_config
from textrnn.data.reading.examples import Example, read_examples
from textrnn.data.reading.io import Note
from textrnn.errors import DataError, ModelError
from textrnn.evaluation.label_errors import find_thresholds
from textrnn.files import compressed_write, shipped
from textrnn.serialization.latest_run import CONFIG_NAME
from textrnn.serialization.model_file import make_labels

OUT_OF_FOLD_NAME = "out_of_fold.jsonl"

_DIGITS = 6
_LEAST = 0.01
"""Lower probabilities are left out, unless confident learning needs them."""


@dataclass(frozen=True)
class SourceText:
    """An example and the file that it comes from."""

    file: str
    example: Example


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """B texts of a training set with their out-of-fold ``probabilities`` (B, C) float32.

    ``labels`` (C,) names the columns; ``true`` (B,) int64 is the column of each text's own label. Of those read from a
    file, a probability that the file leaves out is 0.
    """

    texts: Sequence[SourceText]
    labels: tuple[str, ...]
    true: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.texts)


def read_training_set(config: DataConfig, *, note: Note | None = None) -> list[SourceText]:
    """Return the texts of ``data.train``, all files end to end, in the order that training numbers them.

    ``note`` receives lines for the user about how they were read.

    Raises:
        DataError: a file is unusable.
    """
    files = [str(shipped("demo") / "train.tsv")] if config.train == DEMO else as_list(config.train)
    return [SourceText(file, example) for file in files for example in read_examples(file, config, note=note)]


def write_out_of_fold(path: Path, out_of_fold: OutOfFold) -> None:
    """Write a JSON object per text: ``file``, ``line``, ``label``, ``text``, and ``probabilities`` by label.

    These have six digits: that of the text's own label, and those from 0.01 or the threshold of their label in
    confident learning (:func:`find_thresholds`), so :func:`find_label_errors` finds the same.
    """
    keys = [f"{json.dumps(label, ensure_ascii=False)}: " for label in out_of_fold.labels]
    least = np.minimum(find_thresholds(out_of_fold.probabilities, out_of_fold.true), np.float32(_LEAST))
    with compressed_write(path) as file:
        for source, true, row in zip(out_of_fold.texts, out_of_fold.true, out_of_fold.probabilities, strict=True):
            example, kept = source.example, row >= least
            kept[true] = True
            head = {"file": source.file, "line": example.line_number, "label": example.label, "text": example.text}
            values = ", ".join(f"{keys[column]}{row[column]:.{_DIGITS}g}" for column in np.flatnonzero(kept).tolist())
            line = f'{json.dumps(head, ensure_ascii=False)[:-1]}, "probabilities": {{{values}}}}}\n'
            file.write(line.encode("utf-8"))


def read_out_of_fold(folder: Path) -> OutOfFold:
    """Read the out-of-fold probabilities of the experiment in ``folder``.

    Raises:
        ModelError: the experiment has none, or the file is damaged.
        DataError: a text or its label has changed since the experiment.
    """
    path = folder / OUT_OF_FOLD_NAME
    if not path.is_file():
        cure = "name the folder of a finished 'textrnn train --kfold K' on single-label data"
        raise ModelError(folder, f"contains no {OUT_OF_FOLD_NAME}; {cure}")
    try:
        lines = path.read_bytes().split(b"\n")[:-1]  # not by splitlines: texts may contain U+2028
        entries = [json.loads(line) for line in lines]
        if not entries:
            raise ValueError("it has no text")
        labels = make_labels([label for entry in entries for label in entry["probabilities"]])
        columns = {label: column for column, label in enumerate(labels)}
        texts = [SourceText(e["file"], Example(e["label"], e["text"], e["line"])) for e in entries]
        true = np.array([columns[text.example.label] for text in texts], np.int64)
        probabilities = np.zeros((len(entries), len(labels)), np.float32)
        for row, entry in enumerate(entries):
            found = entry["probabilities"]
            probabilities[row, [columns[label] for label in found]] = list(found.values())
            _ = found[entry["label"]]
        result = OutOfFold(texts, labels, true, probabilities)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelError(path, f"damaged ({type(error).__name__}: {error}); run the experiment again") from None
    _check_unchanged(texts, load_config(folder / "fold-1" / CONFIG_NAME).data)
    return result


def _check_unchanged(texts: Sequence[SourceText], config: DataConfig) -> None:
    """Raise DataError if the training set no longer has one of ``texts`` in its line, with its label."""
    current = {(source.file, source.example.line_number): source.example for source in read_training_set(config)}
    for source in texts:
        line = source.example.line_number
        if current.get((source.file, line)) != source.example:
            raise DataError(source.file, line, "has changed since the experiment; train again, or restore the file")
