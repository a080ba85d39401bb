"""Files as people bring them: every command reads the same records of them, or refuses them in one line."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import re
import shlex
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import zstandard

from command import SMALL, Run
from textrnn.config import load_config, parse_overrides
from textrnn.data.reading.examples import read_examples

DATA, USAGE = 1, 2
TEXTS = ("green tea with lemon", "black coffee with milk")
LABELS = ("tea", "coffee")
KOREAN = "\ud55c \uc794 \ub354 \ubd80\ud0c1\ub4dc\ub824\uc694"
COMMANDS = ("train", "evaluate", "check", "split", "predict", "filter", "spm-train")


def rows(form: str, header: str = "", *, end: str = "\n", start: int = 0, count: int = 8) -> str:
    """``count`` records, half with each label, written as ``form`` says, after the lines ``header``."""
    numbers = range(start, start + count)
    lines = [header] if header else []
    lines += [form.format(i=i, text=f"{TEXTS[i % 2]} {i}", label=LABELS[i % 2]) for i in numbers]
    return end.join([*lines, ""])


def join(form: str, header: str = "") -> str:
    """Two files, each with a byte-order mark, end to end."""
    return f"\ufeff{rows(form, header, count=4)}\ufeff{rows(form, header, start=4, count=4)}"


JSON = '{{"label": "{label}", "text": "{text}"}}'
PRETTY = json.dumps([json.loads(line) for line in rows(JSON).splitlines()], indent=2)


@dataclass(frozen=True)
class Read:
    """A file that all ``commands`` read as the eight records of :func:`rows`, with ``says`` on stderr.

    ``rewritten``: the lines that ``filter`` writes are not those of the file.
    """

    name: str
    file: str
    content: str
    encoding: str = "utf-8"
    label: str = ""
    text: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    says: str = ""
    pack: Callable[[bytes], bytes] = bytes
    rewritten: bool = False
    commands: tuple[str, ...] = COMMANDS
    is_fasttext: bool = False

    def __str__(self) -> str:
        return self.name


def fasttext(name: str, form: str, *, file: str = "a.txt", **options: str) -> Read:
    return Read(name, file, rows(form, **options), is_fasttext=True)


TSV, CSV = rows("{text}\t{label}", "text\tlabel"), rows("{label},{text}", "label,text")
KOREAN_CSV = rows(f"{{label}},{{text}} {KOREAN}", "label,text", end="\r\n")
WESTERN = rows("{label}\t{text} sch\u00f6n f\u00fcr K\u00fcche und B\u00fcro \u2013 \u201egut\u201c", "label\ttext")
JAPANESE = rows("{label}\t{text} \u3068\u3066\u3082\u7f8e\u5473\u3057\u3044\u3067\u3059", "label\ttext")
CHINESE = rows(
    "{label}\t{text} \u8fd9\u4e2a\u5546\u54c1\u975e\u5e38\u597d\u6211\u5f88\u559c\u6b22", "label\ttext", count=8
)
RUSSIAN = rows("{label}\t{text} \u043e\u0447\u0435\u043d\u044c \u0445\u043e\u0440\u043e\u0448\u043e", "label\ttext")

READ = [
    # columns mean the same in every format
    Read("text before label", "a.tsv", TSV),
    Read("names in another case", "a.tsv", rows("{text}\t{label}", "TEXT\tLabel")),
    Read("more columns", "a.tsv", rows("{i}\t{label}\tx\t{text}", "id\tlabel\tsource\ttext")),
    Read("a mark and blank lines before the header", "a.tsv", "\ufeff\n\n" + TSV, rewritten=True),
    Read("a mark after a blank line", "a.tsv", "\n\ufeff" + TSV, rewritten=True),
    Read("spaces around names", "a.csv", rows("{text},{label}", " text , label ")),
    Read("names in quotes, fields without", "a.tsv", rows("{text}\t{label}", '"text"\t"label"')),
    Read("the index of pandas", "a.csv", rows("{i},{text},{label}", ",text,label")),
    Read("row numbers of R", "a.tsv", rows('"{i}"\t"{label}"\t"{text}"', '"label"\t"text"'), says="row numbers", rewritten=True),
    Read("row numbers of R with commas", "a.csv", rows('"{i}","{label}","{text}"', '"label","text"'), says="row numbers", rewritten=True),
    Read("row numbers of R, joined", "a.tsv", rows("{i}\t{label}\t{text}", "label\ttext", start=1, count=4) + rows("{i}\t{label}\t{text}", "label\ttext", start=1, count=4).replace("with", "and"), says="1 repeated header", rewritten=True),
    Read("columns by name", "a.tsv", rows("{label}\t{text}", "sentiment\tsentence"), label="sentiment", text="sentence"),
    Read("columns by name in another case", "a.csv", rows("{label},{text}", "Sentiment,Sentence"), label="sentiment", text="sentence"),
    Read("the label by name alone", "a.csv", rows("{label},{text}", "class,text"), label="class"),
    Read("names with a blank inside", "a.csv", rows("{label},{text}", "my class,the text"), label="my class", text="the text"),
    Read("columns by number", "a.tsv", rows("{i}\t{label}\t{text}"), label="2", text="3"),
    Read("columns by number in CSV", "a.csv", rows('"{text}",{label},{i}'), label="2", text="1"),
    Read("columns by number, divided by semicolons", "a.csv", rows("{text};{label}"), label="2", text="1", says="divided by ';'"),
    Read("columns by number, divided by bars", "a.txt", rows("{label}|{text}"), label="1", text="2", says="divided by '|'"),
    Read("several text columns", "a.csv", rows("{label},{i},{text}", "label,title,body"), text="[title, body]"),
    Read("nested keys", "a.jsonl", rows('{{"meta": {{"text": "{text}"}}, "y": {{"z": "{label}"}}}}'), label="y.z", text="meta.text"),
    Read("keys in another case", "a.jsonl", rows('{{"Label": "{label}", "TEXT": "{text}"}}')),
    Read("no header", "a.tsv", rows("{label}\t{text}"), commands=COMMANDS[:4]),
    Read("no header, tabs in the text", "a.txt", rows("{label}\t{text}\tplease"), commands=COMMANDS[:4]),
    # dialects
    Read("tabs in a .csv", "a.csv", TSV, says="divided by tabs"),
    Read("commas in a .tsv", "a.tsv", CSV, says="divided by ','"),
    Read("commas in a .txt", "a.txt", rows('{label},"{text}, hot"', "label,text"), says="divided by ','"),
    Read("semicolons in a .csv", "a.csv", rows("{label};{text}, hot", "label;text"), says="divided by ';'"),
    Read("bars", "a.csv", rows("{label}|{text}", "label|text"), says="divided by '|'"),
    Read("Excel's line sep=;", "a.csv", rows("{label};{text}", "sep=;\r\nlabel;text", end="\r\n"), says="divided by ';'"),
    Read("Excel's line sep=, after a mark", "a.csv", rows('{label},"{text}"', "\ufeffsep=,\nlabel,text"), rewritten=True),
    Read("Excel's line sep= in quotes", "a.csv", rows("{label};{text}", '"sep=;"\nlabel;text'), says="divided by ';'"),
    Read("a delimiter by name", "a.txt", rows("{label}^{text}", "label^text"), settings={"delimiter": "^"}),
    Read("tab by name", "a.csv", TSV, settings={"delimiter": "tab"}),
    Read("Hive's delimiter", "a.txt", rows("{label}\x01{text}", "label\x01text"), settings={"delimiter": "\x01"}),
    Read("TSV as R quotes it", "a.tsv", rows('"{label}"\t"{text} ""hot"""', '"label"\t"text"')),
    Read("TSV as pandas quotes it", "a.tsv", rows('{label}\t"{text} ""hot"""', "label\ttext")),
    Read("line ends in quoted TSV", "a.tsv", rows('{label}\t"{text}\nand more"', "label\ttext"), settings={"quoting": "true"}),
    Read("tabs in quoted TSV", "a.tsv", rows('{label}\t"{text}\tand more"', "label\ttext"), settings={"quoting": "true"}),
    Read("stray quotes in TSV", "a.tsv", rows('{label}\t"{text} 5" wide', "label\ttext")),
    Read("stray quotes in CSV", "a.csv", rows('{label},"{text}', "label,text"), settings={"quoting": "false"}),
    Read("an empty last column", "a.csv", rows("{label},{text},", "label,text,")),
    Read("empty columns of Excel", "a.csv", rows("{label};{text};;;", "label;text;;;"), says="divided by ';'"),
    Read("line ends in quotes", "a.csv", rows('{label},"{text}\r\nand more"', "label,text", end="\r\n")),
    # encodings
    Read("CP949 of Excel", "a.csv", KOREAN_CSV, "cp949", says="read as cp949"),
    Read("EUC-KR by name", "a.csv", KOREAN_CSV, "cp949", settings={"encoding": "euc-kr"}),
    Read("UTF-16 of Excel", "a.tsv", rows(f"{{label}}\t{{text}} {KOREAN}", "label\ttext", end="\r\n"), "utf-16", says="read as utf-16-le"),
    Read("UTF-16 without a mark", "a.csv", KOREAN_CSV, "utf-16-le", says="read as utf-16-le"),
    Read("UTF-16, big end first", "a.csv", KOREAN_CSV, "utf-16-be", says="read as utf-16-be"),
    Read("UTF-32", "a.csv", KOREAN_CSV, "utf-32", says="read as utf-32-le"),
    Read("UTF-8 with a mark", "a.csv", KOREAN_CSV, "utf-8-sig"),
    Read("Shift-JIS", "a.tsv", JAPANESE, "cp932", says="read as cp932"),
    Read("GBK", "a.tsv", CHINESE, "gbk", says="read as gb18030"),
    Read("CP1252", "a.tsv", WESTERN, "cp1252", says="read as cp1252"),
    Read("CP1251", "a.tsv", RUSSIAN, "cp1251", says="read as cp1251"),
    Read("KOI8-R", "a.tsv", RUSSIAN, "koi8_r", says="read as koi8_r"),
    Read("CP866 by name", "a.tsv", RUSSIAN, "cp866", settings={"encoding": "cp866"}),
    Read("CP949 in gzip", "a.csv.gz", KOREAN_CSV, "cp949", says="read as cp949", pack=gzip.compress),
    Read("UTF-16 in xz", "a.csv.xz", KOREAN_CSV, "utf-16", says="read as utf-16-le", pack=lzma.compress),
    Read("bzip2", "a.csv.bz2", CSV, pack=bz2.compress),
    Read("zstd without its name", "a.csv", CSV, pack=zstandard.compress),
    # nothing is lost
    Read("CR alone ends lines", "a.csv", CSV.replace("\n", "\r"), says="CR alone", rewritten=True),
    Read("CRLF and LF", "a.csv", CSV.replace("\n", "\r\n", 3)),
    Read("joined by cat", "a.csv", join("{label},{text}", "label,text"), says="1 repeated header"),
    Read("a header again, in another case", "a.tsv", f"{TSV} Text\tLABEL\n", says="1 repeated header"),
    Read("joined, no header", "a.tsv", join("{label}\t{text}"), commands=COMMANDS[:4]),
    Read("joined, JSON", "a.jsonl", join(JSON), rewritten=True),
    Read("joined, quoted", "a.csv", join('"{label}","{text}"'), label="1", text="2", rewritten=True),
    Read("blank lines", "a.csv", CSV.replace("\n", "\n\n")),
    Read("Unicode line separators", "a.tsv", rows("{label}\t{text}\u2028x\x85y\x0bz", "label\ttext")),
    Read("NUL", "a.tsv", rows("{label}\t{text}\0x", "label\ttext"), commands=COMMANDS[1:6]),
    Read("NUL in CSV", "a.csv", rows('{label},"{text}\0"', "label,text"), commands=COMMANDS[1:6]),
    Read("huge fields", "a.tsv", rows("{label}\t{text} " + "please " * 30_000, "label\ttext"), commands=COMMANDS[:6]),
    Read("no line end at the end", "a.tsv", TSV.rstrip()),
    # JSON
    Read("JSON Lines", "a.jsonl", rows(JSON)),
    Read("JSON Lines in a .txt", "a.txt", rows(JSON)),
    Read("a JSON array", "a.json", "[" + ", ".join(rows(JSON).splitlines()) + "]", rewritten=True),
    Read("a JSON array over lines", "a.json", PRETTY, rewritten=True),
    Read("a JSON array in UTF-16", "a.json", PRETTY, "utf-16", rewritten=True, says="read as utf-16-le"),
    Read("an object over several lines", "a.json", rows('{{\n"label": "{label}",\n"text": "{text}"\n}}'), rewritten=True),
    Read("objects with commas after them", "a.jsonl", rows(JSON + ","), rewritten=True),
    Read("two objects on a line", "a.jsonl", rows(JSON, end="").replace("}{", "} {"), rewritten=True),
    Read("a label of fastText inside JSON", "a.jsonl", rows('{{"label": "{label}", "text": "{text}", "raw": "__label__x y"}}')),
    # fastText's format
    fasttext("fastText", "__label__{label} {text}"),
    fasttext("fastText with tabs", "__label__{label}\t{text}"),
    fasttext("fastText in a .tsv", "__label__{label}\t{text}", file="a.tsv"),
    fasttext("fastText in a .csv", "__label__{label} {text}, hot", file="a.csv"),
    fasttext("blanks before the label", " \t__label__{label} {text}"),
    fasttext("the label at the end", "{text} __label__{label}"),
    fasttext("the label in the middle", "{text} __label__{label} please"),
    fasttext("vertical tab and NUL after the label", "__label__{label}\x0b\0{text}"),
    Read("fastText with a mark, a blank line and CRLF", "a.txt", rows("__label__{label} {text}", "\ufeff", end="\r\n"), commands=COMMANDS[:4]),
]  # fmt: skip


def make_archive() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    return content.getvalue()


def make_zip(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, "text")
    return content.getvalue()


@dataclass(frozen=True)
class Refused:
    """A file that ``commands`` refuse in one line with ``words``."""

    name: str
    file: str
    content: bytes | None  # None: a folder
    words: str
    commands: tuple[str, ...] = COMMANDS[:4]
    settings: dict[str, str] = field(default_factory=dict)
    label: str = ""
    text: str = ""
    is_fasttext: bool = True

    def __str__(self) -> str:
        return self.name


REFUSED = [
    # what is no text
    Refused("a tar", "a.txt", make_archive(), "a.txt: tar unpack", COMMANDS),
    Refused("a tar in gzip", "a.tgz", gzip.compress(make_archive()), "a.tgz: tar unpack", COMMANDS),
    Refused("a tar in zstd", "a.tar.zst", zstandard.compress(make_archive()), "tar unpack", COMMANDS),
    Refused("an Excel file", "a.csv", make_zip("xl/workbook.xml"), "a.csv: Excel CSV", COMMANDS),
    Refused("an Excel file in xz", "a.xz", lzma.compress(make_zip("xl/workbook.xml")), "Excel CSV", COMMANDS),
    Refused("a zip", "a.zip", make_zip("a.txt"), "zip unpack", COMMANDS),
    Refused("a damaged Parquet file", "a.tsv", b"PAR1\x15\x04" + bytes(400), "damaged copy", COMMANDS),
    Refused("a pickle in bzip2", "a.bz2", bz2.compress(pickle.dumps(["text"])), "pickle", COMMANDS),
    Refused("a PDF", "a.txt", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF extract", COMMANDS),
    Refused("protocol buffers after a newline", "a.bin", b"\n\x05hello\x12\x03abc\x18\x01" * 60, "binary", COMMANDS),
    Refused("a folder", "d", None, "d: folder", COMMANDS),
    Refused("cut gzip", "a.gz", gzip.compress(TSV.encode())[:-9], "a.gz: damaged", COMMANDS),
    Refused("an empty file", "a.tsv", b"", "a.tsv: empty"),
    Refused("only a mark", "a.tsv", b"\xef\xbb\xbf", "a.tsv: empty"),
    Refused("blank lines only", "a.tsv", b"\n \n\r\n", "no labelled text"),
    Refused("only a header", "a.csv", b"label,text\n", "no labelled text"),
    # columns
    Refused("other names", "a.csv", b"kind,body\ntea,x\n", "a.csv:1: 'label' kind, body data.label=NAME"),
    Refused("other names, semicolons", "a.csv", b"kind;body\ntea;x\n", "a.csv:1: ';' 'label' kind, body"),
    Refused("a name that is not there", "a.tsv", TSV.encode(), "a.tsv:1: 'body' text, label", text="body"),
    Refused("a number that is not there", "a.tsv", TSV.encode(), "a.tsv:1: 2 columns 9", label="1", text="9"),
    Refused("names as long as a page", "a.csv", b"x" * 30_000 + b",y\na,b\n", "xxxxxxxxxxxxxxxxxxxx... y"),
    Refused("two columns of one name", "a.csv", b"label,text,text\na,b,c\n", "a.csv:1: 'text' rename"),
    Refused("one column for both", "a.tsv", TSV.encode(), "column 1", text="text", label="TEXT"),
    Refused("label and text swapped", "a.tsv", rows("{text}\t{label}", count=12).encode(), "swapped 12 data.label", ("train", "check", "split")),
    Refused("an id for a label", "a.tsv", rows("{i}\t{label}\t{text}", count=12).encode(), "swapped another column", ("train", "check", "split")),
    Refused("two characters for a delimiter", "a.csv", CSV.encode(), "a.csv:1: 'label' label,text", settings={"delimiter": ";"}),
    Refused("one column", "a.txt", b"green tea\nblack coffee\n", "a.txt:1: label<TAB>text data.format"),
    # bad records
    Refused("too few columns", "a.csv", CSV.encode() + b"tea\n", "a.csv:10: 1 column 2"),
    Refused("a comma without quotes", "a.csv", CSV.encode() + b"tea,hot, sweet\n", "a.csv:10: 3 columns ',' quotes"),
    Refused("a comma in each text, after numbers", "a.csv", rows("{i},{label},{text}, hot", "id,label,text").encode(), "a.csv:2: 4 columns quotes"),
    Refused("a tab in two texts", "a.tsv", (rows("{i}\t{label}\t{text}", "id\tlabel\ttext") + rows("{i}\t{label}\t{text}\thot", start=8)).encode(), "a.tsv:10: 4 columns"),
    Refused("a tab that needs quoting", "a.tsv", b'label\ttext\ntea\t"a\tb"\n', "a.tsv:2: data.quoting=true"),
    Refused("an open quote", "a.csv", b'label,text\ntea,"a\ntea,b\n', "a.csv:2: CSV data.quoting=false"),
    Refused("backslashes for quotes", "a.csv", b'label,text\ntea,"a \\"b\\" c"\n', "a.csv:2: CSV twice"),
    Refused("CR and LF in old CSV", "a.csv", b'label,text\rtea,"a\nb"\r', "a.csv:1: CR tr"),
    Refused("an empty label", "a.csv", b"label,text\ntea,a\n,b\n", "a.csv:3: label empty"),
    Refused("bytes of another encoding", "a.tsv", CSV.encode() * 3 + b"tea,caf\xe9\n", "a.tsv:28: encoding"),
    Refused("too little to guess from", "a.tsv", "tea\t\ucc28\n".encode("cp949"), "a.tsv: UTF-8 data.encoding=cp949", COMMANDS),
    Refused("CP866 of DOS", "a.tsv", RUSSIAN.encode("cp866"), "a.tsv: UTF-8 data.encoding", COMMANDS),
    Refused("CP850 of DOS", "a.tsv", WESTERN.replace("\u2013 \u201egut\u201c", "").encode("cp850"), "a.tsv: UTF-8 data.encoding", COMMANDS),
    Refused("UTF-8 by another name", "a.csv", KOREAN_CSV.encode(), "a.csv: utf-8 cp949 data.encoding=auto", COMMANDS, {"encoding": "cp949"}),
    Refused("UTF-16 by another name", "a.csv", KOREAN_CSV.encode("utf-16"), "utf-16-le data.encoding=auto", COMMANDS, {"encoding": "utf-8"}),
    Refused("UTF-16 that is cut", "a.tsv", TSV.encode("utf-16")[:-1], "a.tsv:"),
    # JSON
    Refused("null", "a.jsonl", b'{"label": "tea", "text": null}\n', "a.jsonl:1: 'text' null on_error=skip"),
    Refused("NaN", "a.jsonl", b'{"label": "tea", "text": NaN}\n', "a.jsonl:1: 'text' null"),
    Refused("a missing key", "a.jsonl", rows(JSON).encode() + b'{"label": "tea"}\n', "a.jsonl:9: 'text' label"),
    Refused("a list of labels", "a.jsonl", b'{"label": ["tea"], "text": "x"}\n', "a.jsonl:1: 'label' data.multi_label=true"),
    Refused("columns of pandas", "a.json", b'{"label": {"0": "tea"}, "text": {"0": "a"}}', "a.json:1: orient='records'"),
    Refused("columns and rows of pandas", "a.json", b'{"columns": ["label", "text"], "index": [0], "data": [["tea", "a"]]}', "a.json:1: 'label' orient='records'"),
    Refused("records inside an object", "a.json", b'{"data": [{"label": "tea", "text": "a"}]}', "a.json:1: jq '.data[]'"),
    Refused("broken JSON", "a.jsonl", rows(JSON).encode() + b'{"label": "tea\n', "a.jsonl:9: JSON"),
    Refused("a cut array", "a.json", PRETTY[:-9].encode(), "a.json JSON"),
    Refused("an array of lists", "a.json", b'[["tea", "a"]]', "a.json:1: object"),
    # fastText's format
    Refused("two labels", "a.txt", b"__label__tea __label__hot a\n", "a.txt:1: several data.multi_label=true"),
    Refused("a line without a label", "a.txt", rows("__label__{label} {text}").encode() + b"tea\n", "a.txt:9: __label__"),
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A command line with its exit status, its output (bytes, or the number of lines), and words on stderr."""

    name: str
    command: str
    files: dict[str, bytes]
    out: bytes | int
    says: str = ""
    status: int = 0
    written: dict[str, bytes] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


HOLES = b'{"text": "green tea"}\n{"text": null}\n{"text": \n{}\n{"text": "tea"}\n'
SHORT = b"id,text\n1,green tea\n2\n3,black,coffee\n4,green tea\n"
LABELLED = b"label,text\ntea,green tea\ncoffee\ntea,green tea\n"
CASES = [
    # lines
    Case("lines of CR alone", "predict a.txt", {"a.txt": b"green tea\rblack coffee\rtea\r"}, 3, "CR alone"),
    Case("lines of CR alone, filtered", "filter -l tea a.txt", {"a.txt": b"green tea\rblack coffee\r"}, b"green tea\n", "1 kept, 1 dropped"),
    Case("a blank line is a line", "predict a.txt", {"a.txt": b"\n\ngreen tea\n\n"}, 4),
    Case("CP949 lines", "predict a.txt", {"a.txt": KOREAN_CSV.encode("cp949")}, 9, "read as cp949"),
    Case("CP949 lines stay CP949", "filter -l tea -l coffee a.csv", {"a.csv": KOREAN_CSV.encode("cp949")}, KOREAN_CSV.encode("cp949"), "9 kept"),
    Case("UTF-16 lines stay UTF-16", "filter -l tea -l coffee a.txt", {"a.txt": KOREAN_CSV.encode("utf-16")}, KOREAN_CSV.encode("utf-16"), "9 kept"),
    Case("named UTF-8 keeps other bytes", "filter -l tea -l coffee --set data.encoding=utf-8 a.txt", {"a.txt": b"tea \xc2\xf7\n"}, b"tea \xc2\xf7\n", "1 line U+FFFD"),
    Case("labels of fastText are left out", "predict --format label a.txt", {"a.txt": b"__label__coffee green tea\n"}, b"tea\n", "fastText labels"),
    Case("a line of 3 MB", "predict --format label a.txt", {"a.txt": b"green tea " * 300_000 + b"\nblack coffee\n"}, b"tea\ncoffee\n"),
    Case("JSON without --field is told", "predict a.jsonl", {"a.jsonl": HOLES}, 5, "a.jsonl: whole lines --field"),
    # tables
    Case("rows of empty fields are rows", "predict --field text a.tsv", {"a.tsv": b"id\ttext\n1\ttea\n\t\n\n2\tcoffee\n"}, 4),
    Case("rows of empty fields in CSV are rows", "predict --field text a.csv", {"a.csv": b"id,text\n1,tea\n,\n\n2,coffee\n"}, 4),
    Case("blank lines of one column are rows", "predict --field text a.csv", {"a.csv": b'text\ntea\n\n""\ncoffee\n'}, 5),
    Case("a file without records is told", "predict --field text a.csv b.csv c.csv", {"a.csv": b"", "b.csv": b"text\ntea\n", "c.csv": b"\n\n"}, 2, "a.csv: is empty c.csv: contains no"),
    Case("only a header", "predict --field text a.csv", {"a.csv": b"id,text\n"}, b"label,probability,id,text\n"),
    Case("the mark stays in front", "filter -l tea --field text a.csv", {"a.csv": b"\xef\xbb\xbftext,n\ngreen tea,1\n\xef\xbb\xbftext,n\ngreen tea,2\n"}, b"\xef\xbb\xbftext,n\ngreen tea,1\ngreen tea,2\n", "2 kept 1 repeated"),
    Case("empty rows of Excel are skipped", "data check a.csv", {"a.csv": CSV.encode() + b",\n,\n"}, 0),
    Case("--field of a fastText file", "predict --field text a.txt", {"a.txt": b"__label__tea x\n"}, b"", "--field fasttext leave", USAGE),
    Case("headers that differ in quotes", "filter -l tea --field text a.csv b.csv", {"a.csv": b"text,n\r\ngreen tea,1\r\n", "b.csv": b'"text","n"\ngreen tea,2\n'}, b"text,n\r\ngreen tea,1\r\ngreen tea,2\n", "2 kept"),
    Case("rejects keep the encoding", "filter -l tea --field text --on-error skip --rejects r a.csv", {"a.csv": "text,n\ntea\n".encode("utf-16")}, "text,n\n".encode("utf-16"), "1 bad", 0, {"r": "text,n\ntea\n".encode("utf-16")}),
    Case("a column that is not there", "filter -l tea --field body a.csv", {"a.csv": CSV.encode()}, b"", "a.csv:1: 'body' label, text --field", DATA),
    Case("other headers", "predict --field text a.csv b.csv", {"a.csv": b"id,text\n1,tea\n", "b.csv": b"text,id\ntea,1\n"}, 2, "b.csv:1: header", DATA),
    # a bad record is a choice
    Case("null stops", "predict --field text a.jsonl", {"a.jsonl": HOLES}, 1, "a.jsonl:2: null --on-error skip", DATA),
    Case("null is skipped", "predict --field text --on-error skip --rejects r a.jsonl", {"a.jsonl": HOLES}, 2, "3 bad line 2: line 3: line 4:", 0, {"r": b'{"text": null}\n{"text": \n{}\n'}),
    Case("null is read as empty", "predict --field text --on-error empty a.jsonl", {"a.jsonl": HOLES}, 5, "3 records"),
    Case("short rows are skipped", "filter -l tea --field text --on-error skip --rejects r a.csv", {"a.csv": SHORT}, b"id,text\n1,green tea\n4,green tea\n", "2 kept 2 bad", 0, {"r": b"id,text\n2\n3,black,coffee\n"}),
    Case("short rows are skipped in evaluate", "evaluate --on-error skip --rejects r a.csv", {"a.csv": LABELLED}, 0, "a.csv: 1 bad line 3:", 0, {"r": b"label,text\ncoffee\n"}),
    Case("short rows stop evaluate", "evaluate a.csv", {"a.csv": LABELLED}, b"", "a.csv:3: 1 column", DATA),
    Case("null is empty in evaluate", "evaluate --on-error empty a.jsonl", {"a.jsonl": b'{"label": "tea", "text": null}\n'}, 0, "1 record"),
    Case("rows are skipped in train", "train --dry-run --train a.csv --set data.on_error=skip", {"a.csv": CSV.encode() + b"bad\nworse\n"}, 0, "2 bad line 10: line 11:"),
    Case("null is empty in train", "train --dry-run --train a.jsonl --set data.on_error=empty", {"a.jsonl": rows(JSON).encode() + b'{"label": "tea", "text": null}\n'}, 0, "1 record"),
    Case("rows are skipped in data split", "data split a.csv --out o --set data.on_error=skip", {"a.csv": CSV.encode() + b"bad\n"}, 3, "1 bad line 10:"),
    Case("all faults in data check", "data check a.csv", {"a.csv": CSV.encode() + b"bad\n,x\nworse\n"}, 0, "", DATA),
    Case("rows are skipped in data check", "data check a.csv --set data.on_error=skip", {"a.csv": CSV.encode() + b"bad\n,x\nworse\n"}, 0),
    Case("null is empty in data check", "data check --json a.jsonl --set data.on_error=empty", {"a.jsonl": rows(JSON).encode() + b'{"label": "tea", "text": null}\n'}, b'"empty": 1'),
    Case("what data.on_error leaves is a fault", "data check a.jsonl --set data.on_error=empty", {"a.jsonl": b'{"text": "a"}\n' + rows(JSON).encode() + b'{"text": "b"}\n'}, 0, "", DATA),
    Case("--rejects without skip", "predict --field text --rejects r a.csv", {"a.csv": SHORT}, b"", "--rejects --on-error skip", USAGE),
    Case("--on-error of lines", "predict --on-error skip a.txt", {"a.txt": SHORT}, b"", "--on-error --field", USAGE),
    # labels
    Case("0/1 columns", "data check --json a.csv --set data.multi_label=true --set 'data.label=[tea, hot]'", {"a.csv": b"text,tea,hot\na,1,0\nb,1.0,True\nc,,0\n"}, b'"labels": {"tea": 2, "hot": 1'),
    Case("0/1 keys", "data check --json a.jsonl --set data.multi_label=true --set 'data.label=[tea, hot]'", {"a.jsonl": b'{"text": "a", "tea": 1, "hot": null}\n{"text": "b", "tea": true, "hot": 0}\n'}, b'"labels": {"tea": 2'),
    Case("a mark that is none", "data split a.csv --out o --set data.multi_label=true --set 'data.label=[tea, hot]'", {"a.csv": b"text,tea,hot\na,0.7,0\n"}, b"", "a.csv:2: 'tea' 0.7", DATA),
    Case("0/1 columns for one label", "data check a.csv --set 'data.label=[tea, hot]'", {"a.csv": b"text,tea,hot\na,1,0\n"}, b"", "data.label data.multi_label=true", USAGE),
    Case("several labels of fastText", "data check --json a.txt --set data.multi_label=true", {"a.txt": b"__label__tea __label__hot a\n__label__tea b\n"}, b'"labels": {"tea": 2, "hot": 1}'),
    Case("lists of labels", "data check --json a.jsonl --set data.multi_label=true", {"a.jsonl": b'{"label": ["tea", "hot"], "text": "a"}\n{"label": [], "text": "b"}\n'}, b'"labels": {"tea": 1, "hot": 1'),
    Case("true, false, yes, null and numbers", "data check --json a.jsonl", {"a.jsonl": b'{"label": true, "text": "a"}\n{"label": 1, "text": "b"}\n{"label": "null", "text": "c"}\n{"label": 2.50, "text": "d"}\n'}, b'"labels": {"true": 1, "1": 1, "null": 1, "2.50": 1}'),
    Case("# separates labels", "data check --json a.tsv --set data.multi_label=true --set data.label_separator=#", {"a.tsv": b"tea#hot\ta\ntea\tb\n"}, b'"labels": {"tea": 2, "hot": 1}'),
    Case("a first label that occurs once", "train --dry-run --train a.tsv", {"a.tsv": b"sentiment\tsentence\n" + rows("{label}\t{text}", count=12).encode()}, 0, "a.tsv:1: 'sentiment' header data.label"),
    Case("weights of yes", "train --dry-run --train a.tsv --set 'train.class_weights={tea: 3, yes: 2}'", {"a.tsv": TSV.encode().replace(b"coffee\n", b"yes\n")}, 0),
    # options without effect
    Case("columns of a fastText file", "evaluate a.txt --set data.text=body", {"a.txt": b"__label__tea x\n"}, b"", "data.text fasttext leave", USAGE),
    Case("a delimiter of JSON", "data check a.jsonl --set data.delimiter=;", {"a.jsonl": rows(JSON).encode()}, b"", "data.delimiter jsonl leave", USAGE),
    Case("quoting of JSON", "predict --field text --set data.quoting=true a.jsonl", {"a.jsonl": rows(JSON).encode()}, b"", "data.quoting jsonl leave", USAGE),
    Case("a delimiter without --field", "predict --set data.delimiter=; a.csv", {"a.csv": CSV.encode()}, b"", "data.delimiter --field", USAGE),
    Case("groups in a fastText file", "data split a.txt --out o --set data.group=who", {"a.txt": b"__label__tea x\n"}, b"", "data.group fasttext leave", USAGE),
    Case("an encoding that does not exist", "predict --set data.encoding=klingon a.txt", {"a.txt": b"tea\n"}, b"", "klingon data.encoding", USAGE),
    Case("two models", "evaluate -m one -m other a.tsv", {"a.tsv": TSV.encode()}, b"", "--model twice", USAGE),
    # several files
    Case("training sets in several formats", "train --dry-run --train a.tsv --train b.csv --train c.jsonl", {"a.tsv": TSV.encode(), "b.csv": CSV.encode(), "c.jsonl": rows(JSON).encode()}, 0, "of 24 texts"),
    Case("one of several is bad", "train --dry-run --train a.tsv --train b.csv", {"a.tsv": TSV.encode(), "b.csv": b"kind,body\na,b\n"}, b"", "b.csv:1: 'label' kind", DATA),
    Case("files in two encodings", "predict --field text a.csv b.csv", {"a.csv": KOREAN_CSV.encode(), "b.csv": KOREAN_CSV.encode("cp949")}, 17, "b.csv: read as cp949"),
    Case("groups stay together", "data split a.csv --out o --set data.group=who", {"a.csv": rows("{label},{text},u", "label,text,who").encode()}, 3, "'who'"),
    Case("long texts", "train --dry-run --train a.tsv", {"a.tsv": rows("{label}\t{text} " + "please " * 20_000).encode()}, 0, "8 texts"),
]  # fmt: skip


def place(case: Read | Refused, folder: Path) -> list[str]:
    """Write the file, and return the options that say how to read it as labelled text."""
    path = folder / case.file
    if isinstance(case, Read):
        path.write_bytes(case.pack(case.content.encode(case.encoding)))
    elif case.content is None:
        path.mkdir()
    else:
        path.write_bytes(case.content)
    named = {"label": case.label, "text": case.text} | case.settings
    return [part for key, value in named.items() if value for part in ("--set", f"data.{key}={value}")]


def make_arguments(command: str, case: Read | Refused, settings: list[str]) -> list[str]:
    """Return the arguments of ``command``; predict and filter take no column of labels."""
    lines = case.is_fasttext
    columns = [case.text or "text"] if not case.text.startswith("[") else case.text.strip("[]").split(", ")
    field = [] if lines else [part for column in columns for part in ("--field", column)]
    table = [part for key, value in case.settings.items() for part in ("--set", f"data.{key}={value}")]
    return {
        "train": ["train", "--dry-run", "--train", case.file, "--valid", case.file, *settings],
        "evaluate": ["evaluate", "--json", case.file, *settings],
        "check": ["data", "check", "--json", case.file, *settings],
        "split": ["data", "split", case.file, "--out", "o", *settings],
        "predict": ["predict", case.file, *field, *table],
        "filter": ["filter", "-l", "tea", case.file, *field, *table],
        "spm-train": ["spm-train", "--no-hard-vocab-limit", "--input", case.file, *field, *table],
    }[command]


def count_labels(command: str, done: CompletedProcess[bytes], case: Read, folder: Path) -> dict[str, int]:
    """Return the number of records with each label, as the output shows them."""
    errors = done.stderr.decode()
    if command == "train":
        found = re.search(r"8 training texts, 8 validation texts, 2 labels \(coffee (\d+), tea (\d+)\)", errors)
        return dict(zip(("coffee", "tea"), map(int, found.groups() if found else ()), strict=False))
    if command == "evaluate":
        report = json.loads(done.stdout)
        return {row["label"]: row["support"] for row in report["classes"]} if report["accuracy"] == 1 else {}
    if command == "check":
        return dict(json.loads(done.stdout)["files"][0]["labels"])
    if command == "split":
        named = {"label": case.label, "text": case.text} | case.settings
        data = load_config(
            overrides=parse_overrides([f"data.{key}={value}" for key, value in named.items() if value])
        ).data
        paths = done.stdout.decode().split()
        return dict(Counter(example.label for path in paths for example in read_examples(str(folder / path), data)))
    if command == "spm-train":
        assert "8 lines read" in errors
        return {"tea": 4, "coffee": 4}
    output = done.stdout.decode(case.encoding)
    if command == "predict":
        return dict(
            Counter(re.findall(r'^\ufeff?(?:\{"(?:predicted_)?label": ")?"?(tea|coffee)\b', output, re.MULTILINE))
        )
    if not case.rewritten:
        assert set(output.split("\n")) <= {"", *case.content.split("\n")}
    kept, dropped = re.findall(r"(\d+) kept, (\d+) dropped", errors)[0]
    return {"tea": int(kept), "coffee": int(dropped)}


@pytest.fixture
def run(invoke: Run, tmp_path: Path, trained: Path) -> Run:
    """``invoke`` in a folder whose latest run is the trained model."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "latest").write_text(str(trained / "runs" / "small"))
    return invoke


@pytest.mark.parametrize(("case", "command"), [(case, command) for case in READ for command in case.commands], ids=str)
def test_every_command_reads_the_same_records(case: Read, command: str, run: Run, tmp_path: Path) -> None:
    done = run(*make_arguments(command, case, place(case, tmp_path)))
    assert done.returncode == 0, done.stderr.decode() or done.stdout.decode()
    assert count_labels(command, done, case, tmp_path) == {"tea": 4, "coffee": 4}
    report = done.stderr.decode() + (done.stdout.decode() if command == "check" else "")
    assert case.says in report, report


@pytest.mark.parametrize(
    ("case", "command"), [(case, command) for case in REFUSED for command in case.commands], ids=str
)
def test_every_command_refuses_in_one_line(case: Refused, command: str, run: Run, tmp_path: Path) -> None:
    arguments = make_arguments(command, case, place(case, tmp_path))
    done = run(*(part for part in arguments if part != "--json"))
    assert done.returncode == DATA, done.stderr.decode()
    if command == "check":
        line = (done.stdout + done.stderr).decode()
    else:
        *notes, line = done.stderr.decode().splitlines()
        assert not [note for note in notes if not re.search("read as utf-16|CR alone|whole lines", note)]
        assert len(line) < 350
    assert [word for word in case.words.split() if word not in line] == [], line


@pytest.mark.parametrize("case", CASES, ids=str)
def test_output_messages_and_status(case: Case, run: Run, tmp_path: Path) -> None:
    for name, content in case.files.items():
        (tmp_path / name).write_bytes(content)
    done = run(*shlex.split(case.command))
    errors = done.stderr.decode()
    assert done.returncode == case.status, errors
    if isinstance(case.out, int) and case.command.startswith(("predict", "filter", "data split")):
        assert done.stdout.count(b"\n") == case.out, done.stdout
    elif isinstance(case.out, bytes):
        assert done.stdout == case.out or (case.out and case.out.startswith(b'"') and case.out in done.stdout)
    assert [word for word in case.says.split() if word not in errors] == [], errors
    for name, content in case.written.items():
        assert (tmp_path / name).read_bytes() == content


def test_evaluate_reads_as_the_training_set_was_read(invoke: Run, tmp_path: Path) -> None:
    content = rows(f"{{label}};{{i}};{{text}} {KOREAN}", "kind;title;body").encode("cp949")
    (tmp_path / "a.csv").write_bytes(content)
    columns = {"label": "kind", "text": "[title, body]", "delimiter": ";", "encoding": "cp949"}
    settings = [part for key, value in columns.items() for part in ("--set", f"data.{key}={value}")]
    done = invoke("train", "--train", "a.csv", "--out", "run", "--epochs", "1", *SMALL[:2], *SMALL[4:], *settings)
    assert done.returncode == 0, done.stderr.decode()
    for file in ("a.csv", "-"):
        done = invoke("evaluate", "-m", "run", "--json", file, stdin=content)
        assert json.loads(done.stdout)["texts"] == 8
    done = invoke("data", "check", "--json", "--config", "run/config.yaml")
    assert json.loads(done.stdout)["files"][0]["labels"] == {"tea": 4, "coffee": 4}
    (tmp_path / "a.csv").write_bytes(content.decode("cp949").encode())
    done = invoke("evaluate", "-m", "run", "a.csv")
    assert (done.returncode, b"data.encoding=auto" in done.stderr) == (DATA, True)


def test_equal_texts_stay_in_one_part(invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("".join(f"{LABELS[i % 2]}\ttext {i // 4}\n" for i in range(80)))
    done = invoke("data", "split", "a.tsv", "--out", "o", "--valid-share", "0.3")
    parts = [Counter((tmp_path / path).read_text().splitlines()) for path in done.stdout.decode().split()]
    assert sum(part.total() for part in parts) == 80
    texts = [{line.partition("\t")[2] for line in part} for part in parts]
    assert all(texts)
    assert sum(map(len, texts)) == 20
