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
from textrnn.errors import DataError
from textrnn.preparation.label_encoder import LabelEncoder

_REPLAY_SHARE = 0.1  # of old text, as data.valid_share of new text


@dataclass(frozen=True)
class RowDivision:
    """Rows of a training file.

    ``kept`` are trained on (None: all). ``held`` are the validation set (None: it is another file), and ``new`` those
    of it that are neither replayed nor known. ``known`` are texts of the initial model's validation set, which are
    never trained on unless nothing is held out; without a validation file they are part of ``held``, except in folds.
    ``note`` is a line for the user, or empty.
    """

    kept: Rows | None
    held: Rows | None
    known: Rows
    new: Rows
    note: str


def divide_rows(
    file: LabelledFile,
    encoder: LabelEncoder,
    config: Config,
    *,
    has_valid: bool,
    known: npt.NDArray[np.bool_] | None = None,
    old: int = 0,
) -> RowDivision:
    """Return the division of the rows of ``file``, of which the last ``old`` are replayed.

    If the run ``has_valid``, a validation file, no new text is held out.

    ``known`` (rows,) marks the texts of the initial model's validation set (None: none). Replayed text is held out like
    new text, since the validation set should show what is forgotten; if it has texts that are ``known``, these are all
    that is held out of it. Equal texts are on one side.

    Raises:
        DataError: there are too few texts to hold some out.
    """
    new = len(file) - old
    known = np.zeros(len(file), np.bool_) if known is None else known
    if config.train.refit is not None:
        note = f"final model: all {len(file):,} texts are trained on, and none is held out"
        nothing = np.zeros(0, np.int64)
        return RowDivision(None, nothing, np.flatnonzero(known), nothing, note)
    is_plain = not old and not known.any()
    if is_plain and has_valid:
        return RowDivision(None, None, np.zeros(0, np.int64), np.zeros(0, np.int64), "")
    groups, of_text = file.find_groups(), _find_strata(file, encoder)
    rows = np.arange(len(file))
    candidates = rows[:new][~known[:new]]
    held, note = np.zeros(0, np.int64), ""
    if not has_valid:
        held = candidates[_hold_out(file, of_text[candidates], groups[candidates], config)]
        reason = "no validation set given" if config.data.fold is None else f"fold {config.data.fold}"
        note = f"{reason}: {len(held):,} of {new:,} texts held out (seed {config.train.seed})"
    outside = np.zeros(0, np.int64)
    if not has_valid and config.data.fold is None:
        outside = (
            np.flatnonzero(known) if known[new:].any() else _hold_out_replay(of_text, groups, new, config.train.seed)
        )
        outside = np.union1d(outside, np.flatnonzero(known))
        if len(outside):
            note += f", and {len(outside):,} old texts"
    out = np.union1d(held, outside)
    kept = rows[~np.isin(groups, groups[np.union1d(out, np.flatnonzero(known))])]
    return RowDivision(kept, None if has_valid else out, np.flatnonzero(known), held, note)


def _find_strata(file: LabelledFile, encoder: LabelEncoder) -> Classes:
    """Return the stratum of each row (rows,)."""
    strata = make_strata(encoder.encode(file.labels), file.counts, encoder.label_sets)
    # two bytes a row if possible: numpy sorts those by counting
    return strata.astype(np.uint16 if len(strata) < 1 << 16 else np.int32)[file.classes]


def _hold_out(file: LabelledFile, of_text: Classes, groups: Rows, config: Config) -> Rows:
    """Return the indices of the rows to hold out, among rows with the strata ``of_text`` and ``groups``."""
    rng = np.random.default_rng(config.train.seed)
    if config.data.fold is None:
        held = hold_out(of_text, groups, config.data.valid_share, rng=rng)[1]
    else:
        held = hold_out_fold(of_text, groups, split_fold(config.data.fold), rng=rng)[1]
    if not len(held):
        what = "texts" if config.data.group is None else "unconnected values of data.group"
        if config.data.fold is not None:
            raise DataError(file.path, None, f"too few {what} for fold {config.data.fold}; use fewer folds")
        cure = "name a validation set with --valid"
        raise DataError(file.path, None, f"too few {what} to hold out a validation set; {cure}")
    return held


def _hold_out_replay(of_text: Classes, groups: Rows, new: int, seed: int) -> Rows:
    """Return the rows to hold out from those from ``new`` on."""
    if len(of_text) == new:
        return np.zeros(0, np.int64)
    return new + hold_out(of_text[new:], groups[new:], _REPLAY_SHARE, rng=np.random.default_rng(seed))[1]


def draw_part(file: LabelledFile, encoder: LabelEncoder, config: Config, *, kept: Rows | None, old: int = 0) -> Rows:
    """Return a share ``data.train_share`` of the rows ``kept`` (None: all), with at least one of each label.

    The last ``old`` rows of the file, which are replayed, all stay.
    """
    rows = np.arange(len(file)) if kept is None else kept
    new = rows[rows < len(file) - old]
    of_text, groups = _find_strata(file, encoder)[new], file.find_groups()[new]
    rng = np.random.default_rng(config.train.seed)
    drawn = new[hold_out(of_text, groups, 1 - config.data.train_share, rng=rng)[0]]
    return np.append(drawn, rows[len(new) :])
