"""The model file: weights, config, labels and tokenizer in one safetensors file. See docs/reference/model-file.md."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.config import Config
from textrnn.data.formats import is_label
from textrnn.errors import ModelError, TokenizerError
from textrnn.files import atomic_write
from textrnn.models.ngram.table import NgramTable
from textrnn.serialization.latest_run import CHECKPOINT_NAME, POINTER, find_latest
from textrnn.serialization.quantization import Storage, narrow, widen
from textrnn.serialization.tensor_file import Content, format_tensors, map_file, read_header, read_tensors, read_text
from textrnn.tokenization.tokenizer import Tokenizer

_PLAIN, _NARROW = 3, 4  # the newest versions: of files that hold float32 alone, and of those that hold less
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
    with atomic_write(path) as file:
        file.write(format_model(model))


def format_model(model: SavedModel, *, storage: Storage = "float32") -> bytes:
    """Return the bytes of the file of ``model``, its matrices and the idf of its n-grams in ``storage``.

    The same model gives the same bytes. What is float32 throughout is a file of version 3, which older textrnn reads.
    """
    header: dict[str, Any] = {
        "format_version": _PLAIN,
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
    wide = [name for name, array in tensors.items() if array.ndim == 2 or name == f"{_NGRAMS}idf"]
    stored = narrow(tensors, storage, names=wide)
    if any(stored[name] is not tensors[name] for name in wide):
        header["format_version"] = _NARROW
    stored[_TOKENIZER] = np.frombuffer(model.tokenizer.model, np.uint8)
    return format_tensors(stored, {_METADATA: json.dumps(header, ensure_ascii=False)})


def find_model(path: Path) -> Path:
    """Return the model file that ``path`` names: the file itself, or the one in that run folder or the latest run's.

    Raises:
        ModelError: there is none.
    """
    if path == POINTER and path.is_file():
        path = find_latest()
    if path.is_dir():
        if not (path / MODEL_NAME).exists():
            if (path / CHECKPOINT_NAME).exists():
                command = shlex.join(["textrnn", "train", "--resume", str(path)])
                raise ModelError(path, f"was stopped before its first model; go on with: {command}")
            raise ModelError(path, f"holds no {MODEL_NAME}; name the folder of a finished run")
        path = path / MODEL_NAME
    elif not path.exists():
        raise ModelError(path, "no such model file or run folder; 'textrnn train' makes one")
    if not path.is_file():  # a pipe cannot be mapped, and opening one would wait
        raise ModelError(path, "not a file; name a model file or a run folder")
    return path


def load_model(path: Path) -> SavedModel:
    """Read the model file at ``path`` (or in that run folder). Nothing in a file can run code.

    Weights that the file holds as float32 are read-only views of its memory, which processes share until they copy it.
    As long as there is one the file is mapped, and Windows would not let it be replaced: training, which writes a run
    folder's model anew with each best epoch, keeps none that it has read from there.

    Raises:
        ModelError: the file is missing, damaged, not a model of textrnn, or of a newer format.
    """
    path = find_model(path)
    try:
        content = map_file(path)
    except OSError as error:
        raise ModelError(path, f"cannot be read ({error.strerror})") from None
    return parse_model(content, name=path)


def parse_model(content: Content, *, name: object) -> SavedModel:
    """Return the model that a file with ``content`` holds; its weights may be views of that.

    Raises:
        ModelError: as :func:`load_model` does; it says ``name``.
    """
    try:
        file_header = read_header(content)
        header = json.loads(read_text(file_header, _METADATA))
    except (ValueError, RecursionError):
        raise ModelError(name, "not a textrnn model, or cut short") from None
    if not isinstance(header, dict):
        raise ModelError(name, "not a textrnn model")
    version = header.get("format_version")
    if version not in (*_OLDER, _PLAIN, _NARROW):
        cure = "install a newer textrnn" if isinstance(version, int) and version > _NARROW else "train it again"
        raise ModelError(name, f"has format version {version!r}, this textrnn reads 1 to {_NARROW}; {cure}")
    try:
        tensors = read_tensors(content, file_header)
        if version == _NARROW:
            tensors = widen(tensors)
        labels = tuple(_read_labels(header["labels"]))
        config = _read_config(header["config"], version)
        tokenizer = Tokenizer(tensors.pop(_TOKENIZER).tobytes(), name="its tokenizer")
        has_thresholds = version == 2 or (version not in _OLDER and "thresholds" in header)
        thresholds = _read_thresholds(header["thresholds"], len(labels)) if has_thresholds else None
        temperature = 1.0 if version in _OLDER else _read_temperature(header["temperature"])
        ngrams = _take_ngrams(tensors, classes=len(labels))
        share = 0.0 if ngrams is None else _read_share(header["ngram_share"])
    except (KeyError, TypeError, ValueError, TokenizerError) as error:
        raise ModelError(name, f"damaged: {str(error).splitlines()[0]}") from None
    model = SavedModel(
        config, labels, tokenizer, tensors, thresholds, temperature=temperature, ngrams=ngrams, ngram_share=share
    )
    if fault := _find_fault(model):
        raise ModelError(name, f"damaged: {fault}")
    return model


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
