"""``textrnn tune``: search for better settings."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from textrnn.cli.terminal import say, write_data
from textrnn.cli.training_process import training_process
from textrnn.config import load_config, parse_overrides
from textrnn.experiments.search_space import read_space
from textrnn.files import shipped


def tune_command(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.yaml", help="The config whose keys vary.  [default: none]")
    ] = None,
    trials: Annotated[int, typer.Option(metavar="N", min=1, help="Trials in all, earlier ones with them.")] = 20,
    space: Annotated[
        Path | None, typer.Option(metavar="SPACE.yaml", help="What varies.  [default: rate, dropout, size, pooling]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The search's folder.  [default: runs/NAME-CELL-tune]")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="path.to.key=value", help="Any key of the config that does not vary."),
    ] = None,
) -> None:
    """Search for better settings of a config with Optuna.

    Prints the path of FOLDER/best.yaml, a config with the best values; its first line is the command that trains it.
    A trial that falls behind is given up. Ctrl-C ends the search, and the same command goes on with it. SPACE.yaml has
    lines such as 'train.lr: {low: 1e-4, high: 1e-2, log: true}' and 'model.hidden: {choices: [64, 128]}'.

    \b
      textrnn tune --set data.train=train.tsv --set data.valid=valid.tsv --trials 30
      textrnn tune config.yaml --space space.yaml --out runs/search
      textrnn train "$(textrnn tune config.yaml)"
    """
    overrides = parse_overrides(settings or ())
    resolved = load_config(config, overrides=overrides)
    dimensions = read_space(space or shipped("space.yaml"), config, overrides=overrides)
    with training_process(resolved.train.device) as reporter:
        from textrnn.experiments import search
        from textrnn.experiments.results import format_score

        folder = out if out is not None else search.default_search_folder(resolved)
        command = shlex.join(["textrnn", *sys.argv[1:]])
        found = search.tune(resolved, dimensions, folder, trials=trials, command=command, reporter=reporter)
    say(
        f"best of {found.done} trials ({found.pruned} given up): trial {found.number}, "
        f"{format_score(resolved.train.metric, found.score)} on valid ({search.format_values(found.values)}); "
        f"label lines with: textrnn predict -m {found.folder}"
    )
    write_data(f"{found.path}\n")
