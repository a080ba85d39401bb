"""Raw text: lines without labels, and the tokenizer that is trained on them. Both are cached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece

from textrnn.config import Config
from textrnn.data.cache import Cache, make_key
from textrnn.data.encoded import Corpus, load_lines
from textrnn.data.reading.io import check_readable, is_pipe, open_text, read_chunks
from textrnn.data.reading.lines import read_lines
from textrnn.data.windows import Windows
from textrnn.data.word_vectors import digest_file
from textrnn.errors import DataError
from textrnn.reporter import Reporter
from textrnn.tokenization.long_texts import split
from textrnn.tokenization.spm_trainer import MAX_LINE_BYTES, train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.window_encoding import encode_and_count

_SAMPLE_LINES = 500_000  # SentencePiece needs about 17 times the memory of what it is trained on
_TOKENIZER = "tokenizer.model"


@dataclass(frozen=True)
class RawLines:
    """The lines of the file at ``path``, which ``digest`` identifies; blank ones count too."""

    path: str
    encoding: str
    digest: str
    cache: Cache
    reporter: Reporter

    @classmethod
    def open(cls, path: str, config: Config, *, cache: Cache, reporter: Reporter) -> RawLines:
        """Check the file at ``path``.

        Raises:
            DataError: it cannot be opened, or it is a pipe or a folder.
        """
        check_readable(path)
        if is_pipe(path):
            raise DataError(path, None, "is a pipe, but raw text is read several times; save it to a file")
        if Path(path).is_dir():
            raise DataError(path, None, "is a folder; name a file with a text on each line")
        return cls(path, config.data.encoding, digest_file(Path(path), cache), cache, reporter)

    def read(self, *, activity: str = "reading", note: Callable[[str], None] | None = None) -> Iterator[list[str]]:
        """Yield the lines in lists; ``activity`` is reported, and ``note`` gets what was detected.

        Raises:
            DataError: the file is damaged, or it is no text.
        """
        name, total = Path(self.path).name, Path(self.path).stat().st_size
        with open_text(self.path, encoding=self.encoding, note=note) as (raw, file):

            def watch() -> Iterator[bytes]:
                for chunk in read_chunks(file.read):
                    self.reporter.load(f"{activity} {name}", min(raw.tell(), total - 1), total)
                    yield chunk

            lines = read_lines(self.path, watch(), note=note or (lambda _: None), accepts_json=False)
            yield from (texts for _, texts in lines)
        self.reporter.load(f"{activity} {name}", total, total)

    def count_lines(self) -> int:
        """Return the number of lines; report what was detected.

        Raises:
            DataError: all lines are blank.
        """
        count, has_text = 0, False
        for lines in self.read(note=self.reporter.note):
            count += len(lines)
            has_text = has_text or any(map(str.strip, lines))
        if not has_text:
            raise DataError(self.path, None, "has no text; name a file with a text on each line")
        return count

    def _read_bytes(self, activity: str) -> Iterator[list[bytes]]:
        return ([line.encode() for line in lines] for lines in self.read(activity=activity))

    def fit_tokenizer(self, config: Config) -> Tokenizer:
        """Return the tokenizer of ``tokenizer.model``, or one that is trained on the lines.

        Raises:
            TokenizerError: it cannot be read or trained.
        """
        settings, seed = config.tokenizer, config.train.seed
        if settings.model is not None:
            return Tokenizer.read(Path(settings.model))
        bounds = (_SAMPLE_LINES, MAX_LINE_BYTES, sentencepiece.__version__)
        key = make_key("raw", self.digest, self.encoding, settings.vocab_size, settings.model_type, seed, *bounds)
        entry = self.cache.get("tokenizer", key)
        if entry is None:
            lines = chain.from_iterable(self._read_bytes("learning pieces of"))
            trained = train_tokenizer(
                (part for line in lines for part in split(line, MAX_LINE_BYTES)),
                model_type=settings.model_type,
                vocab_size=settings.vocab_size,
                hard_vocab_limit=False,
                sample_lines=_SAMPLE_LINES,
                seed=seed,
            )
            with self.cache.draft() as draft:
                draft.write(_TOKENIZER, trained.model)
                entry = draft.commit("tokenizer", key, {})
        return Tokenizer.read(entry.folder / _TOKENIZER)

    def encode(self, tokenizer: Tokenizer, config: Config) -> Corpus:
        """Return the encoded lines; the class of each is its index (from 0) in the file."""
        windows = Windows.of(config.data)
        key = make_key("raw", self.digest, self.encoding, tokenizer.fingerprint, str(windows))
        encode = partial(encode_and_count, tokenizer, windows=windows)
        blocks = self._read_bytes("encoding")
        return load_lines(blocks, encode, self.cache, key=key, vocab_size=len(tokenizer))


def find_texts(corpus: Corpus, tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """Return the rows (R,) int64 of ``corpus`` that are no blank lines, which are encoded as one unknown piece."""
    single = np.flatnonzero(corpus.lengths == 1)
    unknown = corpus.select(single).ids == tokenizer.unknown_id
    return np.setdiff1d(np.arange(len(corpus)), single[unknown])
