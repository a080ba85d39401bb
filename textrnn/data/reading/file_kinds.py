"""Recognition of files that hold no text, by their first bytes."""

from __future__ import annotations

import re
from pathlib import PurePath

from textrnn.errors import DataError

_UNPACK = "unpack it, and name a file of it"
_EXPORT = "save it as CSV (UTF-8) or JSON Lines first"
_MODEL = "name a text file; a model goes after --model"
_CONVERT = "write its rows as CSV or JSON Lines first, for example with pandas"

_MAGICS: dict[bytes, tuple[str, str]] = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an old Office file (.xls, .doc)", _EXPORT),
    b"PAR1": ("a Parquet file", _CONVERT),
    b"ARROW1": ("an Arrow file", _CONVERT),
    b"FEA1": ("a Feather file of version 1", "write it again with a current pandas"),
    b"ORC": ("an ORC file", _CONVERT),
    b"Obj\x01": ("an Avro file", _CONVERT),
    b"\x89HDF": ("an HDF5 file", _CONVERT),
    b"SQLite format 3\0": ("an SQLite database", _CONVERT),
    b"\x93NUMPY": ("a NumPy file", _CONVERT),
    b"%PDF-": ("a PDF file", "extract its text first"),
    b"{\\rtf": ("an RTF file", "save it as plain text first"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", _UNPACK),
    b"Rar!\x1a\x07": ("a RAR archive", _UNPACK),
    b"\x04\x22\x4d\x18": ("lz4-compressed", "unpack it, or use gzip, bzip2, xz or zstd"),
    b"\x89LZO": ("lzop-compressed", "unpack it, or use gzip, bzip2, xz or zstd"),
    b"\xce\xb2\xcf\x81": ("Brotli-compressed", "unpack it, or use gzip, bzip2, xz or zstd"),
    b"\x7fELF": ("a program", "name a text file"),
    b"MZ\x90\0": ("a program", "name a text file"),
    b"\x89PNG": ("an image", "name a text file"),
    b"\xff\xd8\xff": ("an image", "name a text file"),
    b"GIF8": ("an image", "name a text file"),
    b"OggS": ("a sound file", "name a text file"),
    b"ID3": ("a sound file", "name a text file"),
    b"RIFF": ("a sound or image file", "name a text file"),
    b"\xba\x16\x4f\x2f\xfd": ("a fastText model", _MODEL),
    b"\xba\x16\x4f\x2f": ("a fastText model", _MODEL),
}
COMPRESSED_SUFFIXES = {".gz", ".bz2", ".xz", ".zst"}
_INTERNALLY_COMPRESSED = (b"PAR1", b"ARROW1")
_ZIP = b"PK\x03\x04"
_ZIP_CONTENTS = {
    b"xl/": ("an Excel file (.xlsx)", _EXPORT),
    b"[Content_Types].xml": ("an Office file (.xlsx, .docx)", _EXPORT),
    b"mimetypeapplication/vnd.oasis": ("an OpenDocument file (.ods, .odt)", _EXPORT),
    b"data.pkl": ("a PyTorch file", _MODEL),
}
_TAR_MAGIC = slice(257, 262)
_HEAD_BYTES, _HEADER_BYTES = 4096, 64
_CONTROL = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")
_MAX_CONTROL_SHARE, _MAX_CONTROLS = 0.1, 8  # of the bytes of text: terminal logs have some, and lines with a stray NUL


def refuse_binary(path: str, head: bytes) -> None:
    """Raise DataError if ``head``, the first bytes of the content of ``path``, is not text in an encoding of bytes.

    The message names the kind of file and the cure. UTF-16 must be ruled out before.
    """
    if found := _find_kind(head):
        kind, cure = found
        if head.startswith(_INTERNALLY_COMPRESSED) and PurePath(path).suffix.lower() in COMPRESSED_SUFFIXES:
            cure = "unpack it; Parquet and Arrow are already compressed"
        raise DataError(path, None, f"{kind}, not text; {cure}")


def has_control_characters(head: bytes) -> bool:
    """Return whether ``head`` has control characters that text lacks."""
    return _CONTROL.search(head) is not None


def _find_kind(head: bytes) -> tuple[str, str] | None:
    for magic, kind in _MAGICS.items():
        # a text can start with letters, as in ORCHID, but has no control characters after them
        if head.startswith(magic) and (not magic.isalnum() or has_control_characters(head[:_HEADER_BYTES])):
            return kind
    if head.startswith(_ZIP):
        inside = head[:_HEAD_BYTES]
        return next((kind for name, kind in _ZIP_CONTENTS.items() if name in inside), ("a zip archive", _UNPACK))
    if head[_TAR_MAGIC] == b"ustar" and b"\0" in head[: _TAR_MAGIC.start]:
        return "a tar archive", "unpack it, and name a file of it, or pipe one: tar -xOf FILE.tar MEMBER"
    if head[8:10] == b'{"' and 0 < int.from_bytes(head[:8], "little") < 1 << 40:
        return "a model file (.safetensors)", _MODEL
    if re.match(rb"\x80[\x02-\x05](\x95|[}\]c(X]|ctorch)", head):
        return "a Python pickle", _CONVERT
    if head.startswith(b"\n") and b"<unk>" in head[:64] and b"\x15" in head[:64]:
        return "a SentencePiece model", _MODEL
    sample = head[:_HEAD_BYTES]
    if len(_CONTROL.findall(sample)) > max(_MAX_CONTROLS, _MAX_CONTROL_SHARE * len(sample)):
        return "binary data", "name a text file"
    return None
