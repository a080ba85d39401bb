"""The model that training begins with: an earlier run, or a starter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from textrnn.config import Config
from textrnn.serialization.model_file import SavedModel, load_model
from textrnn.tokenization.tokenizer import Tokenizer

_HEAD = ("head.weight", "head.bias")


@dataclass(frozen=True)
class InitialModel:
    """The tokenizer and the weights of the model at ``path``, which may be a starter without labels."""

    path: str
    model: SavedModel

    @classmethod
    def read(cls, config: Config) -> InitialModel | None:
        """Read the model of ``train.init``, or return None without one; raises ModelError as ``load_model`` does."""
        path = config.train.init
        return None if path is None else cls(path, load_model(Path(path), is_starter=None))

    @property
    def is_starter(self) -> bool:
        """True if it has no labels, and so no output layer."""
        return not self.model.labels

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, which all models that begin with this one keep."""
        return self.model.tokenizer

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, which all models that continue from this one keep; a starter has none."""
        return self.model.labels

    @cached_property
    def digest(self) -> str:
        """A SHA-256 digest of all that a model that begins with this one depends on."""
        model = self.model
        digest = hashlib.sha256(json.dumps([model.labels, model.config.model_dump()]).encode() + model.tokenizer.model)
        digest.update(json.dumps([model.temperature, model.ngram_share, model.thresholds]).encode())
        table = model.ngrams
        parts = () if table is None else (table.keys, table.idf, table.weight, table.bias)
        for array in (*(model.weights[name] for name in sorted(model.weights)), *parts):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

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
