"""Sentence embeddings of raw text by a model of sentence-transformers, cached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch

from textrnn.data.cache import make_key
from textrnn.data.word_vectors import digest_file
from textrnn.errors import ModelError
from textrnn.extras import import_extra
from textrnn.preparation.raw_text import RawText
from textrnn.preparation.teacher_embeddings import TeacherEmbeddings

_BLOCK_LINES = 4096  # sentence-transformers sorts the texts of a call by length
_VALUES = "values"


def embed_lines(text: RawText, folder: Path, *, device: str, is_bf16: bool = False) -> TeacherEmbeddings:
    """Return the embeddings (R, E) float16 of the lines of ``text``, computed by the model in ``folder``.

    ``is_bf16`` multiplies in bf16, which is fast on some processors. The embeddings are cached, and depend on the lines
    and on the files of the model.

    Raises:
        ConfigError: sentence-transformers is not installed.
        ModelError: ``folder`` has no model that it can load.
    """
    if not folder.is_dir() or not (folder / "config.json").is_file():
        raise ModelError(folder, "no model of sentence-transformers; name a folder with its config.json and weights")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".json", ".safetensors", ".bin", ".txt", ".model")
    )
    digests = [(str(path.relative_to(folder)), digest_file(path, text.cache)) for path in files]
    key = make_key("embeddings", text.digest, text.encoding, digests, is_bf16)
    entry = text.cache.get("embeddings", key)
    if entry is None:
        library = import_extra("sentence_transformers", extra="teacher", feature="--teacher")
        try:
            model = library.SentenceTransformer(str(folder), device=device)
        except (OSError, ValueError, KeyError, ImportError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(folder, f"sentence-transformers cannot load it ({reason})") from None
        precision = torch.autocast(torch.device(device).type, torch.bfloat16) if is_bf16 else nullcontext()
        with text.cache.draft() as draft, precision:
            width = 0
            for lines in _group(chain.from_iterable(text.read(activity="embedding"))):
                block = np.asarray(model.encode(lines, convert_to_numpy=True, show_progress_bar=False), "<f2")
                draft.write(_VALUES, np.ascontiguousarray(block).data)
                width = block.shape[1]
            entry = draft.commit("embeddings", key, {"width": width})
    values = np.memmap(entry.folder / _VALUES, "<f2", "r").reshape(-1, entry.meta["width"])
    return TeacherEmbeddings(values, str(folder))


def _group(lines: Iterator[str]) -> Iterator[list[str]]:
    while block := list(islice(lines, _BLOCK_LINES)):
        yield block
