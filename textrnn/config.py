"""The configuration: one tree of pydantic models is the YAML file, the ``--set`` paths and a model's record."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from textrnn.errors import ConfigError

Cell = Literal["gru", "sru", "lstm"]
Pooling = Literal["last", "max", "mean", "max+mean", "attention"]
DataFormat = Literal["auto", "tsv", "csv", "jsonl", "fasttext"]
ModelType = Literal["unigram", "bpe", "char", "word"]
Precision = Literal["fp32", "bf16", "fp16"]
Schedule = Literal["linear", "cosine", "constant", "one-cycle"]
Metric = Literal["accuracy", "micro_f1", "macro_f1", "weighted_f1", "loss"]

_FOLD = r"^[1-9]\d{0,3}/[1-9]\d{0,3}$"

DEMO = "demo"
"""As ``data.train``: the demo data that ships with the package."""


class Section(BaseModel):
    """A group of keys: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def _check_class_weights(value: Any) -> Any:
    known = value is None or value == "balanced"
    if not known and not (
        isinstance(value, dict)
        and all(isinstance(weight, int | float) and 0 < weight < float("inf") for weight in value.values())
    ):
        raise ValueError("should be balanced, or a number above 0 by label, as in {spam: 2.0}")
    return value if known else {str(label): float(weight) for label, weight in value.items()}


ClassWeights = Annotated[Literal["balanced"] | dict[str, float] | None, BeforeValidator(_check_class_weights)]


class DataConfig(Section):
    """Where the labelled text is, and how it is written."""

    train: str = Field(DEMO, min_length=1, description="labelled training text; 'demo' is the shipped demo data")
    valid: str | None = Field(None, description="labelled text to stop on; none: a part of train is held out")
    test: str | None = Field(None, description="labelled text to score the finished model on")
    format: DataFormat = Field("auto", description="auto goes by the file's extension and first line")
    label: str = Field("label", min_length=1, description="the column that holds the label (CSV, JSON Lines)")
    text: str = Field("text", min_length=1, description="the column that holds the text (CSV, JSON Lines)")
    multi_label: bool = Field(False, description="a text may have several labels, or none")
    label_separator: str | None = Field(
        None, min_length=1, description="what stands between a text's labels; none: each stands for itself"
    )
    valid_share: float = Field(0.1, gt=0, lt=1, description="share of train that is held out without data.valid")
    fold: str | None = Field(
        None,
        pattern=_FOLD,
        description="K/N, which holds out the K-th of N parts of train (--kfold N trains on each); none: valid_share",
    )
    max_length: int = Field(512, ge=1, le=1_000_000, description="pieces of a text that are read; the rest is left out")
    cache: str | None = Field(
        None, min_length=1, description="folder that keeps encoded text; none: textrnn in the user's cache folder"
    )


class TokenizerConfig(Section):
    """The SentencePiece model: one that exists, or one that is trained on the training text."""

    model: str | None = Field(None, description="a SentencePiece .model file; none: train one")
    vocab_size: int = Field(
        4000, ge=2, le=10_000_000, description="pieces at most; fewer when the text is too small for them"
    )
    model_type: ModelType = Field("unigram", description="the kind of tokenizer that is trained")
    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="draw a text's pieces anew in each epoch: unigram's smoothing (0.1 to 0.5; less is more varied), "
        "bpe's share of merges left out (0.1); none: always the same",
    )


class EmbeddingConfig(Section):
    """What the pieces' vectors begin with."""

    vectors: str | None = Field(
        None,
        min_length=1,
        description="pretrained word vectors (GloVe, .vec, .npy) for the pieces that are words; none",
    )
    freeze: bool = Field(False, description="leave the pretrained part of the vectors as it is")


class ModelConfig(Section):
    """The network."""

    cell: Cell = Field("sru", description="the recurrent cell")
    layers: int = Field(2, ge=1, le=64, description="recurrent layers")
    hidden: int = Field(128, ge=1, le=65536, description="width of a layer, per direction")
    embedding: int = Field(256, ge=1, le=65536, description="width of a piece's vector")
    bidirectional: bool = Field(True, description="read each text in both directions")
    pooling: Pooling = Field("max+mean", description="how the states of a text become one vector")
    dropout: float = Field(0.5, ge=0, lt=1, description="on embeddings, between layers and before the last product")
    variational_dropout: bool = Field(
        False, description="drop the same columns in all steps of a text, in place of others in each"
    )
    layer_norm: bool = Field(True, description="normalise the input of each recurrent layer")
    highway_bias: float = Field(
        0.0, ge=-20, le=20, description="SRU: initial bias of the reset gate; below 0 for deep stacks"
    )


class TrainConfig(Section):
    """The optimisation."""

    epochs: int = Field(20, ge=1, le=1_000_000, description="passes over the training text, at most")
    batch_size: int | None = Field(
        None, ge=1, le=1_000_000, description="texts in a step; none: 8, 16 or 32, by the number of training texts"
    )
    batch_tokens: int | None = Field(
        None, ge=1, le=1_000_000_000, description="pieces in a step at most, in place of a number of texts"
    )
    max_steps: int | None = Field(
        None, ge=1, le=1_000_000_000_000, description="steps at most; the last epoch ends early; none: as epochs say"
    )
    accumulate: int = Field(
        1, ge=1, le=1_000_000, description="parts in which a step's batch is computed, one after the other: less memory"
    )
    precision: Precision = Field("fp32", description="fp32, or by autocast bf16, or fp16 (CUDA only)")
    compile: bool = Field(False, description="compile the network with torch.compile")
    lr: float = Field(0.002, gt=0, description="highest learning rate of AdamW")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decoupled weight decay")
    schedule: Schedule = Field("linear", description="how the rate goes on after it has risen")
    warmup: float = Field(0.05, ge=0, lt=1, description="share of all steps in which the rate rises")
    clip_norm: float = Field(1.0, gt=0, description="largest norm of all gradients together")
    class_weights: ClassWeights = Field(
        None, description="balanced, or a weight by label (others have 1): how much an error on its texts counts"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target that all classes have together")
    focal_gamma: float = Field(
        0.0, ge=0, le=10, description="above 0: texts that are right already count less (focal loss; 2 is usual)"
    )
    word_dropout: float = Field(0.0, ge=0, lt=1, description="share of the pieces that are read as unknown in training")
    embedding_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the vocabulary whose vectors are dropped, wherever they stand in a batch"
    )
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of a running mean of the weights, which is judged and saved (0.999); 0: none",
    )
    patience: int = Field(5, ge=1, le=1_000_000, description="epochs without a better metric before training stops")
    checkpoint_minutes: float = Field(
        10.0, ge=0, description="minutes between checkpoints, which --resume goes on from; 0: one after each step"
    )
    metric: Metric = Field(
        "accuracy", description="what valid is judged by; the best weights are kept; micro_f1 with data.multi_label"
    )
    tensorboard: bool = Field(False, description="write events for TensorBoard into the run folder")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(42, description="fixes everything that is drawn at random")
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|mps|cuda(:\d{1,3})?)$", description="auto, cpu, cuda, cuda:N or mps"
    )


class Config(Section):
    """Everything that decides what a training run gives."""

    data: DataConfig = DataConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="before")
    @classmethod
    def _judge_sets_by_f1(cls, tree: Any) -> Any:
        """With several labels a text the metric is micro_f1 where none is said."""
        data, train = (tree.get(name, {}) if isinstance(tree, dict) else None for name in ("data", "train"))
        if not isinstance(data, dict) or data.get("multi_label") is not True or not isinstance(train, dict):
            return tree
        return {**tree, "train": {"metric": "micro_f1", **train}}


@dataclass(frozen=True)
class Override:
    """One value that beats the file's: its dotted key, the value, and how the user wrote it."""

    key: str
    value: Any
    origin: str


_SIGNS = ("|", ">", ",", "&")  # of YAML's own, that no value begins with on a line of its own: separators, most likely
_NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)  # dates and numbers out of range are ValueErrors


class _Loader(yaml.SafeLoader):
    """YAML 1.1 but for numbers: 1e-3 is a number here, as everyone who writes it expects."""


class _Dumper(yaml.SafeDumper):
    """Writes what :class:`_Loader` reads."""


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+$"),
        list("-+.0123456789"),
    )


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    breaks = any(character in text for character in "\n\r\x85\u2028\u2029")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if breaks else None)


_Dumper.add_representer(str, _represent_text)


def parse_overrides(texts: Iterable[str]) -> list[Override]:
    """Parse every one of ``texts`` by :func:`parse_override`; raises ConfigError with all their faults."""
    overrides, faults = [], []
    for text in texts:
        try:
            overrides.append(parse_override(text))
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return overrides


def parse_override(text: str) -> Override:
    """Parse ``path.to.key=value``; the value is read as YAML.

    Raises:
        ConfigError: there is no ``=``, no key, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    origin = f"--set {text}"
    if not equals or not key.strip():
        raise ConfigError(f"{origin}: write it as path.to.key=value, as in --set train.lr=0.001")
    try:
        parsed = value if value in _SIGNS else yaml.load(value, _Loader)  # a SafeLoader
        return Override(key.strip(), parsed, origin)
    except _NOT_YAML:
        raise ConfigError(f"{origin}: the value is not YAML; quote it, as in --set '{key}=\"a: b\"'") from None


def load_config(path: Path | None = None, *, overrides: Iterable[Override] = ()) -> Config:
    """Read the YAML file at ``path`` (none: defaults), lay ``overrides`` over it in order, and check the whole.

    Raises:
        ConfigError: with one line for each fault, naming the file and line (or the flag), the key and a suggestion.
    """
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    faults: list[str] = []
    if path is not None:
        tree, origins, faults = read_yaml(path)
        tree = {name: value for name, value in tree.items() if value is not None}  # all keys of it are commented out
    for override in overrides:
        if _put(tree, override.key.split("."), override.value):
            origins[override.key] = override.origin
        else:
            faults.append(f"{override.origin}: {override.key}: not a key; {_list_sections()}")
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        faults += [_describe(fault, origins, path) for fault in error.errors()]
    for find in (_find_lone_valid, _find_two_sizes, _find_lone_freeze, _find_bad_fold, _find_lone_separator):
        faults += find(tree, origins, path)
    if faults:
        raise ConfigError(faults)
    return config


def dump_yaml(config: Config) -> str:
    """Return ``config`` as YAML that :func:`load_config` reads back to the same."""
    return yaml.dump(config.model_dump(), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Return the tree in the file at ``path``, where each key stands, and the faults of keys that stand twice.

    Raises:
        ConfigError: the file cannot be read, or holds no keys.
    """
    tree, node = _parse_yaml(path)
    if tree is None:
        return {}, {}, []
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: holds no keys; {_list_sections()}{_hint_at_data(path)}")
    origins: dict[str, str] = {}
    faults = []
    for key, line in _walk(node, ""):
        if key in origins:
            faults.append(f"{path}:{line}: {key}: written twice; keep one")
        origins[key] = f"{path}:{line}"
    return tree, origins, faults


def _parse_yaml(path: Path) -> tuple[Any, Any]:
    node = None
    try:
        text = path.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, _Loader)
        return yaml.load(text, _Loader), node  # a SafeLoader
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such config file; 'textrnn init' writes one to start from") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: a folder, not a config file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a YAML file (it is not UTF-8 text)") from None
    except _NOT_YAML as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else _find_bad_value(node)
        where = f"{path}:{line}" if line else str(path)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise ConfigError(f"{where}: not YAML: {' '.join(reason.split())}{_hint_at_data(path)}") from None


def _hint_at_data(path: Path) -> str:
    return "" if path.suffix in (".yaml", ".yml") else " (labelled text is named with --train)"


def _find_bad_value(node: Any) -> int | None:
    """Return the line of the first value that YAML allows and Python cannot hold, such as a date that is none."""
    if isinstance(node, yaml.ScalarNode):
        try:
            _Loader("").construct_object(node)
        except ValueError:
            return node.start_mark.line + 1
    elif isinstance(node, yaml.MappingNode):
        return next(filter(None, (_find_bad_value(value) for _, value in node.value)), None)
    return None


def _walk(node: Any, prefix: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = f"{prefix}{key_node.value}"
            yield key, key_node.start_mark.line + 1
            if not prefix:  # sections hold keys, and keys hold values
                yield from _walk(value_node, f"{key}.")


def _find_lone_valid(tree: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> list[str]:
    data = tree.get("data")
    if not isinstance(data, dict) or data.get("valid") is None or data.get("train", DEMO) != DEMO:
        return []
    origin = origins.get("data.valid", str(path))
    return [f"{origin}: data.valid: given without data.train; name the training text too"]


def _find_lone_freeze(tree: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> list[str]:
    embedding = tree.get("embedding")
    if not isinstance(embedding, dict) or embedding.get("vectors") or not embedding.get("freeze"):
        return []
    origin = origins.get("embedding.freeze", str(path))
    return [f"{origin}: embedding.freeze: given without embedding.vectors; name the file of vectors too"]


def _find_two_sizes(tree: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> list[str]:
    train = tree.get("train")
    if not isinstance(train, dict) or train.get("batch_size") is None or train.get("batch_tokens") is None:
        return []
    origin = origins.get("train.batch_tokens", str(path))
    return [f"{origin}: train.batch_tokens: given together with train.batch_size; leave one of them null"]


def _find_bad_fold(tree: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> list[str]:
    data = tree.get("data")
    if not isinstance(data, dict):
        return []
    fold = data.get("fold")
    if not isinstance(fold, str) or not re.match(_FOLD, fold):
        return []
    origin = origins.get("data.fold", str(path))
    if data.get("valid") is not None:
        return [f"{origin}: data.fold: given together with data.valid; leave it out, or --set data.valid=null"]
    number, folds = split_fold(fold)
    return [] if 1 <= number <= folds > 1 else [f"{origin}: data.fold: there is no part {number} of {folds} parts"]


def split_fold(fold: str) -> tuple[int, int]:
    """Return K and N of ``K/N``."""
    number, _, folds = fold.partition("/")
    return int(number), int(folds)


def _find_lone_separator(tree: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> list[str]:
    data = tree.get("data")
    if not isinstance(data, dict) or data.get("label_separator") is None or data.get("multi_label", False):
        return []
    origin = origins.get("data.label_separator", str(path))
    return [f"{origin}: data.label_separator: given without data.multi_label=true; say that too, or leave it out"]


def _put(tree: dict[str, Any], keys: list[str], value: Any) -> bool:
    """Set ``tree[a][b] = value``; False where the path is not SECTION.KEY."""
    if len(keys) != 2 or keys[0] not in Config.model_fields or not keys[1]:
        return False
    section = tree.setdefault(keys[0], {})
    if isinstance(section, dict):  # what else stands there is a fault that the check reports
        section[keys[1]] = value
    return True


def _describe(fault: Mapping[str, Any], origins: Mapping[str, str], path: Path | None) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    origin = origins.get(key) or origins.get(key.rpartition(".")[0]) or (str(path) if path else "")
    kind, value = fault["type"], fault.get("input")
    if kind == "extra_forbidden":
        reason = f"unknown key{_suggest(key)}"
    elif kind == "model_type":
        reason = f"should hold keys, not {_show(value)}"
    elif kind == "string_pattern_mismatch":
        reason = f"should be {_field_description(key)}, not {_show(value)}"
    else:
        said = re.sub("^(Input |String |Value error, )", "", fault["msg"])
        reason = f"{said}, not {_show(value)}"
    return f"{origin}: {key}: {reason}" if origin else f"{key}: {reason}"


def _suggest(key: str) -> str:
    section, _, name = key.rpartition(".")
    if section not in Config.model_fields:
        near = difflib.get_close_matches(key, Config.model_fields, n=1)
        return f", did you mean '{near[0]}'?" if near else f"; {_list_sections()}"
    field = Config.model_fields.get(section)
    model = field.annotation if field else None
    names = list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
    if near := difflib.get_close_matches(name, names, n=1):
        return f", did you mean '{near[0]}'?"
    everywhere = {
        other: f"{part}.{other}"
        for part, info in Config.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
        for other in info.annotation.model_fields
    }
    if near := difflib.get_close_matches(name, everywhere, n=1):
        return f", did you mean '{everywhere[near[0]]}'?"
    return f"; {section} has {', '.join(names)}"


def _list_sections() -> str:
    return f"the sections are {', '.join(Config.model_fields)}, each with its keys ('textrnn config schema' lists them)"


def _field_description(key: str) -> str:
    section, _, name = key.rpartition(".")
    model = Config.model_fields[section].annotation
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    return model.model_fields[name].description or ""


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
