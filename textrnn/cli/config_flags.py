"""The flags of config keys, which ``train`` and ``distill`` share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from textrnn.cli.parameters import Option
from textrnn.config import Cell, Override, parse_overrides
from textrnn.errors import ConfigError

CellOption = Annotated[Cell | None, Option(help="Recurrent cell.  [default: sru]")]
TrainOption = Annotated[
    list[str] | None, Option(metavar="FILE", help="Training set; repeatable.  [default: demo data]")
]
ValidOption = Annotated[str | None, Option(metavar="FILE", help="Validation set.  [default: 10 % of the training set]")]
TokenizerOption = Annotated[
    str | None, Option(metavar="FILE", help="SentencePiece .model.  [default: trained on the training set]")
]
VectorsOption = Annotated[
    str | None,
    Option(metavar="FILE", help="Pretrained word vectors: GloVe, .vec, .bin, .npy, model2vec folder.  [default: none]"),
]
LayersOption = Annotated[int | None, Option(metavar="N", help="Recurrent layers.  [default: 2]")]
HiddenOption = Annotated[int | None, Option(metavar="N", help="Hidden size per direction.  [default: 128]")]
EpochsOption = Annotated[
    int | None, Option(metavar="N", help="Maximum number of epochs.  [default: 12 to 30, more for small data]")
]
BatchSizeOption = Annotated[
    int | None, Option(metavar="N", help="Texts per step.  [default: 8 to 64, more for large data]")
]
LearningRateOption = Annotated[float | None, Option(metavar="RATE", help="Peak learning rate.  [default: 0.003]")]
SeedOption = Annotated[int | None, Option(metavar="N", help="Random seed.  [default: 42]")]
DeviceOption = Annotated[str | None, Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.  [default: auto]")]
TensorBoardOption = Annotated[bool, Option("--tensorboard", help="Write TensorBoard events to FOLDER/tensorboard.")]
OverwriteOption = Annotated[
    bool, Option("--overwrite", help="Delete an earlier run in FOLDER instead of keeping it as FOLDER.1.")
]

_KEYS = {
    "cell": "model.cell",
    "train": "data.train",
    "valid": "data.valid",
    "tokenizer": "tokenizer.model",
    "vectors": "embedding.vectors",
    "layers": "model.layers",
    "hidden": "model.hidden",
    "epochs": "train.epochs",
    "batch_size": "train.batch_size",
    "lr": "train.lr",
    "seed": "train.seed",
    "device": "train.device",
    "tensorboard": "train.tensorboard",
}
"""The config key of each flag, by the name of its parameter."""


def collect_overrides(options: Mapping[str, Any]) -> list[Override]:
    """Return the config overrides of ``options``, the arguments of a command by name: ``--set``, then the flags.

    Raises:
        ConfigError: a training file or a key is given twice, or a value is not of the type of its key.
    """
    train: list[str] = options["train"] or []
    if repeated := next((path for path in train if train.count(path) > 1), None):
        raise ConfigError(f"--train {repeated}: given twice; name each file once")
    values = {**options, "train": train if len(train) > 1 else next(iter(train), None)}
    overrides = parse_overrides(options["settings"] or ())
    for name, key in _KEYS.items():
        if (value := values[name]) is not None and value is not False:
            overrides.append(Override(key, value, f"--{name.replace('_', '-')} {value}"))
    return overrides
