"""The search for better settings: trials of one config with Optuna, kept in a database that a search goes on from."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from textrnn.config import Config, Override, dump_yaml, load_config
from textrnn.errors import (
    ConfigError,
    DataError,
    DivergedError,
    ModelError,
    OutOfMemoryError,
    StoppedError,
    TokenizerError,
)
from textrnn.experiments.results import format_score, take_metrics
from textrnn.experiments.runs import Quiet, make_latest
from textrnn.experiments.search_space import Dimension, Range
from textrnn.experiments.variations import check_repeatable, flatten, vary
from textrnn.files import write_text
from textrnn.ops.device import resolve_device
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import EpochRecord, Reporter, Reporters
from textrnn.serialization.run_folder import check_folder, default_folder
from textrnn.training.train import reporting, train

if TYPE_CHECKING:
    import optuna

DATABASE_NAME, BEST_NAME, TRIALS_NAME = "study.db", "best.yaml", "trials"
NAME = "textrnn"  # of the study in its database

_OWN = re.compile(rf"{re.escape(DATABASE_NAME)}(-\w+)?|\.?{re.escape(BEST_NAME)}(\..*\.tmp)?|{TRIALS_NAME}")
_RANDOM_TRIALS = 8  # before the sampler learns from what it has seen
_WHOLE_TRIALS = 4  # before one is given up
_WHOLE_EPOCHS = 2  # of each


@dataclass(frozen=True)
class Tuned:
    """The best of ``done`` trials, ``pruned`` of which were given up: number, metric, values, YAML and run folder."""

    number: int
    score: float
    values: dict[str, Any]
    path: Path
    folder: Path
    done: int
    pruned: int


def default_tune_folder(config: Config) -> Path:
    """Return ``runs/NAME-CELL-tune``."""
    single = default_folder(config)
    return single.with_name(f"{single.name}-tune")


def check_optuna() -> None:
    """Raise ConfigError where Optuna is not installed."""
    if find_spec("optuna") is None:
        raise ConfigError("tune: the package optuna is not installed; pip install optuna")


def tune(
    config: Config,
    space: Sequence[Dimension],
    out: Path,
    *,
    trials: int,
    command: str,
    reporter: Reporter | None = None,
) -> Tuned:
    """Try values of ``space`` in ``config`` until ``trials`` trials are done in ``out`` in all; return the best.

    A trial is trained, and given up where its metric falls behind the median of those before it at the same epoch. Its
    values follow from the seed, its number and the results before it, so that a search that was stopped, and goes on
    with the same arguments, ends as one that was not. Of the run folders that of the best trial is kept. ``command``
    is what goes on with the search.

    Raises:
        ConfigError: Optuna is missing, or ``out`` holds something else, or another search.
        ModelError: the database cannot be read.
        DataError: the text cannot be used, or no trial came to its end.
        StoppedError: a signal ended it.
    """
    check_optuna()
    shown = reporter or Reporter()
    search = _Search(config, space, out, reporter=shown)
    try:
        while search.done < trials:
            search.try_next(trials)
    except StoppedError as error:
        raise StoppedError(error.number, search.resume_hint(trials, command)) from None
    except KeyboardInterrupt:
        shown.note(search.resume_hint(trials, command))
        raise
    return search.finish()


class _Search:
    """A study of Optuna's in a folder, with the run of its best trial."""

    def __init__(self, config: Config, space: Sequence[Dimension], out: Path, *, reporter: Reporter) -> None:
        self.config, self.space, self.out, self.reporter = config, space, out, reporter
        self.metric = config.train.metric
        check_repeatable(config, "tune")
        _check_out(out)
        resolve_device(config.train.device)
        with reporting(Quiet(reporter) if (out / DATABASE_NAME).exists() else reporter) as shown:
            load_dataset(config, shown)
        out.mkdir(parents=True, exist_ok=True)
        self.study = _open_study(out, self.metric, {"config": config.model_dump(), "space": [*map(asdict, space)]})
        self._tidy()

    @property
    def finished(self) -> list[optuna.trial.FrozenTrial]:
        """The trials that count, in their order."""
        from optuna.trial import TrialState  # noqa: PLC0415 - an extra

        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))

    @property
    def done(self) -> int:
        """How many trials count."""
        return len(self.finished)

    def find_best(self) -> tuple[int, optuna.trial.FrozenTrial] | None:
        """Return the number (from 1) of the best trial that was trained to its end, and the trial."""
        sign = -1 if self.metric == "loss" else 1
        whole = [
            (number, trial) for number, trial in enumerate(self.finished, start=1) if trial.state.name == "COMPLETE"
        ]
        return max(whole, key=lambda pair: sign * (pair[1].value or 0.0), default=None)

    def try_next(self, trials: int) -> None:
        """Train one more trial."""
        import optuna  # noqa: PLC0415 - an extra

        number = self.done + 1
        # a sampler of its own for each number: what it draws does not depend on where the search was begun anew
        seed = int(np.random.SeedSequence([self.config.train.seed, number]).generate_state(1)[0])
        self.study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM_TRIALS)
        trial = self.study.ask()
        values = {part.key: _suggest(trial, part) for part in self.space}
        pruning = _Pruning(trial, self.metric)
        state, score, told = optuna.trial.TrialState.PRUNED, None, ""
        try:
            folder = self.out / TRIALS_NAME / str(number)
            watching = Reporters([Quiet(self.reporter), pruning])
            outcome = train(self._vary(values), folder, overwrite=True, reporter=watching, is_latest=False)
            state, score = optuna.trial.TrialState.COMPLETE, take_metrics(outcome.best)[self.metric]
            told = f"{format_score(self.metric, score)} in epoch {outcome.best.epoch}"
        except optuna.TrialPruned:
            told = f"given up after epoch {pruning.epoch} at {format_score(self.metric, pruning.score)}"
        except (DivergedError, OutOfMemoryError, ConfigError, TokenizerError) as error:
            told = f"given up: {error}"  # also where values do not go together
        except BaseException:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)  # it is made again
            raise
        self.study.tell(trial, score, state=state)
        self._tidy()
        self.reporter.note(f"trial {number} of {trials}: {told} ({format_values(values)}){self._say_best()}")

    def _vary(self, values: dict[str, Any]) -> Config:
        """Return the config with ``values``; raises ConfigError where they do not go together."""
        config = vary(self.config, values)
        return load_config(overrides=[Override(key, value, key) for key, value in flatten(config).items()])

    def _say_best(self) -> str:
        best = self.find_best()
        return (
            "" if best is None else f"; best so far {format_score(self.metric, best[1].value or 0.0)}, trial {best[0]}"
        )

    def _tidy(self) -> None:
        """Write the best trial's config, and remove the runs of all others."""
        best = self.find_best()
        if best is not None:
            path = self.out / BEST_NAME
            command = shlex.join(["textrnn", "train", str(path)])
            text = f"# {command}\n{dump_yaml(vary(self.config, best[1].params))}"
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                write_text(path, text)
        for folder in (self.out / TRIALS_NAME).glob("*"):
            if folder.name.isdigit() and (best is None or folder.name != str(best[0])):
                shutil.rmtree(folder)

    def resume_hint(self, trials: int, command: str) -> str:
        """Return one line on what a search that was stopped has left."""
        return f"{self.done} of {trials} trials are done{self._say_best()}; go on with: {command}"

    def finish(self) -> Tuned:
        """Return the best trial, and make its run the latest."""
        best = self.find_best()
        if best is None:
            raise DataError(
                self.config.data.train, None, "no trial came to its end; lower the rates of the search space"
            )
        number, trial = best
        folder = self.out / TRIALS_NAME / str(number)
        make_latest(folder, self.reporter)
        pruned = sum(other.state.name == "PRUNED" for other in self.finished)
        return Tuned(
            number, trial.value or 0.0, trial.params, self.out / BEST_NAME, folder, done=self.done, pruned=pruned
        )


class _Pruning(Reporter):
    """Tells Optuna of each epoch, and gives up a trial where that says so, by raising ``optuna.TrialPruned``."""

    def __init__(self, trial: optuna.trial.Trial, metric: str) -> None:
        self._trial, self._metric = trial, metric
        self.epoch, self.score = 0, 0.0

    def end_epoch(self, record: EpochRecord) -> None:
        """Report the metric; raises ``TrialPruned``."""
        import optuna  # noqa: PLC0415 - an extra

        self.epoch, self.score = record.epoch, take_metrics(record)[self._metric]
        self._trial.report(self.score, record.epoch)
        if self._trial.should_prune():
            raise optuna.TrialPruned


def format_values(values: dict[str, Any]) -> str:
    """Return values as people read them: ``train.lr 0.00312, model.layers 2``."""
    shown = {
        key: f"{value:.3g}" if isinstance(value, float) else "null" if value is None else value
        for key, value in values.items()
    }
    return ", ".join(f"{key} {value}" for key, value in shown.items())


def _suggest(trial: optuna.trial.Trial, part: Dimension) -> Any:
    if not isinstance(part, Range):
        return trial.suggest_categorical(part.key, part.values)
    if part.whole:
        return trial.suggest_int(part.key, int(part.low), int(part.high), log=part.log)
    return trial.suggest_float(part.key, part.low, part.high, log=part.log)


def _check_out(out: Path) -> None:
    check_folder(out, flag="--out")
    others = [path.name for path in out.iterdir() if not _OWN.fullmatch(path.name)] if out.exists() else []
    if others:
        raise ConfigError(f"--out {out}: holds {min(others)}, no part of a search; name an empty or a new folder")
    if out.exists() and any(out.iterdir()) and not (out / DATABASE_NAME).exists():
        raise ConfigError(f"--out {out}: holds no {DATABASE_NAME}, so no search; name an empty or a new folder")


def _open_study(out: Path, metric: str, made_of: dict[str, Any]) -> optuna.Study:
    """Open the study in ``out``, or begin it; trials that a killed process left count as failed.

    Raises:
        ConfigError: it was begun with another config or space.
        ModelError: the database cannot be read.
    """
    import optuna  # noqa: PLC0415 - an extra
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - comes with it

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    wanted = json.dumps(made_of, sort_keys=True)
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{(out / DATABASE_NAME).absolute()}",
            study_name=NAME,
            load_if_exists=True,
            direction="minimize" if metric == "loss" else "maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_WHOLE_TRIALS, n_warmup_steps=_WHOLE_EPOCHS + 1),
        )
        if study.user_attrs.get("made_of", wanted) != wanted:
            raise ConfigError(f"--out {out}: holds a search with another config or space; name another folder")
        study.set_user_attr("made_of", wanted)
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        path = out / DATABASE_NAME
        raise ModelError(
            path, f"not the database of a search, or damaged ({reason}); remove it to begin anew"
        ) from None
    return study
