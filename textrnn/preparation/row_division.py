"""The division of a training file into the rows that are trained on and those that are held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textrnn.config import Config, split_fold
from textrnn.data.batch import Classes, Rows
from textrnn.data.labels import make_strata
from textrnn.data.partition import hold_out, hold_out_fold
from textrnn.data.reading.source import LabelledFile
from textrnn.errors import DataError, pluralize
from textrnn.preparation.label_encoder import LabelEncoder

_REPLAY_SHARE = 0.1  # of old text, as data.valid_share of new text
_ALL_KNOWN = (
    "no text is left to train on: all are validation texts of train.init, which stay out of training; name other text"
)


@dataclass(frozen=True)
class RowDivision:
    """Rows of a training file.

    ``kept`` are trained on (None: all). ``held`` are the validation set (None: it is another file), and ``new`` the new
    texts of it. The first ``count`` rows are new, and the others replayed. ``note`` is a line for the user, or empty.
    """

    kept: Rows | None
    held: Rows | None
    new: Rows
    count: int
    note: str


def divide_rows(
    file: LabelledFile,
    encoder: LabelEncoder,
    config: Config,
    *,
    has_valid: bool,
    known: npt.NDArray[np.bool_] | None = None,
    replayed: int = 0,
) -> RowDivision:
    """Return the division of the rows of ``file``, of which the last ``replayed`` are old.

    If the run ``has_valid``, a validation file, no new text is held out.
    ``known`` (rows,) marks the texts of the initial model's validation set (None: none), which are never trained on,
    unless nothing is held out; they join the validation set if it is held out, except in folds. So do other replayed
    texts if none of them is known, since validation should show what is forgotten. Equal texts are on one side.

    Raises:
        DataError: there are too few texts to hold some out, or none is left.
    """
    new = len(file) - replayed
    known = np.zeros(len(file), np.bool_) if known is None else known
    if config.train.refit is not None:
        note = f"final model: all {len(file):,} texts are trained on, and none is held out"
        nothing = np.zeros(0, np.int64)
        return RowDivision(None, nothing, nothing, new, note)
    is_plain = not replayed and not known.any()
    if is_plain and has_valid:
        return RowDivision(None, None, np.zeros(0, np.int64), new, "")
    groups, of_text = file.find_groups(), _find_strata(file, encoder)
    old = np.flatnonzero(known)
    held, note = np.zeros(0, np.int64), ""
    if not has_valid:
        candidates = np.flatnonzero(~known[:new])
        if not len(candidates):
            raise DataError(file.path, None, _ALL_KNOWN)
        held = candidates[_hold_out(file, of_text[candidates], groups[candidates], config=config)]
        reason = "no validation set given" if config.data.fold is None else f"fold {config.data.fold}"
        note = f"{reason}: {len(held):,} of {new:,} texts held out (seed {config.train.seed})"
    joins = not has_valid and config.data.fold is None
    if joins and replayed and not known[new:].any():
        rng = np.random.default_rng(config.train.seed)
        old = np.append(old, new + hold_out(of_text[new:], groups[new:], _REPLAY_SHARE, rng=rng)[1])
    if joins and len(old):
        note += f", and {pluralize(len(old), 'old text', 'old texts')}"
    elif len(old):
        left_out = pluralize(len(old), "text", "texts")
        note = "; ".join(filter(None, (note, f"{left_out} of the validation set of train.init left out of training")))
    kept = np.flatnonzero(~np.isin(groups, groups[np.append(held, old)]))
    if not len(kept):
        raise DataError(file.path, None, _ALL_KNOWN)
    validated = np.union1d(held, old) if joins else held
    return RowDivision(kept, None if has_valid else validated, held, new, note)


def _find_strata(file: LabelledFile, encoder: LabelEncoder) -> Classes:
    """Return the stratum of each row (rows,)."""
    strata = make_strata(encoder.encode(file.labels), file.counts, encoder.label_sets)
    # two bytes a row if possible: numpy sorts those by counting
    of_label = strata.astype(np.uint16 if len(strata) < 1 << 16 else np.int32)
    of_text: Classes = of_label[file.classes]
    return of_text


def _hold_out(file: LabelledFile, of_text: Classes, groups: Rows, *, config: Config) -> Rows:
    """Return the indices of the rows to hold out, among rows with the strata ``of_text`` and ``groups``."""
    rng, fold, held = np.random.default_rng(config.train.seed), config.data.fold, np.zeros(0, np.int64)
    if len(of_text):
        share = config.data.valid_share
        held = (
            hold_out(of_text, groups, share, rng=rng)
            if fold is None
            else hold_out_fold(of_text, groups, split_fold(fold), rng=rng)
        )[1]
    if not len(held):
        what = "texts" if config.data.group is None else "unconnected values of data.group"
        if fold is not None:
            raise DataError(file.path, None, f"too few {what} for fold {fold}; use fewer folds")
        cure = "name a validation set with --valid"
        raise DataError(file.path, None, f"too few {what} to hold out a validation set; {cure}")
    return held


def draw_part(file: LabelledFile, encoder: LabelEncoder, division: RowDivision, *, config: Config) -> Rows:
    """Return a share ``data.train_share`` of the new rows that are kept, with at least one of each label.

    All replayed rows that are kept stay.
    """
    rows = np.arange(len(file)) if division.kept is None else division.kept
    new = rows[rows < division.count]
    of_text, groups = _find_strata(file, encoder)[new], file.find_groups()[new]
    rng = np.random.default_rng(config.train.seed)
    drawn = new[hold_out(of_text, groups, 1 - config.data.train_share, rng=rng)[0]]
    return np.append(drawn, rows[len(new) :])
