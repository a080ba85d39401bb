"""The configuration: one tree of pydantic models is the YAML file, the ``--set`` paths and a model's record."""

from textrnn.config.loading import Override, dump_yaml, load_config, parse_override, parse_overrides
from textrnn.config.sections import (
    DEMO,
    Cell,
    Config,
    DataConfig,
    DataFormat,
    ModelConfig,
    ModelType,
    NgramConfig,
    TrainConfig,
    split_fold,
)
from textrnn.config.yamlfile import read_yaml

__all__ = [
    "DEMO",
    "Cell",
    "Config",
    "DataConfig",
    "DataFormat",
    "ModelConfig",
    "ModelType",
    "NgramConfig",
    "Override",
    "TrainConfig",
    "dump_yaml",
    "load_config",
    "parse_override",
    "parse_overrides",
    "read_yaml",
    "split_fold",
]
