"""``textrnn spm-train``: train a SentencePiece tokenizer."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from textrnn.cli.terminal import say
from textrnn.config import ModelType
from textrnn.data.io import check_readable, read_lines
from textrnn.errors import ConfigError, DataError, pluralize
from textrnn.files import atomic_write, keep_previous, write_text
from textrnn.tokenization.spm_trainer import (
    DEFAULT_VOCAB_SIZE,
    SAMPLE_LINES,
    TrainedTokenizer,
    VocabularyError,
    train_tokenizer,
)

Normalization = Literal["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"]

_MOST = 2**31 - 1  # of what SentencePiece counts

Inputs = Annotated[
    list[str],
    typer.Option("--input", metavar="FILE[,FILE...]", help="Text, one sentence a line; repeatable; - is stdin."),
]
Prefix = Annotated[
    str | None,
    typer.Option(metavar="PREFIX", help="Writes PREFIX.model and PREFIX.vocab.  [default: m.uni, m.bpe, ...]"),
]
VocabSize = Annotated[
    int | None,
    typer.Option(
        min=1, max=_MOST, metavar="N", help=f"Pieces.  [default: {DEFAULT_VOCAB_SIZE}, or what the text gives]"
    ),
]
Kind = Annotated[ModelType, typer.Option(help="The kind of tokenizer.")]
Coverage = Annotated[
    float, typer.Option(min=0.98, max=1.0, help="Share of the characters that get a piece of their own.")
]
Rule = Annotated[Normalization, typer.Option(help="What is done to the text first.")]
Lines = Annotated[int, typer.Option(min=0, max=_MOST, metavar="N", help="Lines to use at most; 0: all of them.")]
Shuffle = Annotated[bool, typer.Option(help="Draw those lines at random; else the first ones.")]
Symbols = Annotated[list[str] | None, typer.Option(metavar="A[,B...]", help="Pieces that are never split; repeatable.")]
Fallback = Annotated[bool, typer.Option(help="Spell unknown characters as bytes.")]
HardLimit = Annotated[
    bool | None, typer.Option(help="Fail where the text cannot give N pieces.  [default: only if N is given]")
]
Threads = Annotated[
    int, typer.Option(min=1, max=1024, metavar="N", help="Threads; another number may give other bytes.")
]
Seed = Annotated[int, typer.Option(min=0, help="Fixes the lines that are drawn.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other option of SentencePiece's trainer.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace earlier files in place of keeping them.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show SentencePiece's own log.")]

_PREFIXES = {"unigram": "m.uni"}  # the others are m.TYPE


def spm_train(
    inputs: Inputs,
    model_prefix: Prefix = None,
    vocab_size: VocabSize = None,
    model_type: Kind = "unigram",
    character_coverage: Coverage = 0.9995,
    normalization_rule_name: Rule = "nmt_nfkc",
    input_sentence_size: Lines = SAMPLE_LINES,
    shuffle_input_sentence: Shuffle = True,
    user_defined_symbols: Symbols = None,
    byte_fallback: Fallback = False,
    hard_vocab_limit: HardLimit = None,
    num_threads: Threads = 16,
    seed: Seed = 42,
    settings: Settings = None,
    overwrite: Overwrite = False,
    verbose: Verbose = False,
) -> None:
    """Train a SentencePiece tokenizer.

    The text is raw, one sentence a line. Lines of more than 4,192 bytes are passed over (--set max_sentence_length=N).
    Of a text with more than 5,000,000 lines so many are drawn (--input-sentence-size N). Earlier files of the same name
    are kept as PREFIX.model.1 and so on.

    \b
      textrnn spm-train --input botchan.txt
      textrnn spm-train --input a.txt,b.txt.gz --model-type bpe --vocab-size 16000
      zcat crawl.txt.gz | textrnn spm-train --input - --model-prefix crawl
    """
    paths = [path for group in inputs for path in group.split(",") if path]
    if not paths:
        raise ConfigError("--input: names no file")
    for path in paths:
        check_readable(path)
    targets = _find_targets(_PREFIXES.get(model_type, f"m.{model_type}") if model_prefix is None else model_prefix)
    options: dict[str, Any] = {
        "character_coverage": character_coverage,
        "normalization_rule_name": normalization_rule_name,
        "byte_fallback": byte_fallback,
        "num_threads": num_threads,
        **dict(map(_parse_setting, settings or ())),
    }
    if user_defined_symbols:
        options["user_defined_symbols"] = [s for group in user_defined_symbols for s in group.split(",") if s]
    with _explaining_vocabulary(paths), _interruptible():
        trained = train_tokenizer(
            chain.from_iterable(map(read_lines, paths)),
            model_type=model_type,
            vocab_size=vocab_size or DEFAULT_VOCAB_SIZE,
            hard_vocab_limit=vocab_size is not None if hard_vocab_limit is None else hard_vocab_limit,
            sample_lines=input_sentence_size,
            shuffle=shuffle_input_sentence,
            seed=seed,
            options=options,
            verbose=verbose,
        )
    _write(trained, targets, overwrite=overwrite)
    _report(trained, model_type, wanted=vocab_size or DEFAULT_VOCAB_SIZE)
    say(f"wrote {targets[0]} and {targets[1]}: {len(trained.tokenizer):,} {model_type} pieces")


def _find_targets(prefix: str) -> tuple[Path, Path]:
    if not Path(prefix).name:
        raise ConfigError(f"--model-prefix '{prefix}': names no file")
    targets = Path(f"{prefix}.model"), Path(f"{prefix}.vocab")
    for target in targets:
        if target.is_dir():
            raise ConfigError(f"--model-prefix {prefix}: {target} is a folder")
    return targets


def _parse_setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {text}: write it as KEY=VALUE, as in --set split_digits=true")
    return key.replace("-", "_"), value


def _write(trained: TrainedTokenizer, targets: tuple[Path, Path], *, overwrite: bool) -> None:
    vocab = trained.tokenizer.format_vocab()
    contents = trained.model, vocab.encode("utf-8")
    there = [target for target in targets if target.exists()]
    if not overwrite and any(target.read_bytes() != contents[targets.index(target)] for target in there):
        for target, kept in keep_previous(*targets):
            say(f"an earlier {target} is kept as {kept}")
    with atomic_write(targets[0]) as file:
        file.write(trained.model)
    write_text(targets[1], vocab)


def _report(trained: TrainedTokenizer, model_type: str, *, wanted: int) -> None:
    size = len(trained.tokenizer)
    lines = pluralize(trained.lines, "line", "lines")
    say(f"{lines} read, {trained.too_long:,} skipped as too long (over {trained.max_bytes:,} bytes)")
    if trained.unusable:
        lines = pluralize(trained.unusable, "line skipped that holds", "lines skipped that hold")
        say(f"{lines} NUL or U+2585, which SentencePiece cannot read")
    if trained.used < trained.usable:
        say(
            f"{trained.used:,} of {trained.usable:,} lines are used; --input-sentence-size 0 uses all, if memory allows"
        )
    if size < wanted:
        hint = "; --model-type bpe gives more from a small text" if model_type == "unigram" else ""
        say(f"the text gives {size:,} {model_type} pieces, not {wanted:,}{hint}")


@contextmanager
def _explaining_vocabulary(paths: list[str]) -> Iterator[None]:
    try:
        yield
    except VocabularyError as error:
        raise DataError(
            ",".join(paths),
            None,
            f"cannot give {error.requested:,} pieces, {error.largest:,} at most: "
            f"ask for --vocab-size {error.largest}, or --no-hard-vocab-limit for as many as there are",
        ) from None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end SentencePiece's training at once; nothing has been written by then."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
