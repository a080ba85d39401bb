"""The model that training begins with: an earlier run, or a starter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from textrnn.config import Config
from textrnn.errors import ConfigError
from textrnn.serialization.model_file import SavedModel, load_model
from textrnn.tokenization.tokenizer import Tokenizer

_SHAPE = ("cell", "layers", "hidden", "embedding", "bidirectional", "pooling", "layer_norm")
_HEAD = ("head.weight", "head.bias")


@dataclass(frozen=True)
class InitialModel:
    """The tokenizer and the weights of the model at ``path``, which may be a starter without labels."""

    path: str
    model: SavedModel

    @classmethod
    def read(cls, config: Config) -> InitialModel:
        """Read the model of ``train.init``.

        Raises:
            ModelError: it is missing or damaged.
            ConfigError: ``config`` asks for a network of another shape.
        """
        path = config.train.init
        assert path is not None
        initial = cls(path, load_model(Path(path), is_starter=None))
        asked = config.model
        faults = [
            f"model.{key}: is {getattr(asked, key)}, but that of train.init ({path}) is {value}; leave it out"
            for key, value in initial.shape.items()
            if key in asked.model_fields_set and getattr(asked, key) != value
        ]
        if faults:
            raise ConfigError(faults)
        return initial

    @property
    def is_starter(self) -> bool:
        """True if it has no labels, and so no output layer."""
        return not self.model.labels

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, which all models that begin with this one keep."""
        return self.model.tokenizer

    @property
    def shape(self) -> Mapping[str, Any]:
        """The keys of ``model`` that the weights decide."""
        return {key: getattr(self.model.config.model, key) for key in _SHAPE}

    @torch.no_grad()
    def initialize(self, network: nn.Module, labels: Sequence[str]) -> None:
        """Write the weights into ``network``; rows of the head for labels that this model lacks stay as they are."""
        own = {label: index for index, label in enumerate(self.model.labels)}
        known = [(row, own[label]) for row, label in enumerate(labels) if label in own]
        rows, sources = map(list, zip(*known, strict=True)) if known else ([], [])
        parameters = network.state_dict()
        for name, value in self.model.weights.items():
            if name not in _HEAD:
                parameters[name].copy_(torch.from_numpy(np.array(value)))
            else:
                parameters[name][rows] = torch.from_numpy(value[sources])

    def describe(self) -> str:
        """Return one line about it."""
        kind = "starter" if self.is_starter else "model"
        return f"initial {kind}: weights and tokenizer of {len(self.tokenizer):,} pieces from {self.path}"
