"""The configuration: one tree of pydantic models for YAML files, ``--set`` paths and model files."""

from textrnn.config.load import Override, dump_yaml, load_config, parse_override, parse_overrides
from textrnn.config.schema import (
    DEMO,
    Cell,
    Config,
    DataConfig,
    DataFormat,
    ModelConfig,
    ModelType,
    NgramConfig,
    OnError,
    TrainConfig,
    as_list,
    split_fold,
)
from textrnn.config.yaml import read_yaml

__all__ = [
    "DEMO",
    "Cell",
    "Config",
    "DataConfig",
    "DataFormat",
    "ModelConfig",
    "ModelType",
    "NgramConfig",
    "OnError",
    "Override",
    "TrainConfig",
    "as_list",
    "dump_yaml",
    "load_config",
    "parse_override",
    "parse_overrides",
    "read_yaml",
    "split_fold",
]
