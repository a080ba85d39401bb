"""Prediction on a Ray cluster: whole files with :func:`predict_files`, or a step of any Ray Data pipeline.

Each input file gives one part with the same rows in the same order, made by one actor that reads, predicts and writes.
So texts never pass through Ray's object store, an actor holds one batch at a time, and a part is complete or absent:
what is lost with an actor is computed again, and nothing is there twice.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textrnn.errors import DataError, TextrnnError, pluralize
from textrnn.extras import import_extra
from textrnn.inference import Precision
from textrnn.integrations.addresses import list_inputs, remove_temporary
from textrnn.integrations.arrow_labeler import ArrowLabeler
from textrnn.integrations.manifest import Manifest, check_empty, hash_file
from textrnn.integrations.part_files import PartCounts, check_file, label_file, name_part
from textrnn.serialization.latest_run import find_latest
from textrnn.serialization.model_file import find_model

_SAVE_SECONDS = 5
_SHOWN_FAULTS = 10
_EXTRA = "ray"


class Predictor:
    """A step for ``Dataset.map_batches(Predictor, batch_format="pyarrow", fn_constructor_args=[PATH], ...)``.

    Each actor loads the model file or run folder once and computes on one thread. Tables come back with the columns of
    :class:`textrnn.integrations.arrow_labeler.ArrowLabeler`; the arguments are those of its ``load``.
    """

    def __init__(self, model: str | os.PathLike[str], **options: Any) -> None:
        self._labeler = ArrowLabeler.load(model, **options)

    def __call__(self, table: Any) -> Any:
        """Return the pyarrow.Table with predictions."""
        return self._labeler(table)


@dataclass(frozen=True)
class Summary:
    """The result of :func:`predict_files`; rows of resumed parts count, but not in ``rows_per_second``."""

    rows_in: int
    rows_out: int
    labels: Counter[str]
    rows_per_second: float

    def check(self) -> None:
        """Raise TextrnnError if rows were lost or added."""
        if self.rows_in != self.rows_out:
            raise TextrnnError(f"{self.rows_in:,} rows in, but {self.rows_out:,} rows out; run it again elsewhere")

    def __str__(self) -> str:
        """Return the counts, the rate, and the share of each label if there are labels, in one line each."""
        total = max(1, self.labels.total())
        lines = [f"{self.rows_in:,} rows in, {self.rows_out:,} rows out, {self.rows_per_second:,.0f} rows/s"]
        lines += [f"{label}: {count:,} ({count / total:.1%})" for label, count in self.labels.most_common()]
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run over whole files; see :func:`predict_files`. ``settings`` are those that a resumed run must share."""

    labeler: ArrowLabeler
    model: Path
    inputs: Sequence[str]
    output: str
    jobs: int | None = None
    resume: bool = False
    as_json: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    def run(self) -> Summary:
        """Write all parts that are missing."""
        import_extra("ray.data", extra=_EXTRA, feature="--engine ray")
        import_extra("pyarrow.parquet", extra=_EXTRA, feature="--engine ray")
        manifest = self._make_manifest()
        start = time.perf_counter()
        resumed = sum(counts.rows_out for counts in manifest.done.values())
        faults = self._label(manifest) if manifest.rest else []
        seconds = time.perf_counter() - start
        if faults:
            more = f"; {len(faults) - _SHOWN_FAULTS} more" if len(faults) > _SHOWN_FAULTS else ""
            cure = (
                f"{self.output}: {pluralize(len(faults), 'part is', 'parts are')} missing{more}; the rest is written: "
            )
            raise TextrnnError("\n".join([*faults[:_SHOWN_FAULTS], f"{cure}correct the input, then add --resume"]))
        return _summarize(manifest, resumed=resumed, seconds=seconds)

    def _make_manifest(self) -> Manifest:
        inputs = list_inputs(self.inputs)
        parts = {name_part(each.name, as_json=self.as_json): each for each in inputs}
        settings = {**self.settings, "field": self.labeler.column, "format": "jsonl" if self.as_json else "default"}
        manifest = Manifest(self.output, hash_file(find_model(self.model)), settings, parts)
        if self.resume:
            manifest.resume()
        else:
            check_empty(self.output)
        if manifest.rest:
            check_file(self.labeler, manifest.inputs[manifest.rest[0]].address)
        return manifest

    def _label(self, manifest: Manifest) -> list[str]:
        """Write the parts that are missing; return the messages about those that failed."""
        faults, saved = [], time.monotonic()
        manifest.save()
        try:
            with _cluster():
                for row in self._start(manifest):
                    if row["fault"]:
                        faults.append(row["fault"])
                        continue
                    labels = Counter(dict(zip(row["labels"], row["counts"], strict=True)))
                    manifest.done[row["name"]] = PartCounts(row["rows_in"], row["rows_out"], labels)
                    if time.monotonic() - saved > _SAVE_SECONDS:
                        manifest.save()
                        saved = time.monotonic()
        finally:
            manifest.save()
        remove_temporary(self.output)
        return faults

    def _start(self, manifest: Manifest) -> Iterator[dict[str, Any]]:
        """Yield the result of each part, as :class:`_PartWriter` returns it, when it is complete."""
        import ray.data  # noqa: PLC0415 - it takes seconds

        processors = int(ray.cluster_resources().get("CPU", 1))
        wanted = self.jobs or processors
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = sys.stderr is not None and sys.stderr.isatty()
        parts = [{"name": name, "source": manifest.inputs[name].address} for name in manifest.rest]
        most = min(wanted, len(parts))
        pool = ray.data.ActorPoolStrategy(
            min_size=min(most, processors), max_size=most, max_tasks_in_flight_per_actor=1
        )
        dataset = ray.data.from_items(parts, override_num_blocks=len(parts)).map_batches(
            _PartWriter,
            fn_constructor_args=[ray.put(self.labeler), self.output],
            batch_size=1,
            batch_format="pyarrow",
            compute=pool,
            num_cpus=1,
        )
        return iter(dataset.iter_rows())


class _PartWriter:
    """An actor with one engine. It takes a table with one part, and returns one with its counts, or its fault."""

    def __init__(self, labeler: Any, output: str) -> None:
        import ray  # noqa: PLC0415 - it takes seconds

        self._labeler: ArrowLabeler = ray.get(labeler)
        self._output = output

    def __call__(self, table: Any) -> Any:
        import pyarrow as pa  # noqa: PLC0415 - only actors need it

        (part,) = table.to_pylist()
        counts, fault = PartCounts(), ""
        try:
            counts = label_file(self._labeler, part["source"], f"{self._output}/{part['name']}")
        except (DataError, OSError) as error:
            fault = str(error)
        row = {
            "name": part["name"],
            "rows_in": counts.rows_in,
            "rows_out": counts.rows_out,
            "labels": [*counts.labels],
            "counts": [*counts.labels.values()],
            "fault": fault,
        }
        return pa.Table.from_pylist([row], schema=_result_schema())


def _result_schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - only actors need it

    kinds = {"name": pa.string(), "rows_in": pa.int64(), "rows_out": pa.int64(), "fault": pa.string()}
    return pa.schema({**kinds, "labels": pa.list_(pa.string()), "counts": pa.list_(pa.int64())})


@contextmanager
def _cluster() -> Iterator[None]:
    """Use the cluster that this process is connected to, that of RAY_ADDRESS or this machine, or start one here."""
    import ray  # noqa: PLC0415 - it takes seconds

    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it warns of arguments that it cannot restore
    for name in ("ray._private.authentication", "ray.data._internal.progress"):  # they report defaults
        logging.getLogger(name).setLevel(logging.ERROR)
    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    try:
        yield
    finally:
        ray.shutdown()


def _summarize(manifest: Manifest, *, resumed: int, seconds: float) -> Summary:
    done = manifest.done.values()
    labels: Counter[str] = Counter()
    for counts in done:
        labels += counts.labels
    rows_in, rows_out = sum(counts.rows_in for counts in done), sum(counts.rows_out for counts in done)
    return Summary(rows_in, rows_out, labels, (rows_out - resumed) / max(seconds, 1e-9))


def predict_files(
    model: str | os.PathLike[str] | None,
    inputs: Sequence[str],
    output: str,
    *,
    column: str = "text",
    top_k: int | None = None,
    threshold: float | None = None,
    precision: Precision = "fp32",
    jobs: int | None = None,
    resume: bool = False,
    as_json: bool = False,
) -> Summary:
    """Label Parquet, JSON Lines, CSV, TSV and text files on a Ray cluster, and write a part for each to ``output``.

    Args:
        model: a model file or run folder (None: the latest run); actors get it from this process.
        inputs: files, folders, or patterns with ``*``, on any filesystem that fsspec knows; compressed or not.
        output: a folder, which all machines see.
        column: the column or key with the texts; lines of text get it as their key.
        top_k: the number of labels for each text; above 1 a column ``top`` has them all.
        threshold: of a multi-label model, as in :meth:`textrnn.Model.predict`.
        precision: that of matrix products.
        jobs: the number of actors, each with one CPU (None: the CPUs of the cluster).
        resume: finish the run in ``output``.
        as_json: write JSON Lines for Parquet files too; all other formats give JSON Lines anyway.

    Raises:
        ConfigError: a package is missing; ``output`` is not empty, or with ``resume`` of another run.
        DataError: an input is missing.
        ModelError: there is no model, or it is damaged.
        TextrnnError: files are damaged or lack texts, and all other parts are written; or rows were lost.
    """
    path = find_latest() if model is None else Path(model)
    labeler = ArrowLabeler.load(path, column=column, top_k=top_k, threshold=threshold, precision=precision)
    settings = {"top_k": top_k, "threshold": threshold, "precision": precision}
    job = Job(
        labeler=labeler,
        model=path,
        inputs=inputs,
        output=output,
        jobs=jobs,
        resume=resume,
        as_json=as_json,
        settings=settings,
    )
    summary = job.run()
    summary.check()
    return summary
