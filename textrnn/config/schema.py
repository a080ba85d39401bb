"""The sections of a config, with every key, its type, default and meaning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Cell = Literal["gru", "sru", "lstm"]
Pooling = Literal["last", "max", "mean", "max+mean", "attention"]
DataFormat = Literal["auto", "tsv", "csv", "jsonl", "fasttext"]
ModelType = Literal["unigram", "bpe", "char", "word"]
Precision = Literal["fp32", "bf16", "fp16"]
Schedule = Literal["linear", "cosine", "constant", "one-cycle"]
Metric = Literal["accuracy", "micro_f1", "macro_f1", "weighted_f1", "loss"]

FOLD = r"^[1-9]\d{0,3}/[1-9]\d{0,3}$"

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


def _check_share(value: Any) -> Any:
    # a union's own check would tell of each of its kinds
    if value != "auto" and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1):
        raise ValueError("should be auto, or a number from 0 to 1")
    return value


Share = Annotated[Annotated[float, Field(ge=0, le=1)] | Literal["auto"], BeforeValidator(_check_share)]
ClassWeights = Annotated[Literal["balanced"] | dict[str, float] | None, BeforeValidator(_check_class_weights)]


class DataConfig(Section):
    """Where the labelled text is, and how it is written."""

    train: str = Field(DEMO, min_length=1, description="labelled training text; 'demo' is the shipped demo data")
    valid: str | None = Field(None, description="labelled text to stop on; null: a part of train is held out")
    test: str | None = Field(None, description="labelled text to score the finished model on")
    format: DataFormat = Field("auto", description="auto goes by the file's extension and first line")
    label: str = Field("label", min_length=1, description="the column that holds the label (CSV, JSON Lines)")
    text: str = Field("text", min_length=1, description="the column that holds the text (CSV, JSON Lines)")
    multi_label: bool = Field(False, description="a text may have several labels, or none")
    label_separator: str | None = Field(
        None, min_length=1, description="what stands between a text's labels; null: each stands for itself"
    )
    valid_share: float = Field(0.1, gt=0, lt=1, description="share of train that is held out without data.valid")
    fold: str | None = Field(
        None,
        pattern=FOLD,
        description="K/N, which holds out the K-th of N parts of train (--kfold N trains on each); null: valid_share",
    )
    max_length: int = Field(512, ge=1, le=1_000_000, description="pieces of a text that are read; the rest is left out")
    cache: str | None = Field(
        None, min_length=1, description="folder that keeps encoded text; null: textrnn in the user's cache folder"
    )


class TokenizerConfig(Section):
    """The SentencePiece model: one that exists, or one that is trained on the training text."""

    model: str | None = Field(None, description="a SentencePiece .model file; null: train one")
    vocab_size: int = Field(
        4000,
        ge=2,
        le=10_000_000,
        description="pieces at most, without those of embedding.words; fewer when the text is too small for them",
    )
    model_type: ModelType = Field("unigram", description="the kind of tokenizer that is trained")
    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="draw a text's pieces anew in each epoch: unigram's smoothing (0.1 to 0.5; less is more varied), "
        "bpe's share of merges left out (0.1); null: always the same",
    )


class EmbeddingConfig(Section):
    """What the pieces' vectors begin with."""

    vectors: str | None = Field(
        None,
        min_length=1,
        description="pretrained word vectors (GloVe, .vec, .npy) for the pieces that are words; null: none",
    )
    words: int = Field(
        20_000,
        ge=0,
        le=1_000_000,
        description="words of them that a tokenizer trained in the run gets as pieces, at most: those of the training "
        "text, then the file's first; 0: none; unigram and word tokenizers alone",
    )
    freeze: bool = Field(False, description="leave the pretrained part of the vectors as it is")


class ModelConfig(Section):
    """The network."""

    cell: Cell = Field("sru", description="the recurrent cell")
    layers: int = Field(2, ge=1, le=64, description="recurrent layers")
    hidden: int = Field(128, ge=1, le=65536, description="width of a layer, per direction")
    embedding: int = Field(
        256, ge=1, le=65536, description="width of a piece's vector; with embedding.vectors theirs, and this at most"
    )
    bidirectional: bool = Field(True, description="read each text in both directions")
    pooling: Pooling = Field("attention", description="how the states of a text become one vector")
    dropout: float = Field(0.5, ge=0, lt=1, description="on embeddings, between layers and before the last product")
    variational_dropout: bool = Field(
        True, description="drop the same columns in all steps of a text, in place of others in each"
    )
    layer_norm: bool = Field(True, description="normalise the input of each recurrent layer")
    highway_bias: float = Field(
        0.0, ge=-20, le=20, description="SRU: initial bias of the reset gate; below 0 for deep stacks"
    )


class NgramConfig(Section):
    """A linear branch over n-grams of words and characters, beside the network."""

    share: Share = Field(
        "auto", description="of the scores; auto: fitted on valid; 0: the network alone, without the branch"
    )
    penalty: float = Field(0.1, gt=0, le=1e6, description="of its squared weights, against the sum of the losses")


class TrainConfig(Section):
    """The optimisation."""

    epochs: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="passes over the training text, at most; null: 12, and up to 30 to make 2,600 steps",
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="texts in a step; null: 64, but 32, 16 or 8 where an epoch would have fewer than 75 steps",
    )
    batch_tokens: int | None = Field(
        None, ge=1, le=1_000_000_000, description="pieces in a step at most, in place of a number of texts"
    )
    max_steps: int | None = Field(
        None, ge=1, le=1_000_000_000_000, description="steps at most; the last epoch ends early; null: as epochs say"
    )
    accumulate: int = Field(
        1, ge=1, le=1_000_000, description="parts in which a step's batch is computed, one after the other: less memory"
    )
    precision: Precision = Field("fp32", description="fp32, or by autocast bf16, or fp16 (CUDA only)")
    compile: bool = Field(False, description="compile the network with torch.compile")
    lr: float = Field(0.003, gt=0, description="highest learning rate of AdamW")
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
    r_drop: float = Field(
        1.0, ge=0, le=100, description="how much a text's scores by two draws of dropout should agree (R-Drop); 0: not"
    )
    ema: float = Field(
        0.995, ge=0, lt=1, description="decay of a running mean of the weights, which is judged and saved; 0: none"
    )
    patience: int = Field(
        5,
        ge=1,
        le=1_000_000,
        description="epochs in which neither the metric nor a loss on valid is better, before training stops",
    )
    checkpoint_minutes: float = Field(
        10.0, ge=0, description="minutes between checkpoints, which --resume goes on from; 0: one after each step"
    )
    metric: Metric = Field(
        "loss", description="what valid is judged by; the best weights are kept; micro_f1 with data.multi_label"
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
    ngrams: NgramConfig = NgramConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="before")
    @classmethod
    def _judge_sets_by_f1(cls, tree: Any) -> Any:
        """With several labels a text the metric is micro_f1 where none is said."""
        data, train = (tree.get(name, {}) if isinstance(tree, dict) else None for name in ("data", "train"))
        if not isinstance(data, dict) or data.get("multi_label") is not True or not isinstance(train, dict):
            return tree
        return {**tree, "train": {"metric": "micro_f1", **train}}


def split_fold(fold: str) -> tuple[int, int]:
    """Return K and N of ``K/N``."""
    number, _, folds = fold.partition("/")
    return int(number), int(folds)


def list_sections() -> str:
    """Return the end of a message about a key that is none."""
    return f"the sections are {', '.join(Config.model_fields)}, each with its keys ('textrnn config schema' lists them)"
