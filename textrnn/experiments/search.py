"""Hyperparameter search with Optuna; trials are stored in a database, from which a search can be resumed."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from textrnn import errors
from textrnn.config import Config, as_list, dump_yaml
from textrnn.errors import ConfigError, DataError, ModelError, StoppedError
from textrnn.experiments.results import format_score, select_metrics
from textrnn.experiments.search_space import Dimension, Range
from textrnn.experiments.variations import check_repeatable, vary
from textrnn.extras import import_extra
from textrnn.files import write_text
from textrnn.ops.device import resolve_device
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import EpochRecord, ProgressOnly, Reporter, Reporters
from textrnn.serialization.latest_run import make_latest
from textrnn.serialization.run_folder import check_folder
from textrnn.training.train import reporting, train

if TYPE_CHECKING:
    import optuna

DATABASE_NAME, BEST_NAME, TRIALS_NAME = "study.db", "best.yaml", "trials"
NAME = "textrnn"  # of the Optuna study in the database

_OWN = rf"{re.escape(DATABASE_NAME)}(-\w+)?|\.?{re.escape(BEST_NAME)}(\..*\.tmp)?|{TRIALS_NAME}"
_RANDOM_TRIALS = 8  # before the sampler learns from results
_UNPRUNED_TRIALS = 4
_UNPRUNED_EPOCHS = 2  # of each trial


@dataclass(frozen=True)
class SearchResult:
    """The best of ``done`` trials: its number (from 1), metric, values, config file and run folder.

    ``pruned`` trials were stopped early or failed.
    """

    number: int
    score: float
    values: dict[str, Any]
    path: Path
    folder: Path
    done: int
    pruned: int


def tune(
    config: Config,
    space: Sequence[Dimension],
    out: Path,
    *,
    trials: int | None,
    minutes: float | None = None,
    command: str,
    reporter: Reporter | None = None,
) -> SearchResult:
    """Try values of ``space`` in ``config`` until ``out`` holds ``trials`` trials, and return the best.

    After ``minutes`` no other trial starts, except for the first in ``out``; the running one is finished.

    A trial is pruned when its metric falls behind the median of the earlier trials at the same epoch. Its values follow
    from the seed, its number and the results before it: a resumed search ends like an uninterrupted one. Only the run
    folder of the best trial is kept. ``command`` is the command that resumes the search.

    Raises:
        ConfigError: Optuna is not installed, or ``out`` has other content, or another search.
        ModelError: the database cannot be read.
        DataError: the data are unusable, or no trial finished.
        StoppedError: a signal ended the search.
    """
    reporter = reporter or Reporter()
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    search = Search(config, space, out, reporter=reporter)
    try:
        while trials is None or len(search.finished) < trials:
            if search.finished and time.monotonic() >= end:
                reporter.note(f"{minutes:g} minutes are over; {search.resume_hint(trials, command)}")
                break
            search.run_trial(trials)
    except StoppedError as error:
        raise StoppedError(error.number, search.resume_hint(trials, command)) from None
    except KeyboardInterrupt:
        reporter.note(search.resume_hint(trials, command))
        raise
    return search.finish()


class Search:
    """An Optuna study in a folder, with the run of its best trial."""

    def __init__(self, config: Config, space: Sequence[Dimension], out: Path, *, reporter: Reporter) -> None:
        self.config, self.space, self.out, self.reporter = config, space, out, reporter
        self._optuna = _import_optuna()
        self.metric = config.train.metric
        check_repeatable(config, "tune")
        check_folder(out, flag="--out", kind="a search", own=_OWN, required=DATABASE_NAME)
        resolve_device(config.train.device)
        with reporting(ProgressOnly(reporter) if (out / DATABASE_NAME).exists() else reporter) as loading:
            load_dataset(config, loading)
        out.mkdir(parents=True, exist_ok=True)
        content = {"config": config.model_dump(), "space": [*map(asdict, space)]}
        self.study = _open_study(out, self.metric, content)
        self._update_files()

    @property
    def finished(self) -> list[optuna.trial.FrozenTrial]:
        """The completed and pruned trials, in their order."""
        states = self._optuna.trial.TrialState
        return self.study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))

    def find_best(self) -> tuple[int, optuna.trial.FrozenTrial] | None:
        """Return the best completed trial and its number (from 1)."""
        sign = -1 if self.metric == "loss" else 1
        completed = [pair for pair in enumerate(self.finished, start=1) if pair[1].state.name == "COMPLETE"]
        return max(completed, key=lambda pair: sign * (pair[1].value or 0.0), default=None)

    def run_trial(self, trials: int | None) -> None:
        """Train one more trial, of ``trials`` in all (None: any number)."""
        optuna = self._optuna
        number = len(self.finished) + 1
        # a new sampler for each trial: its draws do not depend on where the search was resumed
        seed = int(np.random.SeedSequence([self.config.train.seed, number]).generate_state(1)[0])
        self.study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM_TRIALS)
        trial = self.study.ask()
        values = {dimension.key: _suggest(trial, dimension) for dimension in self.space}
        pruner = _Pruner(trial, self.metric)
        state, score = optuna.trial.TrialState.PRUNED, None
        try:
            folder = self.out / TRIALS_NAME / str(number)
            reporter = Reporters(ProgressOnly(self.reporter), pruner)
            outcome = train(vary(self.config, values), folder, overwrite=True, reporter=reporter, is_latest=False)
            state, score = optuna.trial.TrialState.COMPLETE, select_metrics(outcome.best)[self.metric]
            result = f"{format_score(self.metric, score)} in epoch {outcome.best.epoch}"
        except optuna.TrialPruned:
            result = f"pruned after epoch {pruner.epoch} at {format_score(self.metric, pruner.score)}"
        except (errors.DivergedError, errors.OutOfMemoryError, ConfigError, errors.TokenizerError) as error:
            result = f"failed: {error}"  # a ConfigError if the values cannot be combined
        except BaseException:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)  # a resumed search repeats it
            raise
        self.study.tell(trial, score, state=state)
        self._update_files()
        of_all = "" if trials is None else f" of {trials}"
        self.reporter.note(f"trial {number}{of_all}: {result} ({format_values(values)}){self._describe_best()}")

    def _describe_best(self) -> str:
        best = self.find_best()
        if best is None:
            return ""
        return f"; best so far {format_score(self.metric, best[1].value or 0.0)}, trial {best[0]}"

    def _update_files(self) -> None:
        """Write the config of the best trial, and remove the runs of all others."""
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

    def resume_hint(self, trials: int | None, command: str) -> str:
        """Return one line on the state of a stopped search, and the command that resumes it."""
        done = f"{len(self.finished)} trials" if trials is None else f"{len(self.finished)} of {trials} trials"
        return f"{done} are done{self._describe_best()}; resume with: {command}"

    def finish(self) -> SearchResult:
        """Return the best trial, and make its run the latest."""
        best = self.find_best()
        if best is None:
            raise DataError(
                as_list(self.config.data.train)[0], None, "no trial finished; lower train.lr in the search space"
            )
        number, trial = best
        folder = self.out / TRIALS_NAME / str(number)
        make_latest(folder, self.reporter)
        states = [other.state.name for other in self.finished]
        done, pruned = len(states), states.count("PRUNED")
        path = self.out / BEST_NAME
        return SearchResult(number, trial.value or 0.0, trial.params, path, folder, done=done, pruned=pruned)


class _Pruner(Reporter):
    """Reports each epoch to Optuna, and ends a trial that Optuna prunes."""

    def __init__(self, trial: optuna.trial.Trial, metric: str) -> None:
        self._trial, self._metric = trial, metric
        self.epoch, self.score = 0, 0.0

    def end_epoch(self, record: EpochRecord) -> None:
        """Report the metric; raises ``optuna.TrialPruned``."""
        self.epoch, self.score = record.epoch, select_metrics(record)[self._metric]
        self._trial.report(self.score, record.epoch)
        if self._trial.should_prune():
            raise _import_optuna().TrialPruned


def format_values(values: dict[str, Any]) -> str:
    """Return values for display: ``train.lr 0.00312, model.layers 2``."""

    def show(value: Any) -> str:
        return f"{value:.3g}" if isinstance(value, float) else "null" if value is None else str(value)

    return ", ".join(f"{key} {show(value)}" for key, value in values.items())


def _suggest(trial: optuna.trial.Trial, dimension: Dimension) -> Any:
    if not isinstance(dimension, Range):
        return trial.suggest_categorical(dimension.key, dimension.values)
    if dimension.whole:
        return trial.suggest_int(dimension.key, int(dimension.low), int(dimension.high), log=dimension.log)
    return trial.suggest_float(dimension.key, dimension.low, dimension.high, log=dimension.log)


def _import_optuna(module: str = "optuna") -> Any:
    return import_extra(module, extra="tune", feature="tune")


def _open_study(out: Path, metric: str, content: dict[str, Any]) -> optuna.Study:
    """Open or create the Optuna study in ``out``; trials that a killed process left unfinished count as failed.

    Raises:
        ConfigError: the study has another config or space.
        ModelError: the database cannot be read.
    """
    library, database = _import_optuna(), _import_optuna("sqlalchemy.exc")
    library.logging.set_verbosity(library.logging.ERROR)
    expected = json.dumps(content, sort_keys=True)
    try:
        study: optuna.Study = library.create_study(
            storage=f"sqlite:///{(out / DATABASE_NAME).absolute()}",
            study_name=NAME,
            load_if_exists=True,
            direction="minimize" if metric == "loss" else "maximize",
            pruner=library.pruners.MedianPruner(n_startup_trials=_UNPRUNED_TRIALS, n_warmup_steps=_UNPRUNED_EPOCHS + 1),
        )
        if study.user_attrs.get("made_of", expected) != expected:
            raise ConfigError(f"--out {out}: contains a search with another config or space; name another folder")
        study.set_user_attr("made_of", expected)
        for trial in study.get_trials(deepcopy=False, states=(library.trial.TrialState.RUNNING,)):
            study.tell(trial.number, state=library.trial.TrialState.FAIL)
    except (database.SQLAlchemyError, library.exceptions.OptunaError, RuntimeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        fault = f"not the database of a search, or damaged ({reason}); remove it to start again"
        raise ModelError(out / DATABASE_NAME, fault) from None
    return study
