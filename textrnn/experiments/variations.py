"""Experiments that train one config several times: cross-validation, and runs with different seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from textrnn.config import DEMO, Config
from textrnn.data.io import is_pipe
from textrnn.errors import ConfigError
from textrnn.serialization.run_folder import default_folder
from textrnn.training.distributed import ProcessGroup


@dataclass(frozen=True)
class Experiment:
    """``count`` runs of ``config`` that differ in one key; ``command`` is the user's command line."""

    config: Config
    count: int
    command: str = ""

    kind: ClassVar[str]
    flag: ClassVar[str]

    @property
    def variations(self) -> dict[str, Config]:
        """The config of each run by the name of its folder."""
        raise NotImplementedError

    def default_folder(self) -> Path:
        """Return a folder such as ``runs/NAME-CELL-5-folds``."""
        single = default_folder(self.config)
        return single.with_name(f"{single.name}-{self.count}-{self.kind}s")

    def check(self) -> None:
        """Check the settings before any data are read.

        Raises:
            ConfigError: data come from a pipe, several processes train together, or seeds are out of range.
        """
        check_repeatable(self.config, f"{self.flag} {self.count}")


class CrossValidation(Experiment):
    """Runs that each hold out another fold of the training set."""

    kind, flag = "fold", "--kfold"

    @property
    def variations(self) -> dict[str, Config]:
        """The config of each fold by its name."""
        folds = range(1, self.count + 1)
        return {f"fold-{fold}": vary(self.config, {"data.fold": f"{fold}/{self.count}"}) for fold in folds}


class SeedRuns(Experiment):
    """Runs with consecutive seeds."""

    kind, flag = "seed", "--seeds"

    @property
    def variations(self) -> dict[str, Config]:
        """The config of each seed by its name."""
        first = self.config.train.seed
        return {f"seed-{seed}": vary(self.config, {"train.seed": seed}) for seed in range(first, first + self.count)}

    def check(self) -> None:
        """Check the settings, and that all seeds are valid."""
        if self.config.train.seed + self.count > 2**32:
            raise ConfigError(f"{self.flag} {self.count}: the last seed exceeds {2**32 - 1}; lower --seed")
        super().check()


KINDS: Mapping[str, type[Experiment]] = {kind.kind: kind for kind in (CrossValidation, SeedRuns)}


def check_repeatable(config: Config, name: str) -> None:
    """Check that ``config`` can be trained repeatedly; ``name`` is the flag or command that asks for it.

    Raises:
        ConfigError: data come from a pipe, or several processes train together.
    """
    if ProcessGroup.from_environment().size > 1:
        raise ConfigError(f"{name}: trains in one process; start it without torchrun")
    for path in (config.data.train, config.data.valid):
        if path not in (None, DEMO) and is_pipe(path):
            raise ConfigError(f"{name}: {path} is a pipe, but every run reads the data; write them to a file")


def flatten(config: Config) -> dict[str, Any]:
    """Return all values by their dotted keys."""
    tree = config.model_dump()
    return {f"{section}.{key}": value for section, keys in tree.items() for key, value in keys.items()}


def vary(config: Config, values: Mapping[str, Any]) -> Config:
    """Return ``config`` with ``values``, by their dotted keys."""
    tree = config.model_dump()
    for key, value in values.items():
        section, _, name = key.partition(".")
        tree[section][name] = value
    return Config.model_validate(tree)
