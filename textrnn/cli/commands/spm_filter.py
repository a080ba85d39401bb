"""``textrnn spm-encode`` and ``spm-decode``: SentencePiece as filters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from textrnn.cli.terminal import hint_at_terminal, write_data
from textrnn.data.io import STDIN, check_readable, decode, read_blocks
from textrnn.errors import ConfigError, DataError, TokenizerError

PieceFormat = Literal["piece", "id"]
TokenizerOption = Annotated[Path, typer.Option("--model", "-m", metavar="FILE", help="A SentencePiece .model file.")]
FilesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="FILE", help="Text files, compressed or not; - or none: stdin.")
]


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
    from textrnn.tokenization.tokenizer import MAX_NBEST, Tokenizer

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

    The lines are as spm-encode prints them; one line out for each line in. Pieces give back the normalised text; ids
    give U+2047 for characters that have no piece.

    \b
      textrnn spm-encode -m m.uni.model < botchan.txt | textrnn spm-decode -m m.uni.model
    """
    from textrnn.tokenization.tokenizer import Tokenizer

    tokenizer = Tokenizer.read(model)

    def read(line: str) -> str:
        fields = [field for field in line.split(" ") if field]
        if input_format == "piece":
            return tokenizer.decode(fields)
        wrong = next((field for field in fields if not (field.isascii() and field.isdigit() and len(field) < 10)), None)
        if wrong is not None:
            raise TokenizerError(f"'{wrong}' is not an id; for pieces leave --input-format out")
        return tokenizer.decode([int(field) for field in fields])

    _filter(files, read)


def _filter(files: list[str] | None, transform: Callable[[str], str]) -> None:
    paths = files or [STDIN]
    for path in paths:
        check_readable(path)
    hint_at_terminal(paths)
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
