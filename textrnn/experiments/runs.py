"""Training and resuming the runs of an experiment, one after the other."""

from __future__ import annotations

import json
import shlex
import shutil
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from textrnn.config import check_config
from textrnn.errors import ConfigError, ModelError, StoppedError
from textrnn.evaluation.learning_curve import Curve, fit_curve
from textrnn.experiments.held_out import predict_held_out
from textrnn.experiments.out_of_fold import OUT_OF_FOLD_NAME, write_out_of_fold
from textrnn.experiments.results import Result, Summary, collect, summarize
from textrnn.experiments.variations import KINDS, CrossValidation, Experiment, LearningCurve
from textrnn.files import keep_previous, write_text
from textrnn.ops.device import resolve_device
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import NewNotes, ProgressOnly, Reporter
from textrnn.serialization.initial_config import check_init_folder
from textrnn.serialization.latest_run import CHECKPOINT_NAME, EXPERIMENT_NAME, SUMMARY_NAME, make_latest
from textrnn.serialization.run_folder import check_folder
from textrnn.training.train import reporting, resume, train

FORMAT_VERSION = 1

_FILES = r"(study|summary)\.json|out_of_fold\.jsonl|report\.html"
_OWN = rf"{_FILES}|(fold|seed|part-\d+-seed)-\d+|\.({_FILES})\..*\.tmp"


def run_experiment(
    experiment: Experiment, out: Path, *, overwrite: bool = False, reporter: Reporter | None = None
) -> Summary:
    """Train all runs of ``experiment`` into folders in ``out``, and write ``out/summary.json``.

    The best run becomes the latest. An earlier experiment in ``out`` moves to ``out.1``; with ``overwrite`` it is
    deleted once all runs are done.

    Raises:
        ConfigError: the experiment is invalid, or ``out`` has other content.
        StoppedError: a signal ended it.
        Others as :func:`textrnn.training.train.train`.
    """
    reporter = reporter or Reporter()
    experiment.check()
    if out.name in ("", ".."):
        raise ConfigError(f"--out {out}: an experiment needs a folder of its own; name a new one")
    check_init_folder(experiment.config, out)
    check_folder(out, flag="--out", kind="an experiment", own=_OWN, required=EXPERIMENT_NAME)
    resolve_device(experiment.config.train.device)
    # report faults of the data before anything moves; if any fold is empty, the last one is
    with reporting(ProgressOnly(reporter)) as progress:
        load_dataset(list(experiment.variations.values())[-1], progress)
    earlier = [moved for _, moved in keep_previous(out)] if out.exists() and any(out.iterdir()) else []
    for moved in earlier:
        until = " until this one is done" if overwrite else ""
        reporter.note(f"moved the earlier experiment in {out} to {moved}{until}")
    _write_state(out, experiment, {})
    summary = _train_all(experiment, out, {}, reporter=reporter)
    if overwrite:
        for moved in earlier:
            shutil.rmtree(moved)
    return summary


def resume_experiment(out: Path, *, expected: Experiment | None = None, reporter: Reporter | None = None) -> Summary:
    """Resume the experiment in ``out``: keep its finished runs, resume an interrupted one, train the others.

    The result has the same bytes as that of an uninterrupted experiment.

    Raises:
        ConfigError: the experiment in ``out`` differs from ``expected``.
        ModelError: ``out`` holds no experiment, or its record is damaged.
        Others as :func:`run_experiment`.
    """
    experiment, results = _read_state(out)
    experiment.check()
    if expected not in (None, experiment):
        raise ConfigError(
            f"--resume {out}: contains an experiment with other settings; leave them out: textrnn train --resume {out}"
        )
    return _train_all(experiment, out, results, reporter=reporter or Reporter())


def _train_all(experiment: Experiment, out: Path, results: dict[str, Result], *, reporter: Reporter) -> Summary:
    """Train the runs that are not in ``results`` yet, and summarize all."""
    reporter = NewNotes(reporter)
    for number, (name, config) in enumerate(experiment.variations.items(), start=1):
        if name in results:
            continue
        reporter.note(f"{name}, run {number} of {experiment.count}")
        command = shlex.join(["textrnn", "train", "--resume", str(out)])
        hint = f"{len(results)} of {experiment.count} runs are done; resume with: {command}"
        try:
            if (out / name / CHECKPOINT_NAME).exists():
                outcome = resume(out / name, reporter=reporter, is_latest=False)
            else:
                outcome = train(
                    config, out / name, command=experiment.command, overwrite=True, reporter=reporter, is_latest=False
                )
            results[name] = collect(outcome)
        except StoppedError as error:
            raise StoppedError(error.number, hint) from None
        except KeyboardInterrupt:
            reporter.note(hint)
            raise
        _write_state(out, experiment, results)
    compared = {name: results[name] for name in experiment.compared}
    curve = _fit_curve(experiment, results) if isinstance(experiment, LearningCurve) else None
    summary = summarize(experiment.unit or experiment.kind, experiment.config.train.metric, compared, curve=curve)
    write_text(out / SUMMARY_NAME, json.dumps(asdict(summary), indent=2) + "\n")
    make_latest(out / summary.best, reporter)
    if isinstance(experiment, CrossValidation) and _has_probabilities(experiment):
        _keep_out_of_fold(experiment, out)
    return summary


def _fit_curve(experiment: LearningCurve, results: dict[str, Result]) -> Curve:
    """Return the learning curve of the finished runs ``results``."""
    configs = experiment.variations
    accuracies: dict[int, list[float]] = {}
    for part in experiment.PARTS:
        names = experiment.list_runs(part)
        sizes = [len(load_dataset(configs[name], Reporter()).train) for name in names]
        texts = round(statistics.fmean(sizes))  # the hold-out differs by a few texts between seeds
        accuracies.setdefault(texts, []).extend(results[name].valid["accuracy"] for name in names)
    return fit_curve(accuracies)


def _has_probabilities(experiment: CrossValidation) -> bool:
    """Return whether the runs predict the probabilities of single labels."""
    data = experiment.config.data
    return data.target == "label" and not data.multi_label


def _keep_out_of_fold(experiment: CrossValidation, out: Path) -> None:
    """Write the out-of-fold probabilities, unless they are there: a folder has those of one experiment only."""
    path = out / OUT_OF_FOLD_NAME
    if not path.exists():
        write_out_of_fold(path, predict_held_out({out / name: run for name, run in experiment.variations.items()}))


def _write_state(out: Path, experiment: Experiment, results: dict[str, Result]) -> None:
    state: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "kind": experiment.kind,
        "count": experiment.count,
        "command": experiment.command,
        "config": experiment.config.model_dump(),
        "results": {name: asdict(result) for name, result in results.items()},
    }
    write_text(out / EXPERIMENT_NAME, json.dumps(state, indent=2) + "\n")


def _read_state(out: Path) -> tuple[Experiment, dict[str, Result]]:
    path = out / EXPERIMENT_NAME
    if not path.is_file():
        raise ModelError(out, f"contains no {EXPERIMENT_NAME}; name the folder of an experiment")
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {state['format_version']}")
        config = check_config(state["config"])
        experiment = KINDS[state["kind"]](config, state["count"], state["command"])
        stored = state["results"]
        return experiment, {name: Result(**stored[name]) for name in experiment.variations if name in stored}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise ModelError(path, f"not the record of an experiment, or damaged ({reason}); run it again") from None
