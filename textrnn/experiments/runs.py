"""Training the runs of a study one after the other, and going on with one that was stopped."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from textrnn.config import Config
from textrnn.errors import ConfigError, ModelError, StoppedError
from textrnn.experiments.results import Result, Summary, collect, summarize
from textrnn.experiments.variations import Study
from textrnn.files import keep_previous, write_text
from textrnn.ops.device import resolve_device
from textrnn.preparation.dataset import load_dataset
from textrnn.reporter import Plan, Reporter
from textrnn.serialization.latest_run import CHECKPOINT_NAME, POINTER, STUDY_NAME, is_study, point_to
from textrnn.serialization.run_folder import check_folder
from textrnn.training.train import Outcome, reporting, resume, train

SUMMARY_NAME = "summary.json"
FORMAT_VERSION = 1

_OWN = re.compile(r"study\.json|summary\.json|(fold|seed)-\d+|\.(study|summary)\.json\..*\.tmp")


def run_study(study: Study, out: Path, *, overwrite: bool = False, reporter: Reporter | None = None) -> Summary:
    """Train all runs of ``study`` into folders in ``out``, and write ``out/summary.json``; the best becomes the latest.

    An earlier study in ``out`` is kept as ``out.1``, or with ``overwrite`` deleted when all runs are done.

    Raises:
        ConfigError: the study cannot be run, or ``out`` holds something else.
        StoppedError: a signal ended it.
        Others as :func:`textrnn.training.train`.
    """
    shown = reporter or Reporter()
    study.check()
    _check_out(out)
    resolve_device(study.config.train.device)
    # faults are told before anything is moved; if a fold is empty, the last is
    with reporting(Quiet(shown)) as quiet:
        load_dataset(list(study.variations.values())[-1], quiet)
    earlier = [kept for _, kept in keep_previous(out)] if out.exists() and any(out.iterdir()) else []
    for kept in earlier:
        until = " until this one is done" if overwrite else ""
        shown.note(f"an earlier study was in {out}; it is kept as {kept}{until}")
    _write_state(out, study, {})
    summary = _go_on(study, out, {}, reporter=shown)
    if overwrite:
        for kept in earlier:
            shutil.rmtree(kept)
    return summary


def resume_study(out: Path, *, wanted: Study | None = None, reporter: Reporter | None = None) -> Summary:
    """Go on with the study in ``out``: finished runs are kept, an interrupted one is gone on with.

    It ends with the bytes of one that was never stopped.

    Raises:
        ConfigError: the study in ``out`` is another than ``wanted``.
        ModelError: there is no study in ``out``, or its record is damaged.
        Others as :func:`run_study`.
    """
    study, results = _read_state(out)
    study.check()
    if wanted is not None and (wanted.kind, wanted.count, wanted.config) != (study.kind, study.count, study.config):
        raise ConfigError(
            f"--resume {out}: holds a study of other settings; leave them out: textrnn train --resume {out}"
        )
    return _go_on(study, out, results, reporter=reporter or Reporter())


class Quiet(Reporter):
    """Passes on how text is read and how steps come along, and no lines."""

    def __init__(self, shown: Reporter) -> None:
        self._shown = shown

    def load(self, what: str, done: int, total: int | None) -> None:
        """Pass on how much is read."""
        self._shown.load(what, done, total)

    def begin(self, plan: Plan) -> None:
        """Pass on the plan."""
        self._shown.begin(plan)

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        """Pass on the state of the epoch."""
        self._shown.step(epoch, loss, tokens_per_second)

    def close(self) -> None:
        """Pass on the end."""
        self._shown.close()


def _go_on(study: Study, out: Path, results: dict[str, Result], *, reporter: Reporter) -> Summary:
    """Train the runs that are not in ``results`` yet."""
    for number, (name, config) in enumerate(study.variations.items(), start=1):
        if name in results:
            continue
        reporter.note(f"{name}, run {number} of {study.count}")
        hint = (
            f"{len(results)} of {study.count} runs are done; "
            f"go on with: {shlex.join(['textrnn', 'train', '--resume', str(out)])}"
        )
        try:
            results[name] = collect(_train_one(config, out / name, study.command, reporter=reporter))
        except StoppedError as error:
            raise StoppedError(error.number, hint) from None
        except KeyboardInterrupt:
            reporter.note(hint)
            raise
        _write_state(out, study, results)
    summary = summarize(study.kind, study.config.train.metric, results)
    write_text(out / SUMMARY_NAME, json.dumps(summary.to_dict(), indent=2) + "\n")
    make_latest(out / summary.best, reporter)
    return summary


def _train_one(config: Config, folder: Path, command: str, *, reporter: Reporter) -> Outcome:
    """Train a run from its checkpoint, or from its beginning."""
    if (folder / CHECKPOINT_NAME).exists():
        return resume(folder, reporter=reporter, is_latest=False)
    return train(config, folder, command=command, overwrite=True, reporter=reporter, is_latest=False)


def make_latest(folder: Path, reporter: Reporter) -> None:
    """Make the run in ``folder`` the latest; where that cannot be written, say so."""
    try:
        point_to(folder)
    except OSError as error:
        reporter.note(f"{POINTER}: cannot be written ({error.strerror}); name this run with -m {folder}")


def _check_out(out: Path) -> None:
    check_folder(out, flag="--out")
    if out.name in ("", ".."):
        raise ConfigError(f"--out {out}: a study goes into a folder of its own; name a new one")
    others = [path.name for path in out.iterdir() if not _OWN.fullmatch(path.name)] if out.exists() else []
    if others or (out.exists() and any(out.iterdir()) and not is_study(out)):
        named = min(others or [path.name for path in out.iterdir()])
        raise ConfigError(f"--out {out}: holds {named}, no part of a study; name an empty or a new folder")


def _write_state(out: Path, study: Study, results: dict[str, Result]) -> None:
    state: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "kind": study.kind,
        "count": study.count,
        "command": study.command,
        "config": study.config.model_dump(),
        "results": {name: asdict(result) for name, result in results.items()},
    }
    write_text(out / STUDY_NAME, json.dumps(state, indent=2) + "\n")


def _read_state(out: Path) -> tuple[Study, dict[str, Result]]:
    path = out / STUDY_NAME
    if not path.is_file():
        raise ModelError(out, f"holds no {STUDY_NAME}: no study was begun there")
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {state['format_version']}")
        config = Config.model_validate(state["config"])
        study = Study(state["kind"], state["count"], config, state["command"])
        return study, {name: Result(**state["results"][name]) for name in study.variations if name in state["results"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise ModelError(path, f"not the record of a study, or damaged ({reason}); run the study again") from None
