"""Refit: a final model is trained on all texts, with the best epoch and the calibration of earlier runs."""

from __future__ import annotations

import json
import shlex
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from textrnn.config import DEMO, Config, Override, as_list, load_config
from textrnn.errors import ConfigError, ModelError
from textrnn.models.cascade import Cascade, merge_cascades
from textrnn.serialization.latest_run import (
    CHECKPOINT_NAME,
    CONFIG_NAME,
    METRICS_NAME,
    SUMMARY_NAME,
    is_experiment,
)
from textrnn.serialization.model_file import SavedModel, find_model, load_model

_NEW_THRESHOLD = 0.5  # of a label that the earlier runs do not know


@dataclass(frozen=True)
class Refit:
    """What a final model takes from earlier runs, which had a validation set.

    ``progress`` is the share in (0, 1] of their steps after which the best weights were kept. Of several runs all
    numbers are means, and those of positive factors are geometric; the margins of the cascade are the largest.
    """

    progress: float
    temperature: float
    ngram_share: float
    ngram_scale: float
    thresholds: dict[str, float] | None
    cascade: Cascade | None = None

    @classmethod
    def read(cls, run: Path, *, out: Path) -> Refit:
        """Read the Refit of a finished run or experiment, for a model in the folder ``out``.

        Raises:
            ModelError: ``run`` is missing, unfinished, damaged or a final model.
            ConfigError: ``out`` is in ``run``.
        """
        if out.resolve().is_relative_to(run.resolve()):
            raise ConfigError(f"--out {out}: holds the run that is refitted; name another folder")
        folders = list_runs(run)
        models = [_load(folder) for folder in folders]
        thresholds = None
        if models[0].thresholds is not None:
            columns = zip(*(model.thresholds or () for model in models), strict=True)
            thresholds = dict(zip(models[0].labels, map(statistics.fmean, columns), strict=True))
        cascades = [model.cascade for model in models if model.cascade is not None]
        return cls(
            progress=statistics.fmean(map(_measure_progress, folders)),
            temperature=statistics.geometric_mean([model.temperature for model in models]),
            ngram_share=statistics.fmean([model.ngram_share for model in models]),
            ngram_scale=statistics.geometric_mean([model.ngram_scale or 1.0 for model in models]),
            thresholds=thresholds,
            cascade=merge_cascades(cascades) if len(cascades) == len(models) else None,
        )

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Refit:
        """Return the refit that ``dataclasses.asdict`` turned into ``state``."""
        refit = cls(**state)
        if (stored := state.get("cascade")) is None:
            return refit
        cascade = Cascade(stored["temperature"], tuple(stored["margins"]), tuple(stored["agreements"]))
        return replace(refit, cascade=cascade)

    def list_thresholds(self, labels: Sequence[str]) -> tuple[float, ...] | None:
        """Return the thresholds of ``labels``, which may be new."""
        if self.thresholds is None:
            return None
        return tuple(self.thresholds.get(label, _NEW_THRESHOLD) for label in labels)

    def describe(self, run: str | None, *, epochs: int | None) -> str:
        """Return one line on what was taken from ``run``, whose schedule has ``epochs``."""
        share = f", n-gram share {self.ngram_share:.2f}" if self.ngram_share else ""
        return (
            f"refit of {run}: {self.progress * (epochs or 1):.1f} epochs of a schedule of {epochs}, "
            f"temperature {self.temperature:.2f}{share}"
        )


def make_refit_config(run: Path, overrides: Sequence[Override]) -> Config:
    """Return the config of a refit of ``run``: its own, with training and validation set together.

    Raises:
        ModelError: ``run`` is no finished run or experiment.
        ConfigError: its config is damaged.
    """
    folder = list_runs(run)[0]
    long_texts = load_model(folder).config.data.long_texts  # which the file of an older run lacks
    data = load_config(folder / CONFIG_NAME).data
    if not is_experiment(run):
        run = folder  # the pointer to the latest run will point elsewhere
    train = data.train if data.train == DEMO else [*as_list(data.train), *as_list(data.valid)]
    values = {
        "data.train": train if len(train) > 1 else train[0],
        "data.valid": None,
        "data.fold": None,
        "data.valid_share": 0.0,
        "data.train_share": 1.0,
        "data.long_texts": long_texts,
        "train.refit": str(run),
    }
    own = [Override(key, value, key) for key, value in values.items()]
    return load_config(folder / CONFIG_NAME, overrides=[*own, *overrides])


def list_runs(path: Path) -> list[Path]:
    """Return the folders of the runs of a finished experiment, or of the single run at ``path``.

    Raises:
        ModelError: it is missing, unfinished or damaged.
    """
    resume = f"finish it with: {shlex.join(['textrnn', 'train', '--resume', str(path)])}"
    if not is_experiment(path):
        folder = find_model(path).parent
        if (folder / CHECKPOINT_NAME).exists():
            raise ModelError(path, f"the run is not finished; {resume}")
        if not (folder / METRICS_NAME).exists():
            raise ModelError(path, f"contains no {METRICS_NAME}; name the folder of the run, not a copy of its model")
        return [folder]
    try:
        return [path / name for name in json.loads((path / SUMMARY_NAME).read_text(encoding="utf-8"))["runs"]]
    except FileNotFoundError:
        raise ModelError(path, f"the experiment is not finished; {resume}") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(path / SUMMARY_NAME, "damaged; run the experiment again") from None


def _load(folder: Path) -> SavedModel:
    """Load the model of a run; raises ModelError if it lacks what a refit needs."""
    model = load_model(folder)
    if origin := model.config.train.refit:
        raise ModelError(folder, f"is a final model already; name the run that it comes from: {origin}")
    if model.ngram_share and model.ngram_scale is None:
        raise ModelError(
            folder, "was trained by an earlier version, which did not record all that is needed; train it again"
        )
    return model


def _measure_progress(folder: Path) -> float:
    """Return the share of the planned steps of a run after which its best epoch ended."""
    settings = load_config(folder / CONFIG_NAME).train
    try:
        records = [json.loads(line) for line in (folder / METRICS_NAME).read_text(encoding="utf-8").splitlines()]
        best = [record["step"] for record in records if record["best"]][-1]
        planned = min((settings.epochs or 0) * records[0]["step"], settings.max_steps or float("inf"))
        progress = float(best / planned)
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError):
        raise ModelError(folder / METRICS_NAME, "missing or damaged; train the run again") from None
    if not 0 < progress <= 1:
        raise ModelError(folder / METRICS_NAME, "does not fit the run's config.yaml; train the run again")
    return progress
