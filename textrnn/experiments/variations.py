"""What several runs from one config are: a name and a config for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from textrnn.config import DEMO, Config
from textrnn.data.io import is_pipe
from textrnn.errors import ConfigError
from textrnn.serialization.run_folder import default_folder
from textrnn.training.distributed import ProcessGroup

Kind = Literal["fold", "seed"]
FLAGS: Mapping[str, str] = {"fold": "--kfold", "seed": "--seeds"}


@dataclass(frozen=True)
class Study:
    """``count`` runs of ``config``: each holds out another fold of the training text, or has another seed."""

    kind: Kind
    count: int
    config: Config
    command: str = ""

    @property
    def variations(self) -> dict[str, Config]:
        """The config of each run by its name, which is that of its folder."""
        if self.kind == "fold":
            parts = range(1, self.count + 1)
            return {f"fold-{part}": vary(self.config, {"data.fold": f"{part}/{self.count}"}) for part in parts}
        first = self.config.train.seed
        return {f"seed-{seed}": vary(self.config, {"train.seed": seed}) for seed in range(first, first + self.count)}

    @property
    def title(self) -> str:
        """As in ``5 folds``."""
        return f"{self.count} {self.kind}s"

    def default_folder(self) -> Path:
        """Return ``runs/NAME-CELL-5-folds``."""
        single = default_folder(self.config)
        return single.with_name(f"{single.name}-{self.count}-{self.kind}s")

    def check(self) -> None:
        """Check what can be told before anything is read.

        Raises:
            ConfigError: there are no such seeds, the text comes from a pipe, or several processes train together.
        """
        flag = f"{FLAGS[self.kind]} {self.count}"
        if self.kind == "seed" and self.config.train.seed + self.count > 2**32:
            raise ConfigError(f"{flag}: the last seed would be above {2**32 - 1}; begin with a lower --seed")
        check_repeatable(self.config, flag)


def check_repeatable(config: Config, flag: str) -> None:
    """Check that ``config`` can be trained again and again, as ``flag`` wants it.

    Raises:
        ConfigError: text comes from a pipe, or several processes train together.
    """
    if ProcessGroup.from_environment().size > 1:
        raise ConfigError(f"{flag}: trains in one process; leave torchrun out")
    for path in (config.data.train, config.data.valid):
        if path not in (None, DEMO) and is_pipe(path):
            raise ConfigError(f"{flag}: {path} is a pipe, and each run reads it anew; put the text into a file")


def flatten(config: Config) -> dict[str, Any]:
    """Return all values by their dotted keys."""
    tree = config.model_dump()
    return {f"{section}.{key}": value for section, keys in tree.items() for key, value in keys.items()}


def vary(config: Config, values: Mapping[str, Any]) -> Config:
    """Return ``config`` with ``values``, which are named by their dotted keys."""
    tree = config.model_dump()
    for key, value in values.items():
        section, _, name = key.partition(".")
        tree[section][name] = value
    return Config.model_validate(tree)
