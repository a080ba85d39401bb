"""A teacher of sentence-transformers: embeddings of the lines of raw text and of single pieces, cached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from textrnn.data.cache import Cache, make_key
from textrnn.data.word_vectors import digest_file
from textrnn.errors import ModelError
from textrnn.extras import import_extra
from textrnn.preparation.pretrained_vectors import PieceVectors, standardize
from textrnn.preparation.raw_lines import RawLines
from textrnn.preparation.teacher_embeddings import TeacherEmbeddings
from textrnn.tokenization.tokenizer import META, Tokenizer

_BLOCK_LINES = 4096  # sentence-transformers sorts the texts of a call by length
_SUFFIXES = {".json", ".safetensors", ".bin", ".txt", ".model"}
_VALUES = "values"


class SentenceEncoder:
    """The model in ``folder``, loaded when it is needed; ``is_bf16`` multiplies in bf16.

    Raises:
        ModelError: ``folder`` has no model.
    """

    def __init__(self, folder: Path, cache: Cache, *, device: str, is_bf16: bool) -> None:
        if not (folder / "config.json").is_file():
            raise ModelError(
                folder, "no model of sentence-transformers; name a folder with its config.json and weights"
            )
        self._folder, self._cache, self._device, self._is_bf16 = folder, cache, device, is_bf16
        files = sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES and path.is_file())
        self._key = [is_bf16, *((str(path.relative_to(folder)), digest_file(path, cache)) for path in files)]

    def embed_lines(self, text: RawLines) -> TeacherEmbeddings:
        """Return the embeddings (R, E) float16 of the lines of ``text``.

        Raises:
            ConfigError: sentence-transformers is not installed.
            ModelError: it cannot load the model.
        """
        lines = chain.from_iterable(text.read(activity="embedding"))
        return TeacherEmbeddings(self._embed(lines, text.digest, text.encoding), str(self._folder))

    def embed_pieces(self, tokenizer: Tokenizer, *, width: int) -> PieceVectors:
        """Return embedding rows of at most ``width`` columns: the embeddings of the pieces, each as a text.

        Raises:
            ConfigError, ModelError: as :meth:`embed_lines`.
        """
        pieces = tokenizer.list_pieces()
        texts = (piece.replace(META, " ").strip() or piece for piece in pieces.values())
        values = self._embed(texts, "pieces", tokenizer.fingerprint)
        rows = standardize(np.asarray(values, np.float32), width)
        note = f"embeddings of {values.shape[1]} numbers by {self._folder}"
        return PieceVectors(np.array([*pieces], np.int64), rows, note)

    def _embed(self, texts: Iterable[str], *key: str) -> npt.NDArray[np.float16]:
        """Return the embeddings of ``texts``, which ``key`` identifies in the cache."""
        name = make_key("embeddings", self._key, *key)
        entry = self._cache.get("embeddings", name)
        if entry is None:
            model = self._model
            precision = torch.autocast(torch.device(self._device).type, torch.bfloat16)
            with self._cache.draft() as draft, precision if self._is_bf16 else nullcontext():
                width = 0
                for block in _group(iter(texts)):
                    values = np.asarray(model.encode(block, convert_to_numpy=True, show_progress_bar=False), "<f2")
                    draft.write(_VALUES, np.ascontiguousarray(values).data)
                    width = values.shape[1]
                entry = draft.commit("embeddings", name, {"width": width})
        stored: npt.NDArray[np.float16] = np.memmap(entry.folder / _VALUES, "<f2", "r")
        return stored.reshape(-1, entry.meta["width"])

    @cached_property
    def _model(self) -> Any:
        library = import_extra("sentence_transformers", extra="teacher", feature="--teacher")
        try:
            return library.SentenceTransformer(str(self._folder), device=self._device)
        except (OSError, ValueError, KeyError, ImportError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(self._folder, f"sentence-transformers cannot load it ({reason})") from None


def _group(lines: Iterator[str]) -> Iterator[list[str]]:
    while block := list(islice(lines, _BLOCK_LINES)):
        yield block
