"""The configuration: one tree of sections for YAML files, ``--set`` paths and model files."""

from textrnn.config.load import (
    Override,
    check_config,
    dump_yaml,
    fill_config,
    load_config,
    parse_override,
    parse_overrides,
)
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
    "check_config",
    "dump_yaml",
    "fill_config",
    "load_config",
    "parse_override",
    "parse_overrides",
    "split_fold",
]
