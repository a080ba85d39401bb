"""The configuration: one tree of pydantic models for YAML files, ``--set`` paths and model files."""

from textrnn.config.load import Override, check_config, dump_yaml, load_config, parse_override, parse_overrides
from textrnn.config.schema import (
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
    "check_config",
    "dump_yaml",
    "load_config",
    "parse_override",
    "parse_overrides",
    "split_fold",
]
