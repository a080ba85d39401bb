"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from textrnn.cli.parameters import Argument, Option
from textrnn.config import Cell, DataConfig, OnError, Override, load_config, parse_overrides
from textrnn.errors import ConfigError
from textrnn.inference import RecordFormat

PrecisionName = Literal["fp32", "bf16", "int8", "float32"]  # float32: an earlier name of fp32

FilesArgument = Annotated[
    list[str] | None, Argument(metavar="FILE", help="Text files, plain or compressed.  [default: - (stdin)]")
]
RecordFilesArgument = Annotated[
    list[str] | None,
    Argument(
        metavar="FILE",
        help="Text files, plain or compressed; Parquet and Arrow files, or folders of them.  [default: - (stdin)]",
    ),
]
ModelOption = Annotated[
    Path | None,
    Option("--model", "-m", metavar="RUN|FILE", help="A run folder or model file.  [default: the latest run]"),
]
ThresholdOption = Annotated[
    float | None,
    Option(
        min=0.0,
        max=1.0,
        metavar="P",
        help="Multi-label models: assign labels with probability P or more.  [default: tuned for each label]",
    ),
]
IgnoreThresholdsOption = Annotated[
    bool,
    Option(
        "--ignore-thresholds",
        help="Do not apply the thresholds that evaluate --save-thresholds wrote into the model.",
    ),
]
PrecisionOption = Annotated[
    PrecisionName,
    Option(
        metavar="fp32|bf16|int8",
        help="Precision of matrix products; bf16 and int8 are faster on CPUs that support them.",
    ),
]
CascadeOption = Annotated[
    float | None,
    Option(
        min=0.0,
        max=1.0,
        metavar="P",
        help="Skip the network for texts on which the n-grams alone are sure: at least the share P of them, such as "
        "0.99, gets the label of the whole model. Faster; single-label models only.",
    ),
]
DeviceOption = Annotated[
    str, Option(metavar="DEVICE", help="cpu, auto, cuda, cuda:N or mps; all but cpu load torch (over a second).")
]
EngineOption = Annotated[
    Literal["local", "ray"],
    Option(
        "--engine",
        help="local: this process; ray: a Ray cluster labels whole files, from folders and addresses such as "
        "s3://bucket/folder, and writes a part for each to the folder --output.",
    ),
]
FieldOption = Annotated[
    list[str] | None,
    Option(
        "--field",
        "-f",
        metavar="N|NAME",
        help="Read tables (TSV, CSV, JSON); the text is in column N (from 1, no header) or in the column or key NAME; "
        "repeatable, which joins the texts.  [default: each line is a text]",
    ),
]
InputFormatOption = Annotated[
    RecordFormat | None,
    Option(help="With --field: the table format.  [default: detected from the file name or first line]"),
]
TextSettings = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="data.KEY=VALUE",
        help="How to read the files: data.encoding, and with --field data.delimiter and data.quoting.",
    ),
]
OnErrorOption = Annotated[
    OnError,
    Option(
        "--on-error",
        help="What a bad record does: stop; skip leaves it out; empty reads a missing text as an empty one.",
    ),
]
RejectsOption = Annotated[
    Path | None, Option(metavar="FILE", help="With --on-error skip: write the records that are left out to FILE.")
]
OutputOption = Annotated[
    Path | None,
    Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to FILE once everything succeeded; .gz, .bz2, .xz and .zst compress.  [default: stdout]",
    ),
]
RecordOutputOption = Annotated[
    Path | None,
    Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to FILE once everything succeeded; .gz, .bz2, .xz and .zst compress; .parquet, .arrow and .feather "
        "write columns.  [default: stdout]",
    ),
]
JobsOption = Annotated[
    int | None, Option("--jobs", "-j", min=1, metavar="N", help="CPU cores to use.  [default: OMP_NUM_THREADS, or all]")
]
LabelledArgument = Annotated[
    str,
    Argument(metavar="DATA", help="Labelled text in any format that train reads, also Parquet and Arrow; - is stdin."),
]
DataSettings = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="data.KEY=VALUE",
        help="How to read DATA: data.label, data.text, data.format and the like.  [default: as the training set]",
    ),
]
ConfigSettings = Annotated[
    list[str] | None,
    Option("--set", metavar="path.to.key=value", help="Any config key, as in --set model.pooling=max."),
]
JsonOption = Annotated[bool, Option("--json", help="Print everything as one JSON object.")]

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
InitOption = Annotated[
    str | None,
    Option(metavar="MODEL", help="Continue from a run, or begin with a starter.  [default: none]"),
]
ReplayOption = Annotated[
    list[str] | None,
    Option(metavar="FILE", help="Old text to train on again with --init; repeatable.  [default: none]"),
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
TrainingDeviceOption = Annotated[
    str | None, Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.  [default: auto]")
]
TensorBoardOption = Annotated[bool, Option("--tensorboard", help="Write TensorBoard events to FOLDER/tensorboard.")]
OverwriteOption = Annotated[
    bool, Option("--overwrite", help="Delete an earlier run in FOLDER instead of keeping it as FOLDER.1.")
]

TEXT_KEYS = ("data.encoding", "data.delimiter", "data.quoting")
"""The keys that decide how a file without labels is read."""
_COLUMN_KEYS = ("label", "label_columns", "text", "delimiter", "quoting", "encoding")
LABELLED_KEYS = ("data.format", "data.label_separator", *(f"data.{key}" for key in _COLUMN_KEYS))
"""The keys that decide how labelled text is read."""
FLAG_KEYS = {
    "cell": "model.cell",
    "train": "data.train",
    "valid": "data.valid",
    "tokenizer": "tokenizer.model",
    "vectors": "embedding.vectors",
    "init": "train.init",
    "replay": "data.replay",
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


def collect_overrides(options: Mapping[str, Any], *, keys: Mapping[str, str] = FLAG_KEYS) -> list[Override]:
    """Return the config overrides of ``options``, the arguments of a command by name: ``--set``, then the flags.

    ``keys`` has the config key of each flag.

    Raises:
        ConfigError: a file or a key is given twice, or a value is not of the type of its key.
    """
    values = dict(options)
    for name in ("train", "replay"):
        files: list[str] = options.get(name) or []
        if repeated := next((path for path in files if files.count(path) > 1), None):
            raise ConfigError(f"--{name} {repeated}: given twice; name each file once")
        values[name] = files if len(files) > 1 else next(iter(files), None)
    overrides = parse_overrides(options["settings"] or ())
    for name, key in keys.items():
        if (value := values[name]) is not None and value is not False:
            overrides.append(Override(key, value, f"--{name.replace('_', '-')} {value}"))
    return overrides


def parse_data_settings(
    settings: list[str] | None, *, command: str, keys: Sequence[str] = LABELLED_KEYS
) -> list[Override]:
    """Parse ``--set`` options of ``command``, which takes only ``keys``.

    Raises:
        ConfigError: another key is set.
    """
    overrides = parse_overrides(settings or ())
    if wrong := [o for o in overrides if o.key not in keys]:
        allowed = f"{', '.join(keys[:-1])} and {keys[-1]}"
        raise ConfigError([f"{o.origin}: {command} takes {allowed}" for o in wrong])
    return overrides


def make_text_config(
    field: list[str] | None, settings: list[str] | None, *, input_format: RecordFormat | None, on_error: OnError
) -> DataConfig:
    """Return how to read files without labels: lines, or with ``field`` tables.

    Raises:
        ConfigError: an option for tables is given without ``field``, or ``settings`` has another key.
    """
    overrides = parse_data_settings(settings, command="a file without labels", keys=TEXT_KEYS)
    if field is None:
        given = [override.origin for override in overrides if override.key != "data.encoding"]
        given += [] if input_format is None else [f"--input-format {input_format}"]
        given += [] if on_error == "stop" else [f"--on-error {on_error}"]
        if given:
            raise ConfigError(f"{given[0]}: for tables only; name the text column with --field")
    values = {"data.text": field, "data.format": input_format, "data.on_error": on_error}
    own = [Override(key, value, key) for key, value in values.items() if value is not None]
    return load_config(overrides=[*own, *overrides]).data


def make_data_config(overrides: list[Override], trained: DataConfig, *, on_error: OnError = "stop") -> DataConfig:
    """Return how to read labelled text for a model: as its training set was read, unless ``overrides`` say otherwise.

    Raises:
        ConfigError: ``overrides`` set a label separator for a single-label model.
    """
    if not trained.multi_label and (wrong := [o for o in overrides if o.key == "data.label_separator"]):
        raise ConfigError([f"{o.origin}: the model is single-label; leave it out" for o in wrong])
    settings: dict[str, Any] = {
        **{"data.multi_label": trained.multi_label, "data.on_error": on_error},
        **{"data.target": trained.target},
    }
    if trained.multi_label and not isinstance(trained.label, list):
        settings["data.label_separator"] = trained.label_separator
    given = load_config(overrides=[*(Override(key, value, key) for key, value in settings.items()), *overrides]).data
    named = {override.key.partition(".")[2] for override in overrides}
    replaced = {"label", "label_columns"} if named & {"label", "label_columns"} else set()
    # model files of earlier versions have these names instead of null
    unnamed = {"label": "label", "text": "text"}
    inherited = {
        key: value
        for key in _COLUMN_KEYS
        if key not in named | replaced and (value := getattr(trained, key)) != unnamed.get(key)
    }
    # only what the user names here must have an effect on the file
    return DataConfig.model_construct(_fields_set=named, **{**given.model_dump(), **inherited})
