"""The model card: facts about a model in Markdown, after Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.

It begins with the metadata in YAML by which the Hugging Face Hub finds and shows a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from textrnn.config import Config, as_list
from textrnn.data.windows import Windows
from textrnn.errors import pluralize, shorten
from textrnn.serialization.model_file import SavedModel
from textrnn.tokenization.tokenizer_facts import describe_tokenizer

_MAX_LABELS = 50
_METRIC_TYPES = {"accuracy": "accuracy", "micro_f1": "f1", "macro_f1": "f1", "loss": "loss", "calibration_error": "ece"}
_METRIC_TYPES |= {"mae": "mae", "rmse": "rmse", "pearson": "pearsonr"}
_USE = """## Use

    from huggingface_hub import snapshot_download

    import textrnn

    model = textrnn.load(snapshot_download("OWNER/NAME"))  # or a run folder, or a model file
    model.predict(["a text"])

In a shell pipe: `textrnn predict -m FOLDER < texts.txt`.
"""
_LIMITS = """## Limits

- {other}
- Probabilities are calibrated for text like the validation set. On text from another source, evaluate the model again
  before you rely on it.
- The model repeats what its training labels say, their errors and biases included.
"""
_SCORE_LIMITS = """## Limits

- Every text gets a score, also a text about something else.
- No score is below the lowest or above the highest anchor.
- The model repeats the errors and biases of the scores that it was trained on.
"""
_OTHER_TEXTS = {
    False: "Every text gets a label of the list above, also a text about something else.",
    True: "A text about something else may get labels too; without any, no label was probable enough.",
}


@dataclass(frozen=True)
class Result:
    """A metric: its ``key`` in ``evaluate --json``, name, number, and how it is written with a 95 % interval if any."""

    key: str
    name: str
    number: float
    value: str
    interval: str | None = None


@dataclass(frozen=True)
class Results:
    """How a model did on ``data``, a name for people, with ``texts`` texts (None: unknown)."""

    data: str
    texts: int | None
    rows: Sequence[Result]


def write_model_card(
    name: str,
    model: SavedModel,
    *,
    results: Results | None,
    version: str,
    training: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Return a model card: what ``model`` is, how it was trained, and how it does.

    ``training`` are more facts about its run, ``metadata`` more keys for the Hub, such as license and language.
    """
    is_score = model.config.data.target == "score"
    header = _make_metadata(name, model, results) | dict(metadata or {})
    return "\n".join(
        [
            f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n",
            f"# {' '.join(name.split())}\n",
            f"{_describe_network(model.config)}, trained with textrnn {version}.\n",
            *(f"- {fact}" for fact in (*_list_facts(model), *training)),
            "",
            *([] if results is None else _format_results(results)),
            _USE.replace("model.predict(", "model.predict_scores(") if is_score else _USE,
            _SCORE_LIMITS if is_score else _LIMITS.format(other=_OTHER_TEXTS[model.config.data.multi_label]),
        ]
    )


def _make_metadata(name: str, model: SavedModel, results: Results | None) -> dict[str, Any]:
    data = model.config.data
    kind = "regression" if data.target == "score" else "multi-label" if data.multi_label else "single-label"
    header: dict[str, Any] = {
        "library_name": "textrnn",
        "pipeline_tag": "text-classification",
        "tags": ["textrnn", model.config.model.cell, kind],
    }
    if results is not None:
        result = {
            "task": {"type": "text-classification"},
            "dataset": {"name": results.data, "type": "custom"},
            "metrics": [
                {"type": _METRIC_TYPES[row.key], "name": row.name, "value": round(row.number, 6)}
                for row in results.rows
            ],
        }
        header["model-index"] = [{"name": name, "results": [result]}]
    return header


def _describe_network(config: Config) -> str:
    model, direction = config.model, "bidirectional " if config.model.bidirectional else ""
    kind = "several labels for each text" if config.data.multi_label else "one label for each text"
    kind = "a score for each text" if config.data.target == "score" else kind
    layers = "layer" if model.layers == 1 else "layers"
    return (
        f"A text classifier ({kind}): {model.layers} {direction}{model.cell.upper()} {layers} of hidden size "
        f"{model.hidden}, embedding size {model.embedding}, {model.pooling} pooling"
    )


def _list_facts(model: SavedModel) -> list[str]:
    config, tokenizer = model.config, describe_tokenizer(model.tokenizer)
    more = f", and {len(model.labels) - _MAX_LABELS} more" if len(model.labels) > _MAX_LABELS else ""
    parameters = sum(array.size for array in model.weights.values())
    anchors = f"Scores: the mean of {len(model.labels)} anchors from {model.labels[0]} to {model.labels[-1]}"
    labels = f"Labels ({len(model.labels)}): {_quote(map(shorten, model.labels[:_MAX_LABELS]))}{more}"
    facts = [
        anchors if config.data.target == "score" else labels,
        f"Parameters of the network: {parameters:,}",
        f"Tokenizer: SentencePiece {tokenizer.type}, {tokenizer.pieces:,} pieces, {tokenizer.normalization}",
        f"Text: {_describe_reading(Windows.of(config.data))}",
        f"Training set: {_quote(as_list(config.data.train))}",
        f"Training: batches of {_describe_batches(config)}, learning rate {config.train.lr}, seed {config.train.seed}",
        f"Calibration: temperature {model.temperature:.3f}{_describe_thresholds(model)}",
    ]
    if model.ngrams is not None:
        count = f"{len(model.ngrams.keys):,} word and character n-grams"
        facts.insert(2, f"N-gram model: {count}, with {100 * model.ngram_share:.0f} % of the weight")
    return facts


def _describe_reading(windows: Windows) -> str:
    """Return what is read of a text."""
    if windows.most is None:
        return "a text is read to its end"
    if windows.most == 1:
        return f"the first {pluralize(windows.size, 'piece', 'pieces')} of a text are read"
    return f"up to {windows.most} windows of {windows.size} pieces of a text are read, from its beginning to its end"


def _quote(names: Iterable[str]) -> str:
    return ", ".join(map(_format_code, names))


def _format_code(name: str) -> str:
    """Return ``name`` as code, which Markdown leaves as it is."""
    if "`" not in name:
        return f"`{name}`"
    fence = "`" * (1 + max(map(len, re.findall("`+", name))))
    return f"{fence} {name} {fence}"


def _describe_batches(config: Config) -> str:
    if config.train.batch_tokens is not None:
        return f"{config.train.batch_tokens:,} tokens"
    return "texts" if config.train.batch_size is None else pluralize(config.train.batch_size, "text", "texts")


def _describe_thresholds(model: SavedModel) -> str:
    if model.thresholds is not None:
        return f"; a label is given from probability {min(model.thresholds):.2f} to {max(model.thresholds):.2f} on"
    return "" if model.confidence_thresholds is None else "; the model has a confidence threshold for each label"


def _format_results(results: Results) -> list[str]:
    texts = "" if results.texts is None else f" ({pluralize(results.texts, 'text', 'texts')})"
    return [
        f"## Evaluation on {results.data}{texts}",
        "",
        "| metric | value | 95 % interval |",
        "|---|---|---|",
        *(f"| {row.name} | {row.value} | {row.interval or '-'} |" for row in results.rows),
        "",
    ]
