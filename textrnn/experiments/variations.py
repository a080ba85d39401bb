"""Experiments that train one config several times: cross-validation, and runs with different seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from textrnn.config import Config, Override, load_config
from textrnn.data.reading.io import is_pipe
from textrnn.errors import ConfigError
from textrnn.serialization.run_folder import default_folder
from textrnn.training.distributed import ProcessGroup


@dataclass(frozen=True)
class Experiment:
    """``count`` runs of ``config`` that differ in one key; ``command`` is the user's command line."""

    config: Config
    count: int
    command: str = field(default="", compare=False)

    kind: ClassVar[str]
    flag: ClassVar[str]
    key: ClassVar[str]
    unit: ClassVar[str | None] = None
    """The kind of the runs that the summary compares, if it is another."""

    @property
    def variations(self) -> dict[str, Config]:
        """The config of each run by the name of its folder."""
        values = self._list_values()
        return {f"{self.kind}-{number}": vary(self.config, {self.key: value}) for number, value in values.items()}

    def _list_values(self) -> dict[int, Any]:
        raise NotImplementedError

    def default_folder(self) -> Path:
        """Return a folder such as ``runs/NAME-CELL-5-folds``."""
        return Path(f"{default_folder(self.config)}-{self.count}-{self.kind}s")

    @property
    def compared(self) -> list[str]:
        """The names of the runs that the summary compares, of which the best is used."""
        return [*self.variations]

    def check(self) -> None:
        """Check the settings before any data are read.

        Raises:
            ConfigError: data come from a pipe, several processes train together, or seeds are out of range.
        """
        check_repeatable(self.config, f"{self.flag} {self.count}")


class CrossValidation(Experiment):
    """Runs that each hold out another fold of the training set."""

    kind, flag, key = "fold", "--kfold", "data.fold"

    def _list_values(self) -> dict[int, Any]:
        return {fold: f"{fold}/{self.count}" for fold in range(1, self.count + 1)}


class SeedRuns(Experiment):
    """Runs with consecutive seeds."""

    kind, flag, key = "seed", "--seeds", "train.seed"

    def _list_values(self) -> dict[int, Any]:
        first = self.config.train.seed
        return {seed: seed for seed in range(first, first + self.count)}

    def check(self) -> None:
        """Check the settings, and that all seeds are valid."""
        if self.config.train.seed + self.count > 2**32:
            raise ConfigError(f"{self.flag} {self.count}: the last seed exceeds {2**32 - 1}; lower --seed")
        super().check()


class LearningCurve(Experiment):
    """Runs on growing parts of the training set, with three consecutive seeds each."""

    kind, flag, key = "part", "--learning-curve", "data.train_share"
    unit = "seed"

    PARTS: ClassVar = (16, 8, 4, 2, 1)
    """The training set is divided by these numbers."""
    SEEDS: ClassVar = 3

    @property
    def variations(self) -> dict[str, Config]:
        """The config of each run by the name of its folder, the smallest parts first."""
        first = self.config.train.seed
        return {
            self.name_run(part, seed): vary(self.config, {self.key: 1 / part, "train.seed": seed})
            for part in self.PARTS
            for seed in range(first, first + self.SEEDS)
        }

    @property
    def compared(self) -> list[str]:
        """The names of the runs on the whole training set."""
        return self.list_runs(1)

    def list_runs(self, part: int) -> list[str]:
        """Return the names of the runs on one of ``part`` parts."""
        first = self.config.train.seed
        return [self.name_run(part, seed) for seed in range(first, first + self.SEEDS)]

    @staticmethod
    def name_run(part: int, seed: int) -> str:
        """Return a name such as ``part-16-seed-42``."""
        return f"part-{part}-seed-{seed}"

    def default_folder(self) -> Path:
        """Return a folder such as ``runs/NAME-CELL-learning-curve``."""
        return Path(f"{default_folder(self.config)}-learning-curve")

    def check(self) -> None:
        """Check the settings, that all seeds are valid, that the share is not set, and that labels are learned."""
        if self.config.data.target == "score":
            raise ConfigError(f"{self.flag}: is a curve of accuracy, but data.target is score; use --seeds or --kfold")
        if self.config.data.train_share != 1:
            raise ConfigError(f"{self.flag}: sets {self.key} for each run; leave it out")
        if self.config.train.seed + self.SEEDS > 2**32:
            raise ConfigError(f"{self.flag}: the last seed exceeds {2**32 - 1}; lower --seed")
        check_repeatable(self.config, self.flag)


KINDS: Mapping[str, type[Experiment]] = {kind.kind: kind for kind in (CrossValidation, SeedRuns, LearningCurve)}


def check_repeatable(config: Config, name: str) -> None:
    """Check that ``config`` can be trained repeatedly; ``name`` is the flag or command that asks for it.

    Raises:
        ConfigError: the config is that of a final model, data come from a pipe, or several processes train together.
    """
    if config.train.refit is not None:
        raise ConfigError(f"{name}: train.refit trains without validation; use the config of {config.train.refit}")
    if ProcessGroup.from_environment().size > 1:
        raise ConfigError(f"{name}: trains in one process; start it without torchrun")
    for path in config.data.training_files:
        if is_pipe(path):
            raise ConfigError(f"{name}: {path} is a pipe, but every run reads the data; write them to a file")


def vary(config: Config, values: Mapping[str, Any]) -> Config:
    """Return ``config`` with ``values``, by their dotted keys; raises ConfigError if they cannot be combined."""
    tree = config.model_dump()
    own = {f"{section}.{key}": value for section, keys in tree.items() for key, value in keys.items()}
    return load_config(overrides=[Override(key, value, key) for key, value in {**own, **values}.items()])
