"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from textrnn.config import DataConfig, Override, load_config, parse_overrides
from textrnn.errors import ConfigError
from textrnn.inference import RecordFormat

PrecisionName = Literal["fp32", "bf16", "int8", "float32"]  # float32: an earlier name of fp32

FilesArgument = Annotated[
    list[str] | None, Argument(metavar="FILE", help="Text files, plain or compressed.  [default: - (stdin)]")
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
PrecisionOption = Annotated[
    PrecisionName,
    Option(
        metavar="fp32|bf16|int8",
        help="Precision of matrix products; bf16 and int8 are faster on CPUs that support them.",
    ),
]
DeviceOption = Annotated[
    str, Option(metavar="DEVICE", help="cpu, auto, cuda, cuda:N or mps; all but cpu load torch (over a second).")
]
FieldOption = Annotated[
    str | None,
    Option(
        "--field",
        "-f",
        metavar="N|NAME",
        help="Read tables (TSV, CSV, JSON Lines); the text is in column N (from 1, no header) or in the column or key "
        "NAME.  [default: each line is a text]",
    ),
]
InputFormatOption = Annotated[
    RecordFormat | None,
    Option(help="With --field: the table format.  [default: detected from the file name or first line]"),
]
OutputOption = Annotated[
    Path | None,
    Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to FILE once everything succeeded; .gz, .xz and .zst compress.  [default: stdout]",
    ),
]
JobsOption = Annotated[
    int | None, Option("--jobs", "-j", min=1, metavar="N", help="CPU cores to use.  [default: OMP_NUM_THREADS, or all]")
]
LabelledArgument = Annotated[
    str, Argument(metavar="DATA", help="Labelled text in any format that train reads; - is stdin.")
]
DataSettings = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="data.KEY=VALUE",
        help="File format of DATA: data.format, data.label, data.text, data.label_separator.",
    ),
]
ConfigSettings = Annotated[
    list[str] | None,
    Option("--set", metavar="path.to.key=value", help="Any config key, as in --set model.pooling=max."),
]
JsonOption = Annotated[bool, Option("--json", help="Print everything as one JSON object.")]

_FORMAT_KEYS = ("data.format", "data.label", "data.text", "data.label_separator")


def parse_data_settings(
    settings: list[str] | None, *, command: str, keys: Sequence[str] = _FORMAT_KEYS
) -> list[Override]:
    """Parse ``--set`` options of ``command``, which takes only ``keys``, the format of labelled text.

    Raises:
        ConfigError: another key is set.
    """
    overrides = parse_overrides(settings or ())
    if wrong := [o for o in overrides if o.key not in keys]:
        allowed = f"{', '.join(keys[:-1])} and {keys[-1]}"
        raise ConfigError([f"{o.origin}: {command} takes {allowed}" for o in wrong])
    return overrides


def make_data_config(overrides: list[Override], *, multi_label: bool, separator: str | None) -> DataConfig:
    """Return the format of labelled text for a model with these label settings.

    Raises:
        ConfigError: ``overrides`` set a label separator for a single-label model.
    """
    if multi_label:
        settings = {"data.multi_label": True, "data.label_separator": separator}
        overrides = [*(Override(key, value, key) for key, value in settings.items()), *overrides]
    elif wrong := [o for o in overrides if o.key == "data.label_separator"]:
        raise ConfigError([f"{o.origin}: the model is single-label; leave it out" for o in wrong])
    return load_config(overrides=overrides).data
