"""Training of SentencePiece models on lines of text."""

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
"""SentencePiece's default of ``max_sentence_length``; it skips longer lines."""
SAMPLE_LINES = 5_000_000
"""Larger corpora are sampled down to this number of lines by default."""

_RESERVED = "\u2585".encode()  # SentencePiece reserves this character and skips lines that contain it
_FLAGS = {
    *("input", "model_prefix", "model_type", "vocab_size", "hard_vocab_limit", "input_sentence_size"),
    *("shuffle_input_sentence", "max_sentence_length"),
}
_OWN_OPTIONS = _FLAGS | {"sentence_iterator", "model_writer", "minloglevel", "input_format"}


class VocabularyError(TokenizerError):
    """A text too small for the requested vocabulary; ``largest`` is the largest size that it allows."""

    def __init__(self, requested: int, largest: int) -> None:
        self.requested, self.largest = requested, largest
        super().__init__(f"the text allows at most {largest} pieces, not {requested}")


@dataclass(frozen=True)
class TrainedTokenizer:
    """A trained model and the number of lines that it was trained on.

    Of ``lines``, ``too_long`` exceed ``max_bytes`` bytes and ``unusable`` contain NUL or U+2585. ``usable`` are the
    remaining lines that are not blank; ``used`` of them were trained on.
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
        """The model as a tokenizer."""
        return Tokenizer(self.model, name="the trained tokenizer")


def train_tokenizer(
    lines: Iterable[bytes],
    *,
    model_type: str = "unigram",
    vocab_size: int = DEFAULT_VOCAB_SIZE,
    hard_vocab_limit: bool = True,
    max_sentence_length: int = MAX_LINE_BYTES,
    sample_lines: int = SAMPLE_LINES,
    shuffle: bool = True,
    seed: int = 42,
    options: Mapping[str, Any] | None = None,
    verbose: bool = False,
) -> TrainedTokenizer:
    """Train a SentencePiece model on ``lines`` (UTF-8, without line ends).

    Lines of more than ``max_sentence_length`` bytes are skipped, as SentencePiece does. Larger corpora are sampled down
    to ``sample_lines`` lines (0: no limit), drawn with ``seed``, or the first ones without ``shuffle``. ``options`` are
    further options of SentencePiece's trainer, under its names. With ``hard_vocab_limit=False`` a text too small for
    ``vocab_size`` gets as many pieces as it allows. The same lines and arguments give the same bytes.

    Raises:
        VocabularyError: the text is too small for ``vocab_size`` pieces.
        TokenizerError: no line is usable, or the vocabulary is too small for the characters.
        ConfigError: an option is unknown to SentencePiece, or has the wrong type.
    """
    settings = options or {}
    if reserved := _OWN_OPTIONS & settings.keys():
        name = min(reserved)
        flag = f"--{name.replace('_', '-')}"
        raise ConfigError(f"{name}: {f'use {flag}' if name in _FLAGS else 'is set by textrnn'}")
    feed = _Feed(lines, max_bytes=max_sentence_length)
    texts = iter(feed)
    if sample_lines:
        texts = iter(_sample(texts, sample_lines, seed)) if shuffle else islice(texts, sample_lines)
    writer = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=texts,
            model_writer=writer,
            model_type=model_type,
            vocab_size=vocab_size,
            hard_vocab_limit=hard_vocab_limit and model_type != "char",
            max_sentence_length=max_sentence_length,
            minloglevel=0 if verbose else 2,
            **settings,
        )
    except (RuntimeError, ValueError, OSError) as error:
        if feed.error is not None:
            raise feed.error from None
        raise _explain(str(error), feed, vocab_size) from None
    counts = {name: getattr(feed, name) for name in ("lines", "too_long", "max_bytes", "unusable", "usable")}
    return TrainedTokenizer(writer.getvalue(), **counts, used=min(feed.usable, sample_lines or feed.usable))


def _sample(texts: Iterator[bytes], size: int, seed: int) -> list[bytes]:
    """Return ``size`` random texts, or all if there are fewer.

    Algorithm L of Li, "Reservoir-sampling algorithms of time complexity O(n(1+log(N/n)))", 1994.
    """
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
    """The usable lines, with counts; keeps the error of its source, which SentencePiece's C++ would lose."""

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
        reason = "all lines are blank" if feed.lines else "the input is empty"
        if feed.too_long or feed.unusable:
            reason = (
                f"no usable line ({feed.too_long} of more than {feed.max_bytes:,} bytes, "
                f"{feed.unusable} with NUL or U+2585)"
            )
        if feed.too_long:
            reason += "; --max-sentence-length N raises the limit"
        return TokenizerError(f"no text to train a tokenizer on: {reason}")
    if found := re.search(r"Vocabulary size too high \((\d+)\)\D+(\d+)", message):
        return VocabularyError(vocab_size, int(found[2]))
    if found := re.search(r"smaller than required_chars\. (\d+) vs (\d+)", message):
        return TokenizerError(
            f"{vocab_size} pieces are too few for the {found[2]} characters of the text; "
            f"use more than {found[2]} pieces, or spm-train with a lower --character-coverage"
        )
    if "all_chars_count" in message or "sentences_.empty()" in message:
        return TokenizerError("no text to train a tokenizer on: normalization leaves nothing of it")
    if found := re.search(r'unknown field name "([^"]*)"', message):
        return ConfigError(
            f"{found[1]}: SentencePiece has no such option; its documentation lists the options of training"
        )
    if found := re.search(r'cannot parse "([^"]*)" as (\w+)', message):
        return ConfigError(f"SentencePiece: '{found[1]}' is not a value of type {found[2]}")
    detail = re.sub(r"^[A-Z_a-z]+: (\S+\.cc\(\d+\) )?", "", message).strip()
    return TokenizerError(f"SentencePiece: {detail}")
