"""``textrnn spm-train``, ``spm-encode`` and ``spm-decode``: SentencePiece from the command line."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from textrnn.cli.console import die_on_broken_pipe, hint_at_terminal, say, write_data
from textrnn.config import ModelType
from textrnn.corpus.reading import STDIN, check_readable, decode, read_blocks, read_lines
from textrnn.errors import ConfigError, DataError, TokenizerError
from textrnn.files import atomic_write, keep_previous, write_text
from textrnn.tokenizer import (
    DEFAULT_VOCAB_SIZE,
    MAX_NBEST,
    SAMPLE_LINES,
    Tokenizer,
    TrainedTokenizer,
    VocabularyError,
    train_tokenizer,
)

Normalization = Literal["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"]
PieceFormat = Literal["piece", "id"]
TokenizerOption = Annotated[Path, typer.Option("--model", "-m", metavar="FILE", help="A SentencePiece .model file.")]
FilesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[FILE]...", help="Text files, compressed or not; - or none: stdin.")
]

_PREFIXES = {"unigram": "m.uni"}  # the others are m.TYPE


def spm_train(
    inputs: Annotated[
        list[str],
        typer.Option("--input", metavar="FILE[,FILE...]", help="Text, one sentence a line; repeatable; - is stdin."),
    ],
    model_prefix: Annotated[
        str | None,
        typer.Option(metavar="PREFIX", help="Writes PREFIX.model and PREFIX.vocab.  [default: m.uni, m.bpe, ...]"),
    ] = None,
    vocab_size: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help=f"Pieces.  [default: {DEFAULT_VOCAB_SIZE}, or what the text gives]"),
    ] = None,
    model_type: Annotated[ModelType, typer.Option(help="The kind of tokenizer.")] = "unigram",
    character_coverage: Annotated[
        float, typer.Option(min=0.98, max=1.0, help="Share of the characters that get a piece of their own.")
    ] = 0.9995,
    normalization_rule_name: Annotated[
        Normalization, typer.Option(help="What is done to the text first.")
    ] = "nmt_nfkc",
    input_sentence_size: Annotated[
        int, typer.Option(min=0, metavar="N", help="Lines to use at most; 0: all of them.")
    ] = SAMPLE_LINES,
    shuffle_input_sentence: Annotated[
        bool, typer.Option(help="Draw those lines at random; else the first ones.")
    ] = True,
    user_defined_symbols: Annotated[
        list[str] | None, typer.Option(metavar="A[,B...]", help="Pieces that are never split; repeatable.")
    ] = None,
    byte_fallback: Annotated[bool, typer.Option(help="Spell unknown characters as bytes.")] = False,
    hard_vocab_limit: Annotated[
        bool | None, typer.Option(help="Fail where the text cannot give N pieces.  [default: only if N is given]")
    ] = None,
    num_threads: Annotated[
        int, typer.Option(min=1, metavar="N", help="Threads; another number may give other bytes.")
    ] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Fixes the lines that are drawn.")] = 42,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any other option of SentencePiece's trainer."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace earlier files in place of keeping them.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show SentencePiece's own log.")] = False,
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
    prefix = model_prefix or _PREFIXES.get(model_type, f"m.{model_type}")
    model_path, vocab_path = Path(f"{prefix}.model"), Path(f"{prefix}.vocab")
    for target in (model_path, vocab_path):
        if target.is_dir():
            raise ConfigError(f"--model-prefix {prefix}: {target} is a folder")
    options: dict[str, Any] = {
        "character_coverage": character_coverage,
        "normalization_rule_name": normalization_rule_name,
        "byte_fallback": byte_fallback,
        "num_threads": num_threads,
        **dict(map(_parse_setting, settings or ())),
    }
    if user_defined_symbols:
        options["user_defined_symbols"] = [s for group in user_defined_symbols for s in group.split(",") if s]
    hard = hard_vocab_limit if hard_vocab_limit is not None else vocab_size is not None
    try:
        with _interruptible():
            trained = train_tokenizer(
                chain.from_iterable(map(read_lines, paths)),
                model_type=model_type,
                vocab_size=vocab_size or DEFAULT_VOCAB_SIZE,
                hard_vocab_limit=hard,
                sample_lines=input_sentence_size,
                shuffle=shuffle_input_sentence,
                seed=seed,
                options=options,
                verbose=verbose,
            )
    except VocabularyError as error:
        raise DataError(
            ",".join(paths),
            None,
            f"cannot give {error.asked} pieces, {error.largest} at most: "
            f"ask for --vocab-size {error.largest}, or --no-hard-vocab-limit for as many as there are",
        ) from None
    if not overwrite:
        _keep(model_path, trained.model)
        _keep(vocab_path, trained.tokenizer.format_vocab().encode("utf-8"))
    with atomic_write(model_path) as file:
        file.write(trained.model)
    write_text(vocab_path, trained.tokenizer.format_vocab())
    _report(trained, model_type, wanted=vocab_size or DEFAULT_VOCAB_SIZE, paths=(model_path, vocab_path))


def spm_encode(
    model: TokenizerOption,
    files: FilesArgument = None,
    output_format: Annotated[PieceFormat, typer.Option(help="Print pieces or their numbers.")] = "piece",
    sample: Annotated[bool, typer.Option("--sample", help="Draw a segmentation in place of the best one.")] = False,
    nbest_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="With --sample, unigram: draw among the N best; -1: all.  [default: -1]"),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="With --sample: smoothing (unigram) or share of merges dropped (bpe).  [default: 0.1]"
        ),
    ] = None,
) -> None:
    """Encode text as pieces or ids.

    They are separated by blanks; one line out for each line in.

    \b
      textrnn spm-encode -m m.uni.model botchan.txt
      echo 'Hello world' | textrnn spm-encode -m m.uni.model --output-format id
    """
    if not sample and not (nbest_size is None and alpha is None):
        raise ConfigError("--nbest-size and --alpha go with --sample")
    if nbest_size not in (None, -1) and not 2 <= nbest_size <= MAX_NBEST:
        raise ConfigError(f"--nbest-size {nbest_size}: should be -1 (all) or 2 to {MAX_NBEST}")
    tokenizer = Tokenizer.read(model)
    ids = output_format == "id"

    def encode(line: str) -> str:
        if sample:
            drawn = tokenizer.sample(
                line,
                ids=ids,
                nbest_size=-1 if nbest_size is None else nbest_size,
                alpha=0.1 if alpha is None else alpha,
            )
            return " ".join(map(str, drawn))
        return " ".join(map(str, tokenizer.encode_ids(line)) if ids else tokenizer.encode_pieces(line))

    _filter(files, encode)


def spm_decode(
    model: TokenizerOption,
    files: FilesArgument = None,
    input_format: Annotated[PieceFormat, typer.Option(help="What the lines hold.")] = "piece",
) -> None:
    """Decode pieces or ids to text.

    The lines are as spm-encode prints them; one line out for each line in.

    \b
      textrnn spm-encode -m m.uni.model < botchan.txt | textrnn spm-decode -m m.uni.model
    """
    tokenizer = Tokenizer.read(model)

    def read(line: str) -> str:
        fields = [field for field in line.split(" ") if field]
        if input_format == "piece":
            return tokenizer.decode(fields)
        wrong = next((field for field in fields if not (field.isascii() and field.isdigit())), None)
        if wrong is not None:
            raise TokenizerError(f"'{wrong}' is not an id; for pieces leave --input-format out")
        return tokenizer.decode([int(field) for field in fields])

    _filter(files, read)


def _filter(files: list[str] | None, transform: Callable[[str], str]) -> None:
    paths = files or [STDIN]
    for path in paths:
        check_readable(path)
    hint_at_terminal(paths)
    die_on_broken_pipe()
    for path in paths:
        number = 0
        for block in read_blocks(path):
            done = []
            for number, line in enumerate(block, start=number + 1):  # noqa: B020 - counts on from block to block
                try:
                    done.append(transform(decode(line)) + "\n")
                except TokenizerError as error:
                    write_data("".join(done))
                    raise DataError(path, number, str(error)) from None
            write_data("".join(done))


def _parse_setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {text}: write it as KEY=VALUE, as in --set split_digits=true")
    return key.replace("-", "_"), value


def _keep(path: Path, content: bytes) -> None:
    """Set an earlier file aside unless it holds just what will be written."""
    if path.is_file() and path.read_bytes() != content:
        kept = keep_previous(path)
        say(f"an earlier {path} is kept as {kept}")


def _report(trained: TrainedTokenizer, model_type: str, *, wanted: int, paths: tuple[Path, Path]) -> None:
    size = len(trained.tokenizer)
    say(f"{trained.lines:,} lines read, {trained.too_long:,} skipped as too long (over {trained.max_bytes:,} bytes)")
    if trained.unusable:
        say(f"{trained.unusable:,} lines skipped that hold NUL or U+2585, which SentencePiece cannot read")
    if trained.used < trained.usable:
        say(
            f"{trained.used:,} of {trained.usable:,} lines are used; --input-sentence-size 0 uses all, if memory allows"
        )
    if size < wanted:
        hint = "; --model-type bpe gives more from a small text" if model_type == "unigram" else ""
        say(f"the text gives {size:,} {model_type} pieces, not {wanted:,}{hint}")
    say(f"wrote {paths[0]} and {paths[1]}: {size:,} {model_type} pieces")


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
