"""``textrnn predict --engine ray``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from textrnn.cli.commands.predict import check_ignored_choices, check_unknown_label, list_label_options
from textrnn.cli.model_loading import (
    check_ignored,
    check_score_options,
    check_threshold,
    choose_model,
    load_engine,
    use_cascade,
)
from textrnn.cli.terminal import print_message
from textrnn.errors import ConfigError
from textrnn.extras import import_extra
from textrnn.inference import UNKNOWN

if TYPE_CHECKING:
    from textrnn.inference.engine import Engine
    from textrnn.pipeline.record_writer import RecordWriter

_LOCAL_ONLY = ("score", "with_text", "explain", "input_format", "settings", "rejects")
_SETTINGS = ("top_k", "threshold", "min_prob", "unknown_label", "precision", "cascade", "on_error", "ignore_thresholds")


def run_ray_job(options: Mapping[str, Any]) -> None:
    """Label files on a Ray cluster; ``options`` are the arguments of ``textrnn predict`` by name.

    Raises:
        ConfigError: an option has no effect with this engine, or contradicts another; or --resume without it.
    """
    if options["engine_"] != "ray":
        raise ConfigError("--resume: has no effect without --engine ray; leave it out")
    _check_options(options)
    check_unknown_label(options["unknown_label"])
    if options["ignore_thresholds"]:
        check_ignored_choices({"--min-prob": options["min_prob"], "--unknown-label": options["unknown_label"]})
    import_extra("ray", extra="ray", feature="--engine ray")
    path = choose_model(options["model"])
    engine = load_engine(path, precision=options["precision"])
    check_threshold(engine, options["threshold"])
    writer = _make_writer(engine, options)
    from textrnn.integrations.arrow_labeler import ArrowLabeler
    from textrnn.integrations.ray import Job

    column = (options["field"] or ["text"])[0]
    summary = Job(
        labeler=ArrowLabeler(writer, column, keeps_missing=options["on_error"] == "empty"),
        model=path,
        inputs=options["files"],
        output=_to_address(str(options["output"])),
        jobs=options["jobs"],
        resume=options["resume"],
        as_json=options["format_"] == "jsonl",
        settings={name: options[name] for name in _SETTINGS},
    ).run()
    print_message(str(summary))
    summary.check()


def _make_writer(engine: Engine, options: Mapping[str, Any]) -> RecordWriter[Any]:
    """Return what writes labels, or scores if the model predicts them."""
    if engine.anchors is not None:
        check_score_options(engine, list_label_options(options))
        from textrnn.pipeline.score_writer import ScoreWriter

        return ScoreWriter(engine)
    check_ignored(engine, ignores=options["ignore_thresholds"])
    use_cascade(engine, options["cascade"])
    if options["min_prob"] is not None and engine.thresholds is not None:
        raise ConfigError(f"--min-prob {options['min_prob']}: the model is multi-label; use --threshold instead")
    if options["unknown_label"] is not None and options["min_prob"] is None and not engine.confidence_thresholds:
        raise ConfigError(f"--unknown-label {options['unknown_label']}: needs a bound; add --min-prob")
    from textrnn.pipeline.labeler import Labeler

    return Labeler(
        engine,
        top_k=options["top_k"],
        threshold=options["threshold"],
        min_prob=0.0 if options["ignore_thresholds"] else options["min_prob"],
        unknown_label=options["unknown_label"] or UNKNOWN,
    )


def _check_options(options: Mapping[str, Any]) -> None:
    faults = [f"--{name.replace('_', '-').replace('settings', 'set')}" for name in _LOCAL_ONLY if options[name]]
    faults += [f"--format {options['format_']}"] if options["format_"] not in (None, "jsonl") else []
    faults += ["--on-error skip"] if options["on_error"] == "skip" else []
    faults += [f"--device {options['device']}"] if options["device"] != "cpu" else []
    messages = [f"{fault}: has no effect with --engine ray; leave it out" for fault in faults]
    if options["output"] is None or str(options["output"]) == "-":
        messages.append("--engine ray: writes a folder; name it with --output")
    if not options["files"] or "-" in options["files"]:
        messages.append("--engine ray: reads no standard input; name files or folders")
    if len(options["field"] or ()) > 1:
        messages.append("--field: --engine ray reads one column; name one")
    if messages:
        raise ConfigError(messages)


def _to_address(output: str) -> str:
    """Return an address such as ``s3://bucket/folder``, of which Path removed a slash."""
    return re.sub(r"^(?!file:)([a-z][a-z0-9+.-]+):/(?=[^/])", r"\1://", output)
