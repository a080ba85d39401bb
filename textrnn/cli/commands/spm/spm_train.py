"""``textrnn spm-train``: train a SentencePiece tokenizer."""

from __future__ import annotations

import glob
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from textrnn.cli import options
from textrnn.cli.parameters import Argument, Option
from textrnn.cli.terminal import print_message
from textrnn.config import ModelType
from textrnn.data.reading.io import STDIN, check_readable
from textrnn.data.reading.lines import read_texts
from textrnn.errors import ConfigError, DataError, pluralize
from textrnn.files import atomic_write, keep_previous
from textrnn.tokenization.spm_trainer import (
    DEFAULT_VOCAB_SIZE,
    MAX_LINE_BYTES,
    SAMPLE_LINES,
    TrainedTokenizer,
    VocabularyError,
    train_tokenizer,
)

Normalization = Literal["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"]

_MAX_INT = 2**31 - 1  # SentencePiece counts in int32
_PREFIXES = {"unigram": "m.uni"}  # other types: m.TYPE


def spm_train(
    files: Annotated[list[str] | None, Argument(metavar="FILE", help="More text, as of --input a*.txt.")] = None,
    inputs: Annotated[
        list[str] | None,
        Option("--input", metavar="FILE[,FILE...]", help="Text, one sentence a line; repeatable; - is stdin."),
    ] = None,
    field: options.FieldOption = None,
    input_format: options.InputFormatOption = None,
    on_error: options.OnErrorOption = "stop",
    model_prefix: Annotated[
        str | None, Option(metavar="PREFIX", help="Write PREFIX.model and PREFIX.vocab.  [default: m.uni, m.bpe, ...]")
    ] = None,
    vocab_size: Annotated[
        int | None,
        Option(
            min=1,
            max=_MAX_INT,
            metavar="N",
            help=f"Number of pieces.  [default: {DEFAULT_VOCAB_SIZE}, or fewer if the text is small]",
        ),
    ] = None,
    model_type: Annotated[ModelType, Option(help="Type of the tokenizer.")] = "unigram",
    character_coverage: Annotated[
        float,
        Option(min=0.98, max=1.0, metavar="SHARE", help="Share of the characters covered by pieces of their own."),
    ] = 0.9995,
    normalization_rule_name: Annotated[
        Normalization, Option(help="Unicode normalization of the text; _cf also folds case.")
    ] = "nmt_nfkc",
    input_sentence_size: Annotated[
        int, Option(min=0, max=_MAX_INT, metavar="N", help="Maximum number of lines to train on; 0: all.")
    ] = SAMPLE_LINES,
    shuffle_input_sentence: Annotated[
        bool, Option(help="Sample those lines at random instead of taking the first ones.")
    ] = True,
    max_sentence_length: Annotated[
        int, Option(min=1, max=_MAX_INT, metavar="BYTES", help="Skip longer lines.")
    ] = MAX_LINE_BYTES,
    user_defined_symbols: Annotated[
        list[str] | None,
        Option(metavar="A[,B...]", help="Pieces that are never split; repeatable; ',' alone is a comma."),
    ] = None,
    byte_fallback: Annotated[bool, Option(help="Encode unknown characters as bytes.")] = False,
    hard_vocab_limit: Annotated[
        bool | None, Option(help="Fail if the text cannot give N pieces.  [default: only if --vocab-size is given]")
    ] = None,
    num_threads: Annotated[
        int, Option(min=1, max=1024, metavar="N", help="Number of threads; it can affect the result.")
    ] = 16,
    seed: Annotated[int, Option(min=0, metavar="N", help="Random seed of the line sample.")] = 42,
    settings: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any other SentencePiece trainer option; or data.encoding, data.delimiter, data.quoting of the files.",
        ),
    ] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace earlier files instead of keeping them.")] = False,
    verbose: Annotated[bool, Option("--verbose", help="Show the log of SentencePiece.")] = False,
) -> None:
    """Train a SentencePiece tokenizer.

    The input is raw text, one sentence a line, or with --field the texts of a table. Lines longer than
    --max-sentence-length are skipped. Larger corpora are sampled down to 5,000,000 lines; --input-sentence-size N
    changes the number. Earlier files of the same name are kept as PREFIX.model.1 and so on.

    \b
      textrnn spm-train --input botchan.txt
      textrnn spm-train --input a.txt,b.txt.gz --model-type bpe
      zcat crawl.txt.gz | textrnn spm-train --input - --model-prefix crawl
      textrnn spm-train --input tickets.csv --field body
    """
    paths = [path for group in (*(inputs or ()), *(files or ())) for path in _expand(group)]
    if not paths:
        raise ConfigError("--input: names no file; name one or more")
    for path in paths:
        check_readable(path)
    of_data = [setting for setting in settings or () if setting.startswith("data.")]
    reading = options.make_text_config(field, of_data, input_format=input_format, on_error=on_error)
    targets = _find_targets(_PREFIXES.get(model_type, f"m.{model_type}") if model_prefix is None else model_prefix)
    spm_options: dict[str, Any] = {
        "character_coverage": character_coverage,
        "normalization_rule_name": normalization_rule_name,
        "byte_fallback": byte_fallback,
        "num_threads": num_threads,
        **dict(_parse_setting(setting) for setting in settings or () if setting not in of_data),
    }
    if user_defined_symbols:
        spm_options["user_defined_symbols"] = [s for group in user_defined_symbols for s in _split_symbols(group)]
    notes: list[str] = []
    try:
        with _exit_on_ctrl_c():
            trained = train_tokenizer(
                (text.encode() for path in paths for text in read_texts(path, reading, note=notes.append)),
                model_type=model_type,
                vocab_size=vocab_size or DEFAULT_VOCAB_SIZE,
                hard_vocab_limit=vocab_size is not None if hard_vocab_limit is None else hard_vocab_limit,
                sample_lines=input_sentence_size,
                shuffle=shuffle_input_sentence,
                seed=seed,
                max_sentence_length=max_sentence_length,
                options=spm_options,
                verbose=verbose,
            )
    except VocabularyError as error:
        cure = f"use --vocab-size {error.largest} or less, or --no-hard-vocab-limit"
        raise DataError(",".join(paths), None, f"too small for {error.requested:,} pieces; {cure}") from None
    finally:
        for line in notes:
            print_message(line)
    _write(trained, targets, overwrite=overwrite)
    _report(trained, model_type, wanted=vocab_size or DEFAULT_VOCAB_SIZE)
    print_message(f"wrote {targets[0]} and {targets[1]}: {len(trained.tokenizer):,} {model_type} pieces")


def _expand(group: str) -> list[str]:
    """Return the files that ``group`` names: one, several divided by commas, or a pattern."""
    if group == STDIN or Path(group).exists():
        return [group]
    paths = []
    for path in filter(None, group.split(",")):
        is_pattern = not Path(path).exists() and glob.has_magic(path)
        paths += sorted(glob.glob(path)) or [path] if is_pattern else [path]  # noqa: PTH207 - absolute patterns too
    return paths


def _split_symbols(group: str) -> list[str]:
    return [group] if group == "," else [symbol for symbol in group.split(",") if symbol]


def _find_targets(prefix: str) -> tuple[Path, Path]:
    if not Path(prefix).name:
        raise ConfigError(f"--model-prefix '{prefix}': has no file name")
    targets = Path(f"{prefix}.model"), Path(f"{prefix}.vocab")
    for target in targets:
        if target.is_dir():
            raise ConfigError(f"--model-prefix {prefix}: {target} is a folder; choose another prefix")
    return targets


def _parse_setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {text}: write it as KEY=VALUE, as in --set split_digits=true")
    return key.replace("-", "_"), value


def _write(trained: TrainedTokenizer, targets: tuple[Path, Path], *, overwrite: bool) -> None:
    contents = dict(zip(targets, (trained.model, trained.tokenizer.format_vocab().encode("utf-8")), strict=True))
    if not overwrite and any(path.exists() and path.read_bytes() != content for path, content in contents.items()):
        for target, kept in keep_previous(*targets):
            print_message(f"an earlier {target} is kept as {kept}")
    for path, content in contents.items():
        with atomic_write(path) as file:
            file.write(content)


def _report(trained: TrainedTokenizer, model_type: str, *, wanted: int) -> None:
    size = len(trained.tokenizer)
    lines = pluralize(trained.lines, "line", "lines")
    limit = f"as longer than {trained.max_bytes:,} bytes (--max-sentence-length)"
    print_message(f"{lines} read, {trained.too_long:,} skipped {limit}")
    if trained.unusable:
        lines = pluralize(trained.unusable, "line", "lines")
        print_message(f"{lines} skipped: SentencePiece cannot read NUL or U+2585")
    if trained.used < trained.usable:
        print_message(f"{trained.used:,} of {trained.usable:,} lines used; --input-sentence-size 0 uses all")
    if size < wanted:
        hint = "; --model-type bpe gives more for small texts" if model_type == "unigram" else ""
        print_message(f"the text gives {size:,} {model_type} pieces, not {wanted:,}{hint}")


@contextmanager
def _exit_on_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end the process at once; Python's handler would wait until SentencePiece returns."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
