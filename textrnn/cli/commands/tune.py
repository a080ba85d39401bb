"""``textrnn tune``: search for better settings."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

from textrnn.cli.options import ConfigSettings
from textrnn.cli.parameters import Argument, Option
from textrnn.cli.terminal import print_message, write_data
from textrnn.cli.training_process import training_process
from textrnn.config import load_config, parse_overrides
from textrnn.errors import pluralize
from textrnn.experiments.search_space import read_space
from textrnn.files import shipped
from textrnn.serialization.initial_config import inherit_settings

_TRIALS = 20  # without --trials and --minutes


def tune_command(
    config: Annotated[
        Path | None, Argument(metavar="CONFIG.yaml", help="The config to start from.  [default: built-in]")
    ] = None,
    trials: Annotated[
        int | None,
        Option(
            metavar="N",
            min=1,
            help="Number of trials, including those of earlier calls.  [default: 20, or no limit with --minutes]",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        Option(metavar="N", min=0.0, help="Start no trial after N minutes; the one that runs is finished."),
    ] = None,
    space: Annotated[
        Path | None,
        Option(metavar="SPACE.yaml", help="The search space.  [default: learning rate, dropout, size, pooling]"),
    ] = None,
    out: Annotated[
        Path | None, Option(metavar="FOLDER", help="Folder of the search.  [default: runs/NAME-CELL-tune]")
    ] = None,
    settings: ConfigSettings = None,
) -> None:
    """Search for better settings with Optuna.

    Prints the path of FOLDER/best.yaml, the config with the best values. Trials that fall behind are stopped early.
    After Ctrl-C, the same command resumes the search. SPACE.yaml has lines such as 'train.lr: {low: 1e-4, high: 1e-2,
    log: true}' and 'model.hidden: {choices: [64, 128]}'.

    \b
      textrnn tune --set data.train=train.tsv --trials 30
      textrnn tune --set data.train=train.tsv --minutes 60
      textrnn tune config.yaml --space space.yaml --out runs/search
      textrnn train "$(textrnn tune config.yaml)"
    """
    overrides = parse_overrides(settings or ())
    resolved = inherit_settings(load_config(config, overrides=overrides))
    if trials is None and minutes is None:
        trials = _TRIALS
    dimensions = read_space(space or shipped("space.yaml"), config, overrides=overrides)
    with training_process(resolved.train.device) as reporter:
        from textrnn.experiments import search
        from textrnn.experiments.results import format_score
        from textrnn.serialization.run_folder import default_folder

        folder = out if out is not None else Path(f"{default_folder(resolved)}-tune")
        command = shlex.join(["textrnn", *sys.argv[1:]])
        best = search.tune(
            resolved, dimensions, folder, trials=trials, minutes=minutes, command=command, reporter=reporter
        )
    print_message(
        f"best of {pluralize(best.done, 'trial', 'trials')} ({best.pruned} stopped early): trial {best.number}, "
        f"{format_score(resolved.train.metric, best.score)} on valid ({search.format_values(best.values)}); "
        f"label lines with: textrnn predict -m {best.folder}"
    )
    write_data(f"{best.path}\n")
