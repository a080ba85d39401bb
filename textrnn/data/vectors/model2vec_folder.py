"""A folder of model2vec: static vectors of the tokens of a tokenizer, ``model.safetensors`` and ``tokenizer.json``.

Tulkens and van Dongen, "Model2Vec: Fast State-of-the-Art Static Embeddings", 2024. The vector of a text is the mean of
those of its tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textrnn.data.vectors.word_block import Vectors, WordBlock
from textrnn.errors import DataError
from textrnn.extras import import_extra

_MODEL, _TOKENIZER = "model.safetensors", "tokenizer.json"
_INSIDE = "##"  # begins the continuation tokens of WordPiece
_STARTS = ("\u2581", "\u0120")  # begins the tokens of Unigram and byte-level BPE that are one


def list_files(path: str) -> list[str]:
    """Return the files that are read; raises DataError if the folder lacks one."""
    files = [Path(path, name) for name in (_MODEL, _TOKENIZER)]
    if missing := [file.name for file in files if not file.is_file()]:
        reason = f"a folder without {missing[0]}; name a file of word vectors, or a folder of model2vec"
        raise DataError(path, None, reason)
    return [*map(str, files)]


class StaticVectors:
    """The vectors of a static model.

    Raises:
        DataError: the folder is damaged, or of another kind of model.
        ConfigError: the package tokenizers is not installed.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        tokenizers = import_extra("tokenizers", extra="model2vec", feature=f"embedding.vectors {path}")
        self._embeddings, self._weights, self._mapping = _read_tensors(path)
        file = Path(path, _TOKENIZER)
        try:
            settings = json.loads(file.read_text(encoding="utf-8"))
            self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(settings))
            self._special = _list_special(settings)
        except Exception as error:  # the package raises Exception itself
            raise DataError(file, None, f"not a tokenizer of the package tokenizers ({error})") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._ids: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        ids = max(self._ids.values(), default=-1) + 1
        rows = len(self._embeddings) if self._mapping is None else len(self._mapping)
        mapped = () if self._mapping is None else (int(self._mapping.min()), int(self._mapping.max()))
        if (
            not 0 < ids <= rows
            or any(not 0 <= row < len(self._embeddings) for row in mapped)
            or (self._weights is not None and len(self._weights) < rows)
        ):
            raise DataError(path, None, f"has {rows:,} vectors for {ids:,} tokens; copy the folder again")

    def read_words(self) -> Iterator[WordBlock]:
        """Yield the tokens that are whole words, in the order of their ids."""
        tokens = sorted(self._ids, key=self._ids.__getitem__)
        start = next((mark for mark in _STARTS if any(token.startswith(mark) for token in tokens)), "")
        words = [token.removeprefix(start) for token in tokens if self._starts_word(token, start)]
        ids = [self._ids[token] for token in tokens if self._starts_word(token, start)]
        yield WordBlock([*map(str.encode, words)], self._path, 1, self._embeddings.shape[1], self._find_rows(ids))

    def _starts_word(self, token: str, start: str) -> bool:
        return token.startswith(start) and not token.startswith(_INSIDE) and self._ids[token] not in self._special

    def compose(self, text: str, *, is_word: bool) -> Vectors | None:
        """Return the mean (D,) of the vectors of the tokens of ``text``; None if it has no known token."""
        forms = () if is_word else (_INSIDE + text, _INSIDE + text.lower())
        inside = next((self._ids[form] for form in forms if form in self._ids), None)
        found = self._tokenizer.encode(text, add_special_tokens=False).ids if inside is None else [inside]
        ids = [i for i in found if i not in self._special]
        vector: Vectors | None = self._find_rows(ids).mean(axis=0) if ids else None
        return vector

    def _find_rows(self, ids: list[int]) -> Vectors:
        """Return the vectors (R, D) of tokens."""
        rows = ids if self._mapping is None else self._mapping[ids]
        vectors: Vectors = self._embeddings[rows].astype(np.float32)
        return vectors if self._weights is None else vectors * self._weights[ids, None].astype(np.float32)


def _read_tensors(path: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None, npt.NDArray[Any] | None]:
    """Return the embeddings (E, D), and the weight and the row of each token (V,), where the file has them."""
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - other formats do not need it

    file = Path(path, _MODEL)
    try:
        with safe_open(file, "numpy") as content:
            names = set(content.keys())
            found = {name: content.get_tensor(name) for name in ("embeddings", "weights", "mapping") if name in names}
    except (SafetensorError, OSError, TypeError) as error:
        raise DataError(file, None, f"cannot be read ({error}); copy the folder again") from None
    embeddings = found.get("embeddings")
    if embeddings is None or embeddings.ndim != 2 or not embeddings.size:
        reason = "has no static vectors (embeddings); make some of a transformer with 'model2vec.distill'"
        raise DataError(path, None, reason)
    return embeddings, found.get("weights"), found.get("mapping")


def _list_special(settings: dict[str, Any]) -> set[int]:
    """Return the ids of tokens that stand for no text, such as the unknown one."""
    model = settings["model"]
    special = {token["id"] for token in settings.get("added_tokens", ()) if token["special"]}
    if isinstance(model["vocab"], dict) and model.get("unk_token") in model["vocab"]:
        special.add(model["vocab"][model["unk_token"]])
    if model.get("unk_id") is not None:
        special.add(model["unk_id"])
    return special
