"""``textrnn optimize``: make a model smaller without making it worse."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from textrnn.cli import options
from textrnn.cli.model_loading import choose_model
from textrnn.cli.parameters import Option
from textrnn.cli.terminal import print_message, write_data
from textrnn.errors import ConfigError, DataError, name_file, pluralize, shorten
from textrnn.files import atomic_write, keep_previous

if TYPE_CHECKING:
    from textrnn.compression import Measured, Step
    from textrnn.serialization.model_file import SavedModel
    from textrnn.serialization.quantization import Storage

_OTHER_TASK = "name labelled text of the model's own task"


def optimize_command(
    data: options.LabelledArgument,
    out: Annotated[Path, Option("--out", "-o", metavar="FILE", help="The model file to write.")],
    model: options.ModelOption = None,
    storage: Annotated[
        options.PrecisionName, Option(metavar="fp32|bf16|int8", help="Storage format of the weights.")
    ] = "int8",
    ngrams: Annotated[
        float | None,
        Option(
            min=0.001,
            max=1.0,
            metavar="SHARE",
            help="Share of the n-grams to keep.  [default: the smallest of 0.1, 0.25, 0.5 and 1 that is good enough]",
        ),
    ] = None,
    max_drop: Annotated[
        float,
        Option(min=0.0, max=100.0, metavar="POINTS", help="Largest loss of accuracy (multi-label: micro F1) on DATA."),
    ] = 0.3,
    as_json: options.JsonOption = False,
    settings: options.DataSettings = None,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace an earlier FILE instead of keeping it as FILE.1.")
    ] = False,
) -> None:
    """Make a model smaller without making it worse.

    Stores the weights in fewer bits and removes the least useful n-grams. DATA measures the effect: use the
    validation set, not the test set. If accuracy on DATA falls by more than --max-drop points, nothing is written.
    Without --ngrams, the loss may also rise by at most 0.01, unless all n-grams are kept. DATA of another task is
    refused if the model has none of its labels, and reported if the most frequent label does as well as the model.

    Prints size, accuracy, loss and calibration before and after, and how much labels and probabilities change.

    \b
      textrnn optimize -o small.safetensors valid.tsv
      textrnn optimize -m runs/trec -o small.safetensors --ngrams 1 valid.tsv
      textrnn predict -m small.safetensors < crawl.txt
    """
    overrides = options.parse_data_settings(settings, command="optimize")
    from textrnn.compression import SHARES, compress_model
    from textrnn.data.labels import split_labels
    from textrnn.data.reading.examples import read_examples
    from textrnn.serialization.model_file import find_model, load_model

    path = find_model(choose_model(model))
    loaded = load_model(path)
    if loaded.config.data.target == "score":
        raise ConfigError("optimize: is for labels, but the model predicts scores")
    _check(out, ngrams, path=path, model=loaded)
    examples = read_examples(data, options.make_data_config(overrides, loaded.config.data), note=print_message)
    labels = dict.fromkeys(label for example in examples for label in split_labels(example.label))
    if labels and labels.keys().isdisjoint(loaded.labels):
        raise DataError(
            data, None, f"the model has none of its labels, such as '{shorten(next(iter(labels)))}'; {_OTHER_TASK}"
        )
    kind: Storage = "float32" if storage == "fp32" else storage
    step = compress_model(
        path,
        loaded,
        examples,
        storage=kind,
        shares=SHARES if ngrams is None else [ngrams],
        max_drop=max_drop,
        report_before=lambda measured: _warn_of_other_task(data, measured),
        report=_report,
    )
    _write(step.content, out, overwrite=overwrite)
    if loaded.confidence_thresholds is not None:
        print_message(f"{out}: has no confidence thresholds; find them again with: textrnn evaluate --save-thresholds")
    if as_json:
        result = {"model": str(path), "out": str(out), "storage": kind, **_to_dict(step)}
        write_data(json.dumps(result, ensure_ascii=False) + "\n")
    else:
        write_data(format_step(step))


def _check(out: Path, ngrams: float | None, *, path: Path, model: SavedModel) -> None:
    """Raise ConfigError if ``out`` cannot be written, or ``ngrams`` does not suit the ``model`` at ``path``."""
    if out.is_dir():
        raise ConfigError(f"--out {out}: is a folder; name a file in it")
    if out.exists() and not out.is_file():
        raise ConfigError(f"--out {out}: is not a regular file; name another file")
    if out.exists() and out.samefile(path):
        raise ConfigError(f"--out {out}: is the model itself; name another file")
    if ngrams is not None and model.ngrams is None:
        raise ConfigError(f"--ngrams {ngrams:g}: the model has no n-grams; leave it out")


def _warn_of_other_task(data: str, measured: Measured) -> None:
    """Warn if labels of ``data`` or the quality on it suggest that the model is for another task."""
    found, name = measured.evaluation, name_file(data)
    if found.unknown_texts:
        texts = f"{found.unknown_texts:,} of {pluralize(found.texts, 'text', 'texts')}"
        print_message(
            f"{name}: {texts} have a label that the model lacks, such as '{shorten(found.unknown_labels[0])}'"
        )
    if not measured.beats_baseline:
        label, baseline = measured.baseline
        quality = f"{_metric(measured)} {100 * measured.quality:.1f} %"
        print_message(
            f"{name}: {quality}, but '{shorten(label)}' for every text gives {100 * baseline:.1f} %; {_OTHER_TASK}"
        )


def _metric(measured: Measured) -> str:
    return "micro F1" if hasattr(measured.evaluation, "micro_f1") else "accuracy"


def _report(step: Step) -> None:
    kept = f"{100 * step.share:g} % of the n-grams: " if step.before.ngrams else ""
    rise = "" if step.loss_rise is None else f", loss {step.loss_rise:+.4f}"
    print_message(f"{kept}{step.after.size:,} bytes, {_metric(step.after)} {0.0 - step.drop:+.2f} points{rise}")


def _write(content: bytes, out: Path, *, overwrite: bool) -> None:
    target = Path(os.path.realpath(out)) if out.is_symlink() else out  # replace the target, keep the link
    with atomic_write(target) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # if the disk is full, the earlier file must keep its name
        if not overwrite and target.exists() and target.read_bytes() != content:
            for earlier, kept in keep_previous(target):
                print_message(f"an earlier {earlier} is kept as {kept}")
    print_message(f"wrote {out}; label lines with: textrnn predict -m {out}")


def _to_dict(step: Step) -> dict[str, Any]:
    """Return ``step`` for JSON: shares in [0, 1], sizes in bytes, losses in nats a text."""
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
    scores = measured.evaluation.to_dict()
    names = ("accuracy", "micro_f1", "macro_f1", "weighted_f1", "loss", "calibration_error")
    return {"bytes": measured.size, "ngrams": measured.ngrams} | {key: scores[key] for key in names if key in scores}


def format_step(step: Step) -> str:
    """Return the comparison that the command prints."""
    rows = [("", "before", "after"), ("size", *(f"{m.size / 1e6:.2f} MB" for m in (step.before, step.after)))]
    if step.before.ngrams:
        rows.append(("n-grams", f"{step.before.ngrams:,}", f"{step.after.ngrams:,}"))
    before, after = step.before.evaluation.to_dict(), step.after.evaluation.to_dict()
    for key, name in (("micro_f1", "micro F1"), ("accuracy", "accuracy"), ("macro_f1", "macro F1")):
        if key in before:
            rows.append((name, f"{100 * before[key]:.2f} %", f"{100 * after[key]:.2f} %"))
    if before["loss"] is not None:
        rows.append(("loss", f"{before['loss']:.4f}", f"{after['loss']:.4f}"))
    error = "calibration_error"
    rows.append(("calibration", f"{100 * before[error]:.2f} points off", f"{100 * after[error]:.2f} points off"))
    lines = [f"{name:<13}{left:>20}{right:>20}" for name, left, right in rows]
    changes = f"{100 * step.mean_change:.2f} points on average, {100 * step.largest_change:.2f} at most"
    same = f"{100 * step.same_labels:.2f} % of {step.before.evaluation.texts:,} texts"
    return "\n".join([*lines, "", f"same labels  {same}", f"change of a probability  {changes}"]) + "\n"
