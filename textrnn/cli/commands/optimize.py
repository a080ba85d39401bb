"""``textrnn optimize``: a smaller model that is as good."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from textrnn.cli.commands.evaluate import DataSettings, make_data_config, parse_settings
from textrnn.cli.options import ModelOption, choose_model
from textrnn.cli.terminal import say, write_data
from textrnn.errors import ConfigError
from textrnn.files import atomic_write, keep_previous
from textrnn.inference import parse_precision

if TYPE_CHECKING:
    from textrnn.compression import Measured, Step
    from textrnn.serialization.model_file import SavedModel
    from textrnn.serialization.quantization import Storage


def optimize_command(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Labelled text, in any format that train reads; - is stdin.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The smaller model file to write.")],
    model: ModelOption = None,
    storage: Annotated[
        str, typer.Option(parser=parse_precision, metavar="fp32|bf16|int8", help="What weights are stored as.")
    ] = "int8",
    ngrams: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=1.0,
            metavar="SHARE",
            help="Share of the n-grams to keep.  [default: the lowest of 1, 0.5, 0.25 and 0.1 that is as good]",
        ),
    ] = None,
    max_drop: Annotated[
        float,
        typer.Option(
            min=0.0, max=100.0, metavar="POINTS", help="Accuracy on DATA (micro F1: several labels) that it may lose."
        ),
    ] = 0.3,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    settings: DataSettings = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier file in place of keeping it.")
    ] = False,
) -> None:
    """Make a model smaller, as far as it stays as good.

    Weights are stored in fewer bits, and the n-grams that say least are left out. DATA measures what that changes:
    valid text, not the text that is to test the model. A model that loses more than --max-drop points on it is not
    written. Without --ngrams, the loss may not rise by more than 0.01 either where more n-grams would help.
    Prints size, accuracy, loss and calibration before and after, and how far labels and probabilities are the same.
    An earlier file of the same name is kept as FILE.1 and so on.

    \b
      textrnn optimize -o small.safetensors valid.tsv
      textrnn optimize -m runs/trec-sru -o small.safetensors --storage bf16 --ngrams 1 valid.tsv
      textrnn predict -m small.safetensors < crawl.txt
    """
    overrides = parse_settings(settings, command="optimize")
    from textrnn.compression import SHARES, compress_model
    from textrnn.data.formats import read_examples
    from textrnn.serialization.model_file import find_model, load_model

    path = find_model(choose_model(model))
    loaded = load_model(path)
    _check(out, ngrams, path=path, model=loaded)
    several, separator = loaded.thresholds is not None, loaded.config.data.label_separator
    examples = read_examples(data, make_data_config(overrides, several=several, separator=separator))
    kind = cast("Storage", "float32" if storage == "fp32" else storage)
    shares = SHARES if ngrams is None else [ngrams]
    step = compress_model(path, loaded, examples, storage=kind, shares=shares, max_drop=max_drop, report=_tell)
    _write(step.content, out, overwrite=overwrite)
    if as_json:
        found = {"model": str(path), "out": str(out), "storage": kind, **to_dict(step)}
        write_data(json.dumps(found, ensure_ascii=False) + "\n")
    else:
        write_data(format_step(step))


def _check(out: Path, ngrams: float | None, *, path: Path, model: SavedModel) -> None:
    """Raise ConfigError where ``out`` or ``ngrams`` will not do for the ``model`` at ``path``."""
    if out.is_dir():
        raise ConfigError(f"--out {out}: is a folder; name a file in it")
    if out.exists() and not out.is_file():
        raise ConfigError(f"--out {out}: not a file; name one")
    if out.exists() and out.samefile(path):
        raise ConfigError(f"--out {out}: is the model itself; name another file")
    if ngrams is not None and model.ngrams is None:
        raise ConfigError(f"--ngrams {ngrams:g}: this model has no n-grams; leave it out")


def _tell(step: Step) -> None:
    kept = f"{100 * step.share:g} % of the n-grams: " if step.before.ngrams else ""
    rise = "" if step.loss_rise is None else f", loss {step.loss_rise:+.4f}"
    say(f"{kept}{step.after.size:,} bytes, {_name(step)} {0.0 - step.drop:+.2f} points{rise}")


def _name(step: Step) -> str:
    return "micro F1" if hasattr(step.after.evaluation, "micro_f1") else "accuracy"


def _write(content: bytes, out: Path, *, overwrite: bool) -> None:
    target = Path(os.path.realpath(out)) if out.is_symlink() else out  # the link stays, and what it names is replaced
    with atomic_write(target) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # a disk that is full leaves the earlier file under its name
        if not overwrite and target.exists() and target.read_bytes() != content:
            for earlier, kept in keep_previous(target):
                say(f"an earlier {earlier} is kept as {kept}")
    say(f"wrote {out}; label lines with: textrnn predict -m {out}")


def to_dict(step: Step) -> dict[str, Any]:
    """Return ``step`` as plain values for JSON: shares in [0, 1], sizes in bytes, losses in nats a text."""
    return {
        "ngrams_kept": step.share if step.before.ngrams else None,
        "texts": step.before.evaluation.texts,
        "before": _measured_to_dict(step.before),
        "after": _measured_to_dict(step.after),
        "drop_points": step.drop,
        "same_labels": step.same_labels,
        "mean_change": step.mean_change,
        "largest_change": step.largest_change,
    }


def _measured_to_dict(measured: Measured) -> dict[str, Any]:
    found = measured.evaluation.to_dict()
    names = ("accuracy", "micro_f1", "macro_f1", "weighted_f1", "loss", "calibration_error")
    return {"bytes": measured.size, "ngrams": measured.ngrams} | {name: found[name] for name in names if name in found}


def format_step(step: Step) -> str:
    """Return what ``step`` changes as text for a person."""
    before, after = step.before, step.after
    rows = [("", "before", "after"), ("size", _show_size(before.size), _show_size(after.size))]
    if before.ngrams:
        rows.append(("n-grams", f"{before.ngrams:,}", f"{after.ngrams:,}"))
    old, new = before.evaluation.to_dict(), after.evaluation.to_dict()
    for key, name in (("micro_f1", "micro F1"), ("accuracy", "accuracy"), ("macro_f1", "macro F1")):
        if key in old:
            rows.append((name, f"{100 * old[key]:.2f} %", f"{100 * new[key]:.2f} %"))
    if old["loss"] is not None:
        rows.append(("loss", f"{old['loss']:.4f}", f"{new['loss']:.4f}"))
    error = "calibration_error"
    rows.append(("calibration", f"{100 * old[error]:.2f} points off", f"{100 * new[error]:.2f} points off"))
    lines = [f"{name:<13}{one:>20}{two:>20}" for name, one, two in rows]
    changes = f"{100 * step.mean_change:.2f} points on average, {100 * step.largest_change:.2f} at most"
    same = f"{100 * step.same_labels:.2f} % of {before.evaluation.texts:,} texts"
    return "\n".join([*lines, "", f"same labels  {same}", f"change of a probability  {changes}"]) + "\n"


def _show_size(size: int) -> str:
    return f"{size / 1e6:.2f} MB"
