"""The model file: weights, config, labels and tokenizer in one safetensors file. See docs/model-file.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from textrnn.config import Config
from textrnn.corpus.examples import is_label
from textrnn.errors import ModelError, TokenizerError
from textrnn.files import atomic_write
from textrnn.ngrams.table import NgramTable
from textrnn.tokenizer import Tokenizer

_VERSION = 3
_OLDER = (1, 2)  # before there were a temperature and n-grams: of models that give one label a text, and several
MODEL_NAME = "model.safetensors"

_TOKENIZER = "tokenizer"
_NGRAMS = "ngrams."  # begins the names of the tensors of the n-gram branch
_NGRAM_FIELDS = tuple(field.name for field in fields(NgramTable))
_METADATA = "textrnn"  # one key only: the order of several is not fixed, and the same model should be the same bytes

Weights = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class SavedModel:
    """What a model file holds.

    ``thresholds`` (C,) are those of a model that gives a text several labels: the probabilities from which it does.
    Scores are divided by ``temperature`` before they become probabilities. Where there are ``ngrams``, the scores are
    ``1 - ngram_share`` times the network's and ``ngram_share`` times theirs.
    """

    config: Config
    labels: tuple[str, ...]
    tokenizer: Tokenizer
    weights: Weights
    thresholds: tuple[float, ...] | None = None
    temperature: float = 1.0
    ngrams: NgramTable | None = None
    ngram_share: float = 0.0


def save_model(path: Path, model: SavedModel) -> None:
    """Write ``model`` to ``path``, atomically; the same model gives the same bytes."""
    header: dict[str, Any] = {
        "format_version": _VERSION,
        "labels": list(model.labels),
        "config": model.config.model_dump(),
        "temperature": float(model.temperature),
    }
    if model.thresholds is not None:
        header["thresholds"] = list(model.thresholds)
    tensors: dict[str, npt.NDArray[Any]] = dict(model.weights)
    if model.ngrams is not None:
        header["ngram_share"] = float(model.ngram_share)
        tensors |= {f"{_NGRAMS}{name}": getattr(model.ngrams, name) for name in _NGRAM_FIELDS}
    # safetensors writes memory as it lies, whatever the strides
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    tensors[_TOKENIZER] = np.frombuffer(model.tokenizer.model, np.uint8)
    with atomic_write(path) as file:
        file.write(save(tensors, {_METADATA: json.dumps(header, ensure_ascii=False)}))


def find_model(path: Path) -> Path:
    """Return the model file that ``path`` names: the file itself, or the one in that run folder.

    Raises:
        ModelError: there is none.
    """
    if path.is_dir():
        if not (path / MODEL_NAME).exists():
            raise ModelError(path, f"holds no {MODEL_NAME}; name the folder of a finished run")
        return path / MODEL_NAME
    if not path.exists():
        raise ModelError(path, "no such model file or run folder; 'textrnn train' makes one")
    return path


def load_model(path: Path) -> SavedModel:
    """Read the model file at ``path`` (or in that run folder). Nothing in a file can run code.

    Raises:
        ModelError: the file is missing, damaged, not a model of textrnn, or of a newer format.
    """
    path = find_model(path)
    header = _read_header(path)
    version = header.get("format_version")
    if version not in (*_OLDER, _VERSION):
        cure = "install a newer textrnn" if isinstance(version, int) and version > _VERSION else "train it again"
        raise ModelError(path, f"has format version {version!r}, this textrnn reads 1 to {_VERSION}; {cure}")
    try:
        tensors = load_file(path)
        labels = tuple(_read_labels(header["labels"]))
        config = _read_config(header["config"], version)
        tokenizer = Tokenizer(tensors.pop(_TOKENIZER).tobytes(), name=path)
        has_thresholds = version == 2 or (version == _VERSION and "thresholds" in header)
        thresholds = _read_thresholds(header["thresholds"], len(labels)) if has_thresholds else None
        temperature = 1.0 if version in _OLDER else _read_temperature(header["temperature"])
        ngrams = _take_ngrams(tensors, classes=len(labels))
        share = 0.0 if ngrams is None else _read_share(header["ngram_share"])
    except (SafetensorError, KeyError, TypeError, ValueError, TokenizerError, OSError) as error:
        raise ModelError(path, f"damaged: {str(error).splitlines()[0]}") from None
    model = SavedModel(
        config, labels, tokenizer, tensors, thresholds, temperature=temperature, ngrams=ngrams, ngram_share=share
    )
    if fault := _find_fault(model):
        raise ModelError(path, f"damaged: {fault}")
    return model


def _read_header(path: Path) -> dict[str, Any]:
    """Return the JSON under the one metadata key, having read no more than the file's header."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > path.stat().st_size:
                raise ModelError(path, "not a textrnn model, or cut short")
            header = json.loads(json.loads(file.read(size))["__metadata__"][_METADATA])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelError(path, "not a textrnn model") from None
    except OSError as error:
        raise ModelError(path, f"cannot be read ({error.strerror})") from None
    if not isinstance(header, dict):
        raise ModelError(path, "not a textrnn model")
    return header


def expected_shapes(config: Config, *, vocab_size: int, classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor that a model of ``config`` has, by name."""
    model = config.model
    directions = 2 if model.bidirectional else 1
    output = directions * model.hidden
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (vocab_size, model.embedding)}
    width = model.embedding
    for index in range(model.layers):
        layer = f"layers.{index}."
        if model.layer_norm:
            shapes |= {f"{layer}norm.weight": (width,), f"{layer}norm.bias": (width,)}
        if model.cell == "sru":
            blocks = 3 if width == output else 4
            shapes[f"{layer}weight"] = (width, directions * blocks * model.hidden)
            shapes |= {f"{layer}{name}": (directions, 2, model.hidden) for name in "vb"}
        else:
            gates = {"gru": 3, "lstm": 4}[model.cell] * model.hidden
            for end in ("l0", "l0_reverse")[:directions]:
                shapes |= {
                    f"{layer}rnn.weight_ih_{end}": (gates, width),
                    f"{layer}rnn.weight_hh_{end}": (gates, model.hidden),
                    f"{layer}rnn.bias_ih_{end}": (gates,),
                    f"{layer}rnn.bias_hh_{end}": (gates,),
                }
        width = output
    if model.pooling == "attention":
        shapes["pool.w"] = (width,)
    pooled = 2 * width if model.pooling == "max+mean" else width
    return shapes | {"head.weight": (classes, pooled), "head.bias": (classes,)}


def _find_fault(model: SavedModel) -> str | None:
    if len(set(model.labels)) != len(model.labels):
        return "a label stands twice"
    if model.config.data.multi_label != (model.thresholds is not None):
        return "its config and thresholds disagree on several labels a text"
    wanted = expected_shapes(model.config, vocab_size=len(model.tokenizer), classes=len(model.labels))
    if names := wanted.keys() ^ model.weights.keys():
        return f"tensor '{min(names)}' is missing or unknown"
    for name, shape in wanted.items():
        array = model.weights[name]
        if array.shape != shape or array.dtype != np.float32:
            return f"tensor '{name}' is {array.dtype} {array.shape}, not float32 {shape}"
        if not np.isfinite(array).all():
            return f"tensor '{name}' holds what is not a number"
    return None


def _read_labels(labels: Any) -> list[str]:
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise TypeError("no labels")
    if wrong := next((label for label in labels if not is_label(label)), None):
        raise TypeError(f"{wrong!r} is no label")
    return labels


def _read_thresholds(thresholds: Any, classes: int) -> tuple[float, ...]:
    if not isinstance(thresholds, list) or len(thresholds) != classes:
        raise TypeError("no threshold for each label")
    if not all(isinstance(threshold, float) and 0 <= threshold <= 1 for threshold in thresholds):
        raise TypeError("a threshold is no number from 0.0 to 1.0")
    return tuple(thresholds)


def _read_temperature(temperature: Any) -> float:
    limits = np.finfo(np.float32)  # scores are divided in float32
    if not isinstance(temperature, float) or not float(limits.tiny) <= temperature <= float(limits.max):
        raise TypeError("the temperature is no number above 0.0 in float32")
    return temperature


def _read_config(tree: Any, version: int) -> Config:
    config = Config.model_validate(tree)
    if version in _OLDER:  # it has no n-grams, which are there now where nothing is said
        return config.model_copy(update={"ngrams": config.ngrams.model_copy(update={"share": 0.0})})
    return config


def _take_ngrams(tensors: dict[str, npt.NDArray[Any]], *, classes: int) -> NgramTable | None:
    """Take the tensors of the n-gram branch, if there is one, out of ``tensors``."""
    parts = {name: tensors.pop(f"{_NGRAMS}{name}") for name in _NGRAM_FIELDS if f"{_NGRAMS}{name}" in tensors}
    if not parts:
        return None
    if lacking := next((name for name in _NGRAM_FIELDS if name not in parts), None):
        raise TypeError(f"tensor '{_NGRAMS}{lacking}' is missing")
    table = NgramTable(**parts)
    if len(table.bias) != classes:
        raise TypeError(f"the n-grams are of {len(table.bias)} labels, not {classes}")
    return table


def _read_share(share: Any) -> float:
    if not isinstance(share, float) or not 0 <= share <= 1:
        raise TypeError("the share of the n-grams is no number from 0.0 to 1.0")
    return share


def make_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the classes of ``labels``: each once, sorted."""
    return tuple(sorted(set(labels)))
