"""Train SentencePiece models on lines of text."""

from __future__ import annotations

import io
import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import sentencepiece

from textrnn.errors import ConfigError, TextrnnError, TokenizerError
from textrnn.tokenization.tokenizer import Tokenizer

DEFAULT_VOCAB_SIZE = 8000
MAX_LINE_BYTES = 4192
"""SentencePiece's own limit (``max_sentence_length``): longer lines are passed over."""
SAMPLE_LINES = 5_000_000
"""Of a corpus with more lines than this, so many are drawn unless ``sample_lines`` says otherwise."""


_RESERVED = "\u2585".encode()  # SentencePiece keeps this character for itself and passes over lines that hold it
_OWN_OPTIONS = {
    *("input", "model_prefix", "sentence_iterator", "model_writer", "model_type", "vocab_size", "hard_vocab_limit"),
    *("input_sentence_size", "shuffle_input_sentence", "minloglevel", "input_format"),
}


class VocabularyError(TokenizerError):
    """A text that cannot give the vocabulary that was asked for; ``largest`` is what it can give."""

    def __init__(self, asked: int, largest: int) -> None:
        self.asked, self.largest = asked, largest
        super().__init__(f"this text cannot give {asked} pieces; it can give {largest}")


@dataclass(frozen=True)
class TrainedTokenizer:
    """A trained model with what was read to make it.

    Of ``lines``, ``too_long`` have more than ``max_bytes`` bytes, ``unusable`` hold NUL or U+2585, and ``used`` of the
    ``usable`` ones (not blank) were trained on.
    """

    model: bytes
    lines: int
    too_long: int
    max_bytes: int
    unusable: int
    usable: int
    used: int

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model, ready to use."""
        return Tokenizer(self.model, name="the trained tokenizer")


def train_tokenizer(
    lines: Iterable[bytes],
    *,
    model_type: str = "unigram",
    vocab_size: int = DEFAULT_VOCAB_SIZE,
    hard_vocab_limit: bool = True,
    sample_lines: int = SAMPLE_LINES,
    shuffle: bool = True,
    seed: int = 42,
    options: Mapping[str, Any] | None = None,
    verbose: bool = False,
) -> TrainedTokenizer:
    """Train a SentencePiece model on ``lines`` (UTF-8, without line ends).

    Above ``sample_lines`` (0: no bound) so many lines are used: drawn with ``seed``, or the first ones without
    ``shuffle``. ``options`` are further options of SentencePiece's trainer in its own names. With
    ``hard_vocab_limit=False`` a text too small for ``vocab_size`` gives as many pieces as it can. The same lines and
    arguments give the same bytes.

    Raises:
        VocabularyError: the text cannot give ``vocab_size`` pieces.
        TokenizerError: no line can be used, or the vocabulary is too small.
        ConfigError: SentencePiece does not know an option, or it is of another type.
    """
    settings = {"max_sentence_length": MAX_LINE_BYTES, **(options or {})}
    if taken := _OWN_OPTIONS & settings.keys():
        raise ConfigError(f"{min(taken)}: is set by a flag of its own, or by textrnn itself")
    feed = _Feed(lines, max_bytes=_to_int(settings["max_sentence_length"]))
    texts = iter(feed)
    if sample_lines:
        texts = iter(_draw(texts, sample_lines, seed)) if shuffle else islice(texts, sample_lines)
    writer = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=texts,
            model_writer=writer,
            model_type=model_type,
            vocab_size=vocab_size,
            hard_vocab_limit=hard_vocab_limit and model_type != "char",
            minloglevel=0 if verbose else 2,
            **settings,
        )
    except (RuntimeError, ValueError, OSError) as error:
        if feed.error is not None:
            raise feed.error from None
        raise _explain(str(error), feed, vocab_size) from None
    used = min(feed.usable, sample_lines or feed.usable)
    return TrainedTokenizer(
        writer.getvalue(),
        lines=feed.lines,
        too_long=feed.too_long,
        max_bytes=feed.max_bytes,
        unusable=feed.unusable,
        usable=feed.usable,
        used=used,
    )


def _to_int(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ConfigError(f"max_sentence_length: should be a whole number, not {value}") from None


def _draw(texts: Iterator[bytes], size: int, seed: int) -> list[bytes]:
    """Draw ``size`` of ``texts``, however many come (Li 1994, algorithm L), or all where they are fewer."""
    rng = random.Random(seed)
    drawn = list(islice(texts, size))
    weight = 1.0
    while len(drawn) == size:
        weight *= math.exp(math.log(1.0 - rng.random()) / size)
        skip = int(math.log(1.0 - rng.random()) / math.log1p(-weight))
        text = next(islice(texts, skip, None), None)
        if text is None:
            break
        drawn[rng.randrange(size)] = text
    return drawn


class _Feed:
    """Lines for SentencePiece, counted; the fault of a line's source survives the way through C++."""

    def __init__(self, lines: Iterable[bytes], *, max_bytes: int) -> None:
        self._source, self.max_bytes = lines, max_bytes
        self.lines = self.too_long = self.unusable = self.usable = 0
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for line in self._source:
                self.lines += 1
                if len(line) > self.max_bytes:
                    self.too_long += 1
                elif b"\0" in line or _RESERVED in line:
                    self.unusable += 1
                elif line.decode("utf-8", errors="replace").strip():
                    self.usable += 1
                    yield line
        except (Exception, KeyboardInterrupt) as error:
            self.error = error
            raise


def _explain(message: str, feed: _Feed, vocab_size: int) -> TextrnnError:
    if feed.usable == 0:
        reason = "every line is blank" if feed.lines else "there is no line"
        if feed.too_long or feed.unusable:
            reason = f"{feed.too_long} lines are too long and {feed.unusable} hold NUL or U+2585"
        return TokenizerError(f"no text to train a tokenizer on: {reason}")
    if found := re.search(r"Vocabulary size too high \((\d+)\)\D+(\d+)", message):
        return VocabularyError(vocab_size, int(found[2]))
    if found := re.search(r"smaller than required_chars\. (\d+) vs (\d+)", message):
        return TokenizerError(
            f"a vocabulary of {vocab_size} is smaller than the {found[2]} characters that it has to hold; "
            f"ask for more than {found[2]} pieces, or have spm-train take a lower --character-coverage"
        )
    if "all_chars_count" in message or "sentences_.empty()" in message:
        return TokenizerError("no text to train a tokenizer on: nothing is left of it after normalisation")
    if found := re.search(r'unknown field name "([^"]*)"', message):
        return ConfigError(f"{found[1]}: SentencePiece has no such option")
    if found := re.search(r'cannot parse "([^"]*)" as (\w+)', message):
        return ConfigError(f"SentencePiece: '{found[1]}' is not of the type {found[2]}")
    detail = re.sub(r"^[A-Z_a-z]+: (\S+\.cc\(\d+\) )?", "", message).strip()
    return TokenizerError(f"SentencePiece: {detail}")
