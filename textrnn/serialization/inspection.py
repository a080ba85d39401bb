"""Facts about a model file and its run, without computing anything with it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from textrnn.errors import ModelError, TokenizerError
from textrnn.serialization.latest_run import COMMAND_NAME, CONFIG_NAME, METRICS_NAME
from textrnn.serialization.model_file import MODEL_NAME, SavedModel, find_model, load_model
from textrnn.serialization.tensor_file import map_file, read_header, read_text
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.tokenizer_facts import TokenizerFacts, describe_tokenizer

_PARTS = {
    "embedding": "embedding.",
    "layers": "layers.",
    "pooling": "pool.",
    "head": "head.",
    "n-grams": "ngrams.",
    "tokenizer": "tokenizer",
    "validation": "validation.",
}
"""The parts of a model, and how the names of their tensors begin."""


@dataclass(frozen=True)
class TrainingFacts:
    """Facts about a run: ``epochs`` and their ``seconds`` in total, the line of metrics.jsonl of the best epoch.

    ``metric`` is the config key that selects that epoch, ``command`` the command line.
    """

    epochs: int
    seconds: float
    metric: str
    best: dict[str, Any] | None
    command: str | None


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a model file; ``parts`` has the bytes of each part, which add up to ``size``.

    ``network`` and ``config`` are the section ``model`` and the whole of the config. ``parameters`` are those of the
    network. ``confidence_thresholds`` are those of a single-label model, by label (None: the label is never given), and
    ``confidence_max_error`` the share of errors that they were found for (None: unknown).
    ``ngrams`` counts the n-grams (None: the model has none), as ``ngram_share`` is their weight. ``training``
    is None without a run folder.
    """

    file: str
    size: int
    sha256: str
    format_version: int
    network: dict[str, Any]
    parameters: int
    ngrams: int | None
    parts: dict[str, int]
    labels: tuple[str, ...]
    temperature: float
    ngram_share: float
    thresholds: tuple[float, ...] | None
    confidence_thresholds: dict[str, float | None] | None
    confidence_max_error: float | None
    cascade: dict[str, Any] | None
    tokenizer: TokenizerFacts
    training: TrainingFacts | None
    config: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain values for JSON."""
        return asdict(self)


def is_tokenizer(path: Path) -> bool:
    """Return whether ``path`` is a file that can only be a SentencePiece model, as it has no header of a model file."""
    if not path.is_file() or path.suffix == Path(MODEL_NAME).suffix:
        return False
    try:
        return not read_header(map_file(path))
    except (ValueError, RecursionError, OSError):
        return path.suffix == ".model" or _is_sentencepiece(path)


def inspect_model(path: Path) -> ModelFacts:
    """Return the facts about the model file at ``path``, or the one in that run folder.

    Raises:
        ModelError: the model is missing, damaged or not supported, or a line of metrics.jsonl is.
    """
    file = find_model(path)
    model = load_model(file, is_starter=None)
    content = map_file(file)
    header = read_header(content)
    version = json.loads(read_text(header, "textrnn"))["format_version"]
    return ModelFacts(
        file=str(file),
        size=len(content),
        sha256=sha256(content).hexdigest(),
        format_version=version,
        network=model.config.model.model_dump(),
        parameters=sum(array.size for array in model.weights.values()),
        ngrams=None if model.ngrams is None else len(model.ngrams.keys),
        parts=_measure_parts(header, len(content)),
        labels=model.labels,
        temperature=model.temperature,
        ngram_share=model.ngram_share,
        thresholds=model.thresholds,
        confidence_thresholds=_list_confidence(model),
        confidence_max_error=model.confidence_max_error,
        cascade=None if model.cascade is None else asdict(model.cascade),
        tokenizer=describe_tokenizer(model.tokenizer),
        training=read_training(file, model.config.train.metric),
        config=model.config.model_dump(),
    )


def is_quantized(path: Path) -> bool:
    """Return whether the model file at ``path``, or in that folder, holds weights in int8; raises ModelError."""
    entries = read_header(map_file(find_model(path))).values()
    return any(entry.get("dtype") == "I8" for entry in entries)


def _list_confidence(model: SavedModel) -> dict[str, float | None] | None:
    if model.confidence_thresholds is None:
        return None
    pairs = zip(model.labels, model.confidence_thresholds, strict=True)
    return {label: None if math.isinf(threshold) else threshold for label, threshold in pairs}


def _is_sentencepiece(path: Path) -> bool:
    try:
        Tokenizer.read(path)
    except TokenizerError:
        return False
    return True


def _measure_parts(header: Mapping[str, Any], size: int) -> dict[str, int]:
    """Return the bytes of each part with any; the rest of the file is its header."""
    found: dict[str, int] = {}
    for part, prefix in _PARTS.items():
        ranges = [entry["data_offsets"] for name, entry in header.items() if name.startswith(prefix)]
        if ranges:
            found[part] = sum(end - begin for begin, end in ranges)
    return {**found, "header": size - sum(found.values())}


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a metrics.jsonl, one for each epoch; raises ModelError if it is damaged."""
    try:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for record in records:
            _ = float(record["step"]), float(record["seconds"]), record["best"]
    except (ValueError, KeyError, TypeError):
        raise ModelError(path, "not the metrics of a run; delete the file, or name the model file") from None
    return records


def read_training(file: Path, metric: str) -> TrainingFacts | None:
    """Return the facts about the run whose folder has the model ``file``, or None if it is no run folder."""
    path = file.parent / METRICS_NAME
    if file.name != MODEL_NAME or not path.is_file() or not (file.parent / CONFIG_NAME).is_file():
        return None
    records = read_metrics(path)
    best = next((record for record in reversed(records) if record["best"]), None)
    seconds = float(sum(record["seconds"] for record in records))
    command = file.parent / COMMAND_NAME
    text = command.read_text(encoding="utf-8", errors="replace").strip() if command.is_file() else None
    return TrainingFacts(len(records), seconds, metric, best, text)
