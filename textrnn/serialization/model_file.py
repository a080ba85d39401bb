"""The model file: weights, config, labels and tokenizer in one safetensors file. See docs/reference/model-file.md."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.config import Config, check_config
from textrnn.data.labels import is_label
from textrnn.errors import ModelError, TokenizerError
from textrnn.files import atomic_write
from textrnn.models.cascade import Cascade
from textrnn.models.ngram.table import NgramTable
from textrnn.serialization.latest_run import CHECKPOINT_NAME, POINTER, find_latest
from textrnn.serialization.quantization import Storage, dequantize, quantize
from textrnn.serialization.tensor_file import Content, format_tensors, map_file, read_header, read_tensors, read_text
from textrnn.serialization.validation_record import ValidationRecord, take_validation
from textrnn.tokenization.tokenizer import Tokenizer

_FLOAT32, _QUANTIZED = 3, 4  # format versions: float32 tensors only, and with bfloat16 or int8 tensors
MODEL_NAME = "model.safetensors"

_TEMPERATURES = (float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max))  # logits are divided in float32

_CONFIDENCE, _MAX_ERROR = "confidence_thresholds", "confidence_max_error"
_TOKENIZER = "tokenizer"
_NGRAMS = "ngrams."  # prefix of the tensors of the n-gram model
_NGRAM_FIELDS = tuple(field.name for field in fields(NgramTable))
_METADATA = "textrnn"  # a single key, so that the same model always gives the same bytes

Weights = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class SavedModel:
    """The content of a model file.

    ``thresholds`` (C,) belong to a multi-label model: the lowest probability at which it assigns each label. The logits
    are ``(1 - ngram_share) * network + ngram_share * ngrams``; divided by ``temperature`` they give the probabilities.
    ``ngram_scale`` is the factor that the n-grams' weights hold already (None: unknown, in files that lack it).
    ``cascade`` says when the n-grams alone suffice (None: unknown). ``confidence_thresholds`` (C,) belong to a
    single-label model: the lowest probability at which it gives each label, infinity where it never does (None: 0).
    ``confidence_max_error`` is the share of errors that they were found for (None: unknown). ``validation`` is the set
    that the model was validated with (None: unknown, or none).

    A starter is a model without labels, whose head has no rows: its tokenizer and network are the beginning of others.
    """

    config: Config
    labels: tuple[str, ...]
    tokenizer: Tokenizer
    weights: Weights
    thresholds: tuple[float, ...] | None = None
    temperature: float = 1.0
    ngrams: NgramTable | None = None
    ngram_share: float = 0.0
    ngram_scale: float | None = None
    cascade: Cascade | None = None
    confidence_thresholds: tuple[float, ...] | None = None
    confidence_max_error: float | None = None
    validation: ValidationRecord | None = None

    def __reduce__(self) -> tuple[Callable[[bytes], SavedModel], tuple[bytes]]:
        """Pickle as the bytes of a model file."""
        return _unpickle, (format_model(self),)


def save_model(path: Path, model: SavedModel) -> None:
    """Write ``model`` to ``path`` atomically; the same model gives the same bytes."""
    with atomic_write(path) as file:
        file.write(format_model(model))


def format_model(model: SavedModel, *, storage: Storage = "float32") -> bytes:
    """Return the bytes of a model file; matrices and the idf of the n-grams are stored as ``storage``.

    The same model gives the same bytes. Format version 3 holds only float32 weights, version 4 also narrower ones.
    """
    header: dict[str, Any] = {
        "format_version": _FLOAT32,
        "labels": list(model.labels),
        "config": model.config.model_dump(),
        "temperature": float(model.temperature),
    }
    if model.thresholds is not None:
        header["thresholds"] = list(model.thresholds)
    if model.confidence_thresholds is not None:
        header[_CONFIDENCE] = _format_confidence(model.confidence_thresholds)
        if model.confidence_max_error is not None:
            header[_MAX_ERROR] = model.confidence_max_error
    tensors: dict[str, npt.NDArray[Any]] = dict(model.weights)
    if model.ngrams is not None:
        header["ngram_share"] = float(model.ngram_share)
        if model.ngram_scale is not None:
            header["ngram_scale"] = float(model.ngram_scale)
        if model.cascade is not None:
            header["cascade"] = asdict(model.cascade)
        tensors |= {f"{_NGRAMS}{name}": getattr(model.ngrams, name) for name in _NGRAM_FIELDS}
    names = [name for name, array in tensors.items() if array.ndim == 2 or name == f"{_NGRAMS}idf"]
    stored = quantize(tensors, storage, names=names)
    if any(stored[name] is not tensors[name] for name in names):
        header["format_version"] = _QUANTIZED
    stored[_TOKENIZER] = np.frombuffer(model.tokenizer.model, np.uint8)
    if model.validation is not None:
        model.validation.write(header, stored)
    return format_tensors(stored, {_METADATA: json.dumps(header, ensure_ascii=False)})


def save_confidence_thresholds(
    path: Path, thresholds: Sequence[float] | None, *, max_error: float | None = None
) -> None:
    """Write ``thresholds`` (C,) into the model file at ``path`` (None: remove them); its tensors stay as they are.

    ``max_error`` is the share of errors that they were found for.

    Raises:
        ModelError: as :func:`load_model` does.
    """
    path = find_model(path)
    content = path.read_bytes()
    parse_model(content, name=path)
    file_header = read_header(content)
    header = json.loads(read_text(file_header, _METADATA))
    for key in (_CONFIDENCE, _MAX_ERROR):
        header.pop(key, None)
    if thresholds is not None:
        header[_CONFIDENCE] = _format_confidence(thresholds)
        if max_error is not None:
            header[_MAX_ERROR] = max_error
    changed = format_tensors(read_tensors(content, file_header), {_METADATA: json.dumps(header, ensure_ascii=False)})
    with atomic_write(path) as file:
        file.write(changed)


def find_model(path: Path) -> Path:
    """Return the model file at ``path``: a model file, a folder with one, or the pointer to the latest run.

    A folder, such as a run folder, has it as model.safetensors, or as its only file of that kind.

    Raises:
        ModelError: there is no model.
    """
    if path == POINTER and path.is_file():
        path = find_latest()
    if path.is_dir():
        if not (path / MODEL_NAME).exists():
            others = [file for file in path.glob(f"*{Path(MODEL_NAME).suffix}") if file.name != CHECKPOINT_NAME]
            if len(others) == 1 and others[0].is_file():
                return others[0]
            if (path / CHECKPOINT_NAME).exists():
                import shlex  # noqa: PLC0415 - prediction does not need it

                command = shlex.join(["textrnn", "train", "--resume", str(path)])
                raise ModelError(path, f"training stopped before the first model was saved; resume it with: {command}")
            raise ModelError(path, f"contains no {MODEL_NAME}; give the folder of a finished run, or a model file")
        path = path / MODEL_NAME
    elif not path.exists():
        raise ModelError(path, "no such model file or run folder; 'textrnn train' makes one")
    if not path.is_file():  # opening a pipe would block, and it cannot be mapped
        raise ModelError(path, "not a file; give a model file or a run folder")
    return path


def load_model(path: Path, *, is_starter: bool | None = False) -> SavedModel:
    """Read the model file at ``path``, or the one in that run folder. A model file cannot run code.

    With ``is_starter`` the model has to have no labels, and with None it may have none.

    float32 weights are read-only views of the mapped file, which processes share until they copy it. Windows cannot
    replace a mapped file, so training keeps no views of the model file that it overwrites after each best epoch.

    Raises:
        ModelError: the file is missing, damaged, not a model of textrnn, or of an unsupported format version.
    """
    path = find_model(path)
    try:
        content = map_file(path)
    except OSError as error:
        raise ModelError(path, f"cannot be read ({error.strerror})") from None
    return parse_model(content, name=path, is_starter=is_starter)


def parse_model(content: Content, *, name: object, is_starter: bool | None = False) -> SavedModel:
    """Return the model in the file ``content``; its weights may be views of ``content``.

    Raises:
        ModelError: as :func:`load_model` does, for ``name``.
    """
    try:
        file_header = read_header(content)
        header = json.loads(read_text(file_header, _METADATA))
    except (ValueError, RecursionError):
        raise ModelError(name, _describe_other(content)) from None
    if not isinstance(header, dict):
        raise ModelError(name, "not a textrnn model")
    version = header.get("format_version")
    if version not in (_FLOAT32, _QUANTIZED):
        action = "install a newer textrnn" if isinstance(version, int) and version > _QUANTIZED else "train it again"
        supported = f"this textrnn reads versions {_FLOAT32} and {_QUANTIZED}"
        raise ModelError(name, f"has format version {version!r}, but {supported}; {action}")
    try:
        tensors = read_tensors(content, file_header)
        if version == _QUANTIZED:
            tensors = dequantize(tensors)
        labels = tuple(_read_labels(header["labels"]))
        config = check_config(header["config"])
        tokenizer = Tokenizer(tensors.pop(_TOKENIZER).tobytes(), name="its tokenizer")
        thresholds = _read_thresholds(header["thresholds"], len(labels)) if "thresholds" in header else None
        temperature = _read_number("the temperature", header["temperature"], _TEMPERATURES)
        ngrams = _take_ngrams(tensors, classes=len(labels))
        validation = take_validation(tensors, header)
        share = 0.0 if ngrams is None else _read_number("the share of the n-grams", header["ngram_share"], (0, 1))
        scale = header.get("ngram_scale")
        if scale is not None:
            scale = _read_number("the scale of the n-grams", scale, _TEMPERATURES)
        cascade = None if ngrams is None or "cascade" not in header else _read_cascade(header["cascade"])
        confidence = _read_confidence(header[_CONFIDENCE], len(labels)) if _CONFIDENCE in header else None
        max_error = header.get(_MAX_ERROR)
        if max_error is not None:
            max_error = _read_number("the error of the confidence thresholds", max_error, (0, 1))
    except (KeyError, TypeError, ValueError, TokenizerError) as error:
        raise ModelError(name, f"damaged ({str(error).splitlines()[0]}); copy it again, or train a new one") from None
    model = SavedModel(
        config,
        labels,
        tokenizer,
        tensors,
        thresholds,
        temperature=temperature,
        ngrams=ngrams,
        ngram_share=share,
        ngram_scale=scale,
        cascade=cascade,
        confidence_thresholds=confidence,
        confidence_max_error=None if confidence is None else max_error,
        validation=validation,
    )
    _check_kind(model, name, is_starter=is_starter)
    if fault := _find_fault(model):
        raise ModelError(name, f"damaged ({fault}); copy it again, or train a new one")
    return model


def _check_kind(model: SavedModel, name: object, *, is_starter: bool | None) -> None:
    """Raise ModelError, for ``name``, if ``model`` is no starter although it has to be, or the other way round."""
    if is_starter is not None and is_starter == bool(model.labels):
        kind = "a model with labels, not a starter" if model.labels else "a starter, which has no labels"
        raise ModelError(name, f"{kind}; train a model from it: textrnn train --init {name} --train FILE")


def _describe_other(content: Content) -> str:
    """Return what ``content`` is that is no model file, and what to do."""
    from textrnn.data.vectors.fasttext_binary import is_fasttext  # noqa: PLC0415 - models do not need it

    if is_fasttext(content[:4]):
        return "a model of fastText, which cannot be converted; train on its text: textrnn train --train FILE"
    return "not a textrnn model, or cut short"


def _unpickle(content: bytes) -> SavedModel:
    return parse_model(content, name="a pickled model")


def expected_shapes(config: Config, *, vocab_size: int, classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight of a network of ``config``, by name."""
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
        return "a label occurs twice"
    if model.config.data.multi_label != (model.thresholds is not None):
        return "its config and thresholds disagree on whether it is multi-label"
    if model.thresholds is not None and model.confidence_thresholds is not None:
        return "it has confidence thresholds, but is multi-label"
    shapes = expected_shapes(model.config, vocab_size=len(model.tokenizer), classes=len(model.labels))
    if names := shapes.keys() ^ model.weights.keys():
        return f"tensor '{min(names)}' is missing or unexpected"
    for name, shape in shapes.items():
        array = model.weights[name]
        if array.shape != shape or array.dtype != np.float32:
            return f"tensor '{name}' is {array.dtype} {array.shape}, not float32 {shape}"
        if not np.isfinite(array).all():
            return f"tensor '{name}' contains NaN or infinity"
    return None


def _read_labels(labels: Any) -> list[str]:
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise TypeError("the list of labels is missing or wrong")
    if invalid := next((label for label in labels if not is_label(label)), None):
        raise TypeError(f"{invalid!r} is not a valid label")
    return labels


def _read_thresholds(thresholds: Any, classes: int) -> tuple[float, ...]:
    if not isinstance(thresholds, list) or len(thresholds) != classes:
        raise TypeError("the number of thresholds differs from the number of labels")
    return tuple(_read_number("a threshold", threshold, (0, 1)) for threshold in thresholds)


def _format_confidence(thresholds: Sequence[float]) -> list[float | None]:
    return [None if math.isinf(threshold) else float(threshold) for threshold in thresholds]  # JSON has no infinity


def _read_confidence(thresholds: Any, classes: int) -> tuple[float, ...]:
    if not isinstance(thresholds, list) or len(thresholds) != classes:
        raise TypeError("the number of confidence thresholds differs from the number of labels")
    numbers = (1.0 if threshold is None else threshold for threshold in thresholds)
    read = [_read_number("a confidence threshold", number, (0, 1)) for number in numbers]
    return tuple(math.inf if t is None else number for t, number in zip(thresholds, read, strict=True))


def _read_cascade(cascade: Any) -> Cascade:
    if not isinstance(cascade, dict) or cascade.keys() != {"temperature", "margins", "agreements"}:
        raise TypeError("the cascade lacks a key, or has another")
    if not all(isinstance(cascade[name], list) for name in ("margins", "agreements")):
        raise TypeError("the cascade's margins or agreements are not a list")
    margins = [_read_number("one of the cascade's margins", x, (0, _TEMPERATURES[1])) for x in cascade["margins"]]
    agreements = [_read_number("one of the cascade's agreements", x, (0, 1)) for x in cascade["agreements"]]
    if len(margins) != len(agreements) or any(_falls(numbers) for numbers in (margins, agreements)):
        raise TypeError("the cascade's margins and agreements do not rise together")
    temperature = _read_number("the cascade's temperature", cascade["temperature"], _TEMPERATURES)
    return Cascade(temperature, tuple(margins), tuple(agreements))


def _falls(numbers: list[float]) -> bool:
    return any(second <= first for first, second in pairwise(numbers))


def _read_number(name: str, value: Any, bounds: tuple[float, float]) -> float:
    if not isinstance(value, float) or not bounds[0] <= value <= bounds[1]:
        raise TypeError(f"{name} is not a number from {bounds[0]:g} to {bounds[1]:g}")
    return value


def _take_ngrams(tensors: dict[str, npt.NDArray[Any]], *, classes: int) -> NgramTable | None:
    """Remove the tensors of the n-gram model, if any, from ``tensors`` and return its table."""
    parts = {name: tensors.pop(f"{_NGRAMS}{name}") for name in _NGRAM_FIELDS if f"{_NGRAMS}{name}" in tensors}
    if not parts:
        return None
    if missing := next((name for name in _NGRAM_FIELDS if name not in parts), None):
        raise TypeError(f"tensor '{_NGRAMS}{missing}' is missing")
    table = NgramTable(**parts)
    if len(table.bias) != classes:
        raise TypeError(f"the n-gram model has {len(table.bias)} labels, not {classes}")
    return table


def make_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the distinct labels, sorted: the order of the classes."""
    return tuple(sorted(set(labels)))
