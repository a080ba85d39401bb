"""The sections of a config: every key with its type, default, bounds and description."""

import codecs
from typing import Annotated, Any, Literal

from textrnn.config.sections import Bounds, Check, Section, key

Cell = Literal["gru", "sru", "lstm"]
Pooling = Literal["last", "max", "mean", "max+mean", "attention"]
DataFormat = Literal["auto", "tsv", "csv", "jsonl", "fasttext"]
LongTexts = Literal["cut", "windows", "whole"]
OnError = Literal["stop", "skip", "empty"]
Target = Literal["label", "score"]
ModelType = Literal["unigram", "bpe", "char", "word"]
Schedule = Literal["linear", "cosine", "constant", "one-cycle"]
Metric = Literal["accuracy", "micro_f1", "macro_f1", "weighted_f1", "loss"]

FOLD = r"^[1-9]\d{0,3}/[1-9]\d{0,3}$"
_DEVICE = r"^(auto|cpu|mps|cuda(:\d{1,3})?)$"
PATTERNS = {FOLD: "K/N, such as 2/5", _DEVICE: "auto, cpu, cuda, cuda:N or mps"}
"""What the patterns of keys mean."""

DEMO = "demo"
"""The value of ``data.train`` for the demo data that ships with the package."""


def _read_precision(value: Any) -> Any:
    return "fp32" if value == "float32" else value


def _read_delimiter(value: Any) -> Any:
    value = {"tab": "\t", "\\t": "\t"}.get(value, value) if isinstance(value, str) else value
    if value is not None and (not isinstance(value, str) or len(value) != 1 or value in '"\r\n'):
        raise ValueError("should be one character, such as ; or tab")
    return value


def _check_encoding(value: str) -> str:
    try:
        name = "utf-8" if value == "auto" else codecs.lookup(value).name
        codecs.getincrementaldecoder(name)
        is_wide = name.startswith(("utf-16", "utf-32"))
        if not is_wide and bytes(range(128)).decode(name) != bytes(range(128)).decode("ascii"):
            raise LookupError  # lines and delimiters would be other bytes
    except (LookupError, UnicodeError, TypeError):
        raise ValueError("should be auto, or an encoding such as utf-8, utf-16, cp949, cp1252 or shift_jis") from None
    return value


def as_list(value: str | list[str] | None) -> list[str]:
    """Return the value of a key that takes one text, a list or null as a list."""
    return [] if value is None else [value] if isinstance(value, str) else value


Precision = Annotated[Literal["auto", "fp32", "bf16", "fp16"], Check(_read_precision, before=True)]
Count = Annotated[int, Bounds(ge=1, le=1_000_000)]
Rate = Annotated[float, Bounds(ge=0, lt=1)]
Name = Annotated[str, Bounds(min_length=1)]
Names = Annotated[list[Name], Bounds(min_length=1)]
Encoding = Annotated[Name, Check(_check_encoding)]
Delimiter = Annotated[str, Check(_read_delimiter, before=True)]
Share = Annotated[float, Bounds(ge=0, le=1)] | Literal["auto"]
ClassWeights = Literal["balanced"] | dict[str, Annotated[float, Bounds(gt=0)]] | None


class DataConfig(Section):
    """The labelled text and its format."""

    train: Name | Names = key(
        DEMO, description="training set, or a list of files; 'demo' is the data that ships with textrnn"
    )
    valid: str | None = key(None, description="validation set; null holds out a part of train")
    replay: Name | Names | None = key(
        None,
        description="old labelled text, a file or a list, that is trained on again beside train; needs train.init",
    )
    test: str | None = key(None, description="test set for the finished model; null evaluates nothing")
    format: DataFormat = key("auto", description="file format; auto detects it by first line and extension")
    encoding: Encoding = key(
        "auto", description="encoding of the files, such as cp949 or utf-16; auto detects it, and prefers UTF-8"
    )
    delimiter: Delimiter | None = key(
        None, description="character between the columns of a CSV file, or tab; null detects it"
    )
    quoting: bool | None = key(
        None, description="whether fields of a table can be in double quotes; null: in CSV, and in TSV if it is seen"
    )
    label: Name | Names | None = key(
        None,
        description="column or key of the label, by name, path (meta.label), or number in a file without a header; a "
        "list with data.multi_label: a 0/1 column for each label; null is 'label', or column 1 of TSV without a header",
    )
    label_columns: Names | None = key(
        None,
        description="columns or keys with the probability of each label, such as a teacher's answers, instead of "
        "data.label; JSON can also have an object of labels and probabilities under data.label",
    )
    text: Name | Names | None = key(
        None,
        description="column or key of the text, likewise; a list joins the texts by a space; null is 'text', or all "
        "after the label in TSV without a header",
    )
    group: Name | None = key(
        None,
        description="column or key of a customer, document or the like, whose texts stay on one side of the hold-out; "
        "equal texts always do",
    )
    weight: Name | None = key(
        None,
        description="column or key of the weight of a training text in the loss, relative to the mean; validation "
        "counts every text once",
    )
    on_error: OnError = key(
        "stop",
        description="what a bad record does: stop; skip leaves it out, and counts it; empty reads a missing text as an "
        "empty one",
    )
    target: Target = key(
        "label",
        description="what is learned: label, a class; or score, a number in the column of data.label, such as a rating",
    )
    multi_label: bool = key(False, description="texts can have several labels, or none")
    label_separator: Name | None = key(
        None, description="separator between the labels of a text; null reads the field as one label"
    )
    valid_share: float = key(
        0.1,
        ge=0,
        lt=1,
        description="share of train that is held out if data.valid is null; 0 trains on everything, with --refit RUN",
    )
    fold: str | None = key(
        None,
        pattern=FOLD,
        description="K/N holds out the K-th of N folds instead of valid_share (--kfold N trains on each fold)",
    )
    train_share: float = key(
        1.0,
        gt=0,
        le=1,
        description="share of the training texts that is trained on, after the hold-out (--learning-curve varies it)",
    )
    max_length: Count = key(512, description="tokens of a text, or of a window, that the network reads at once")
    long_texts: LongTexts = key(
        "windows",
        description="longer texts: windows reads up to three windows of max_length tokens, from beginning to end, and "
        "averages their logits; whole reads them to the end; cut reads their first max_length tokens",
    )
    cache: Name | None = key(None, description="folder for encoded text; null is 'textrnn' in the user's cache folder")

    @property
    def training_files(self) -> list[str]:
        """The files of the training and the validation set, except the demo data."""
        return [path for path in (*as_list(self.train), *as_list(self.replay), *as_list(self.valid)) if path != DEMO]

    @property
    def label_names(self) -> list[str]:
        """The names of the columns or keys of labels; none if the default is meant."""
        return self.label_columns or as_list(self.label)

    def is_set(self, key: str) -> bool:
        """Return whether the user gave ``key`` another value than its default."""
        return key in self.model_fields_set and getattr(self, key) != type(self).model_fields[key].default


class TokenizerConfig(Section):
    """The SentencePiece tokenizer: an existing one, or one trained on the training set."""

    model: str | None = key(None, description="SentencePiece .model file; null trains one")
    vocab_size: int = key(
        4000,
        ge=2,
        le=10_000_000,
        description="maximum vocabulary size without the words of embedding.words; less for small training sets",
    )
    model_type: ModelType = key("unigram", description="type of the trained tokenizer")
    alpha: float | None = key(
        None,
        ge=0,
        le=1,
        description="subword sampling, which draws new tokens for each text in each epoch: smoothing for unigram "
        "(0.1 to 0.5; lower values vary more), share of skipped merges for bpe (0.1); null turns it off",
    )


class EmbeddingConfig(Section):
    """Initial values of the embedding."""

    vectors: Name | None = key(
        None,
        description="file of pretrained word vectors (GloVe, .vec, .bin, .npy) or folder of model2vec; null uses none",
    )
    words: int = key(
        20_000,
        ge=0,
        le=1_000_000,
        description="maximum words of that file that are added to a trained unigram or word tokenizer: words of the "
        "training set, then the first of the file; 0 adds none",
    )
    freeze: bool = key(False, description="do not train the pretrained vectors")


class ModelConfig(Section):
    """The network."""

    cell: Cell = key("sru", description="recurrent cell")
    layers: int = key(2, ge=1, le=64, description="number of recurrent layers")
    hidden: int = key(128, ge=1, le=65536, description="hidden size per layer and direction")
    embedding: int = key(
        256, ge=1, le=65536, description="embedding size; with embedding.vectors the size of the vectors, up to this"
    )
    bidirectional: bool = key(True, description="read each text in both directions")
    pooling: Pooling = key("attention", description="reduction of a text's hidden states to one vector")
    dropout: Rate = key(0.5, description="dropout rate of embeddings, between layers and before the output layer")
    variational_dropout: bool = key(True, description="use one dropout mask for all steps of a text")
    layer_norm: bool = key(True, description="normalize the input of each recurrent layer")
    highway_bias: float = key(
        0.0, ge=-20, le=20, description="SRU: initial bias of the reset gate; below 0 for deep networks"
    )


class NgramConfig(Section):
    """The linear model over word and character n-grams, which is combined with the network."""

    share: Share = key(
        "auto", description="weight of the n-gram model; auto fits it on the validation set, 0 trains no n-gram model"
    )
    penalty: float = key(0.1, gt=0, le=1e6, description="L2 penalty on its weights, relative to the summed loss")


class TrainConfig(Section):
    """Training."""

    epochs: Count | None = key(
        None, description="maximum epochs; null is 12, and up to 30 if these have fewer than 2,600 steps"
    )
    batch_size: Count | None = key(
        None, description="texts per step; null is 64, or 32, 16 or 8 if an epoch would have fewer than 75 steps"
    )
    batch_tokens: int | None = key(
        None, ge=1, le=1_000_000_000, description="maximum tokens per step, instead of batch_size"
    )
    max_steps: int | None = key(
        None, ge=1, le=1_000_000_000_000, description="maximum steps; null sets no limit besides epochs"
    )
    accumulate: Count = key(1, description="parts of a step's batch that are computed in turn, to use less memory")
    precision: Precision = key(
        "auto",
        description="fp32, or mixed precision with bf16 or fp16 (CUDA only); auto is bf16 for SRU in one process "
        "on a CPU with AMX, and fp32 otherwise",
    )
    compile: bool = key(False, description="compile the network with torch.compile")
    lr: float = key(0.003, gt=0, description="peak learning rate of AdamW")
    weight_decay: float = key(0.01, ge=0, description="decoupled weight decay of AdamW")
    schedule: Schedule = key("linear", description="learning rate schedule after the warmup")
    warmup: Rate = key(0.05, description="share of all steps in which the learning rate rises")
    clip_norm: float = key(1.0, gt=0, description="maximum norm of all gradients together")
    class_weights: ClassWeights = key(
        None, description="loss weights: balanced, or a weight per label (1 for labels left out); null weighs equally"
    )
    label_smoothing: Rate = key(0.0, description="share of the target that is spread evenly over all labels")
    focal_gamma: float = key(
        0.0, ge=0, le=10, description="focal loss: how much correct texts lose weight (2 is usual); 0 turns it off"
    )
    word_dropout: Rate = key(0.0, description="share of tokens replaced by the unknown token")
    embedding_dropout: Rate = key(0.0, description="share of the vocabulary whose embeddings are dropped in a step")
    r_drop: float = key(
        1.0, ge=0, le=100, description="weight of R-Drop: agreement between two dropout masks; 0 turns it off"
    )
    ema: Rate = key(0.995, description="decay of the weight average (EMA) that is validated and saved; 0 turns it off")
    patience: Count = key(5, description="early stopping: epochs without a better metric or loss on the validation set")
    checkpoint_minutes: float = key(
        10.0, ge=0, description="minutes between checkpoints for --resume; 0 writes one after each step"
    )
    metric: Metric = key(
        "loss", description="validation metric that selects the best epoch; micro_f1 with data.multi_label"
    )
    init: Name | None = key(
        None,
        description="run, model file or starter whose tokenizer and weights training begins with; null begins with "
        "random weights",
    )
    distill_share: Annotated[float, Bounds(ge=0, lt=1)] | None = key(
        None,
        description="share of the predictions of train.init in the targets, which keeps what it knows; null is 0.5 "
        "without data.replay if train lacks one of its labels, else 0",
    )
    refit: Name | None = key(
        None,
        description="finished run or experiment whose best epoch and calibration a final model takes; needs "
        "data.valid_share=0 (--refit RUN sets both)",
    )
    tensorboard: bool = key(False, description="write TensorBoard events into the run folder")
    report: bool = key(
        True,
        description="write an evaluation page of the validation set, report.html, into the run folder at the end of "
        "`textrnn train` (not for each run of an experiment)",
    )
    seed: Annotated[int, Bounds(ge=0, lt=2**32)] = key(42, description="seed of all random numbers")
    device: str = key("auto", pattern=_DEVICE, description=PATTERNS[_DEVICE])


class Config(Section):
    """Everything that determines the result of a training run."""

    data: DataConfig = DataConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    model: ModelConfig = ModelConfig()
    ngrams: NgramConfig = NgramConfig()
    train: TrainConfig = TrainConfig()

    @classmethod
    def model_validate(cls, values: Any) -> "Config":
        """Return the config with ``values`` by section; micro_f1 is the default metric of multi-label data."""
        data, train = (values.get(name, {}) if isinstance(values, dict) else None for name in ("data", "train"))
        if isinstance(data, dict) and data.get("multi_label") is True and isinstance(train, dict):
            values = {**values, "train": {"metric": "micro_f1", **train}}
        return super().model_validate(values)


def split_fold(fold: str) -> tuple[int, int]:
    """Return K and N of ``K/N``."""
    number, _, folds = fold.partition("/")
    return int(number), int(folds)


def list_sections() -> str:
    """Return the hint for a message about an unknown key."""
    return f"the sections are {', '.join(Config.model_fields)}; 'textrnn config schema' lists their keys"
