"""Files that hold no text are named; text with odd bytes is text."""

from __future__ import annotations

import io
import json
import pickle
import random
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from samples import make_config, make_model
from textrnn.data.reading.file_kinds import refuse_binary
from textrnn.errors import DataError
from textrnn.serialization.model_file import save_model
from textrnn.tokenization.tokenizer import Tokenizer


def make_zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, "content")
    return buffer.getvalue()


def make_tar(kind: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as file:
        member = tarfile.TarInfo("a.tsv")
        member.size = 6
        file.addfile(member, io.BytesIO(b"a\tone\n"))
    return buffer.getvalue()


def save(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def save_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(9))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (make_zip("a.tsv"), "a zip archive"),
        (make_zip("[Content_Types].xml", "xl/workbook.xml"), "an Excel file (.xlsx)"),
        (make_zip("[Content_Types].xml", "word/document.xml"), "an Office file"),
        (make_tar(tarfile.USTAR_FORMAT), "a tar archive"),
        (make_tar(tarfile.GNU_FORMAT), "a tar archive"),
        (make_tar(tarfile.PAX_FORMAT), "a tar archive"),
        (save([1, 2]), "a PyTorch file"),
        (save_array(), "a NumPy file"),
        *[(pickle.dumps({"a": [1, "b"]}, protocol), "a Python pickle") for protocol in (2, 3, 4, 5)],
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"ARROW1\0\0", "an Arrow file"),
        (b"ORC\x08\x03\x10\x12", "an ORC file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "an old Office file"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF file"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
        (b"\x04\x22\x4d\x18\x64\x40", "lz4-compressed"),
        (b"\xba\x16\x4f\x2f\x0c\0\0\0", "a fastText model"),
        (b"\x7fELF\2\1\1", "a program"),
        (b"\x89PNG\r\n\x1a\n\0", "an image"),
        (random.Random(0).randbytes(4096), "binary data"),
        (np.arange(500, dtype="<f4").tobytes(), "binary data"),
    ],
)
def test_kinds(content: bytes, kind: str) -> None:
    with pytest.raises(DataError, match=r"^d: .*, not text; ") as caught:
        refuse_binary("d", content)
    assert kind in str(caught.value)


def test_models_and_databases(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_model(tmp_path / "model", make_model(tokenizer, make_config(model__hidden=8)))
    with sqlite3.connect(tmp_path / "db") as database:
        database.execute("create table t (a)")
    contents = {"an SQLite database": (tmp_path / "db").read_bytes(), "a SentencePiece model": tokenizer.model}
    contents["a model file"] = (tmp_path / "model").read_bytes()
    for kind, content in contents.items():
        with pytest.raises(DataError, match=kind):
            refuse_binary("d", content[:4096])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\n",
        b"a\0b\n\0\n",
        b"\x1f\n",
        b"\x1b[31mred\x1b[0m\n" * 100,  # a terminal's colors
        b"a\0b and some more words\n" * 200,
        "한국어 문장\n".encode("cp949") * 100,
        "日本語\n".encode("euc_jp") * 100,
        bytes(range(128, 256)) * 8,
        json.dumps({"text": "PAR1"}).encode(),
        b"PARIS\ta city\n",
        b"BZh9\n",
        b"PK\tplayer killed\n",
        b"MZ\tMozambique\n",
        b"ORCA\ta whale\n",
        b"ID3\ta tag\n",
        b"RIFF\ta phrase of a song\n",
        b"GIF8\tan image\n",
        b"Obj\tan object\n",
        b"x\n" + b"a" * 255 + b"ustar",
    ],
)
def test_text_is_text(content: bytes) -> None:
    refuse_binary("d", content)
