"""``textrnn spm-encode`` and ``spm-decode``: SentencePiece in a pipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from textrnn.cli.options import FilesArgument
from textrnn.cli.parameters import Option
from textrnn.cli.terminal import announce_keyboard_input, print_message, write_data
from textrnn.data.reading.io import STDIN, check_readable, decode, read_blocks
from textrnn.errors import ConfigError, DataError, TokenizerError

PieceFormat = Literal["piece", "id"]
TokenizerOption = Annotated[Path, Option("--model", "-m", metavar="FILE", help="A SentencePiece .model file.")]


def spm_encode(
    model: TokenizerOption,
    files: FilesArgument = None,
    output_format: Annotated[PieceFormat, Option(help="Print pieces or their ids.")] = "piece",
    sample: Annotated[bool, Option("--sample", help="Sample a segmentation instead of the best one.")] = False,
    nbest_size: Annotated[
        int | None,
        Option(metavar="N", help="With --sample, unigram: sample from the N best; -1: from all.  [default: -1]"),
    ] = None,
    alpha: Annotated[
        float | None,
        Option(
            min=0.0,
            metavar="A",
            help="With --sample: smoothing (unigram) or share of merges dropped (bpe).  [default: 0.1]",
        ),
    ] = None,
) -> None:
    """Encode text as pieces or ids.

    Each input line gives one output line of pieces or ids, separated by spaces.

    \b
      textrnn spm-encode -m m.uni.model botchan.txt
      echo 'Hello world' | textrnn spm-encode -m m.uni.model --output-format id
    """
    from textrnn.tokenization.tokenizer import MAX_NBEST, Tokenizer

    if not sample and not (nbest_size is None and alpha is None):
        raise ConfigError("--nbest-size and --alpha: need --sample")
    if nbest_size not in (None, -1) and not 2 <= nbest_size <= MAX_NBEST:
        raise ConfigError(f"--nbest-size {nbest_size}: should be -1 (all) or 2 to {MAX_NBEST}")
    tokenizer = Tokenizer.read(model)
    if nbest_size is not None and tokenizer.kind != "unigram":
        raise ConfigError(
            f"--nbest-size {nbest_size}: for unigram tokenizers; {model} is {tokenizer.kind}, leave it out"
        )
    ids = output_format == "id"
    sampling = {"nbest_size": -1 if nbest_size is None else nbest_size, "alpha": 0.1 if alpha is None else alpha}

    def encode(line: str) -> str:
        if sample:
            return " ".join(map(str, tokenizer.sample(line, ids=ids, **sampling)))  # type: ignore[arg-type]
        return " ".join(map(str, tokenizer.encode_ids(line)) if ids else tokenizer.encode_pieces(line))

    _filter(files, encode)


def spm_decode(
    model: TokenizerOption,
    files: FilesArgument = None,
    input_format: Annotated[PieceFormat, Option(help="Read pieces or ids.")] = "piece",
) -> None:
    """Decode pieces or ids to text.

    Input lines have the format that spm-encode prints; each gives one line of text. Pieces give the normalized text.
    Ids of characters without a piece give U+2047.

    \b
      textrnn spm-decode -m m.uni.model pieces.txt
    """
    from textrnn.tokenization.tokenizer import Tokenizer

    tokenizer = Tokenizer.read(model)

    def decode_line(line: str) -> str:
        fields = [field for field in line.split(" ") if field]
        if input_format == "piece":
            return tokenizer.decode(fields)
        wrong = next((field for field in fields if not (field.isascii() and field.isdigit() and len(field) < 10)), None)
        if wrong is not None:
            raise TokenizerError(f"'{wrong}' is not an id; to decode pieces, leave --input-format out")
        return tokenizer.decode([int(field) for field in fields])

    _filter(files, decode_line)


def _filter(files: list[str] | None, transform: Callable[[str], str]) -> None:
    paths = files or [STDIN]
    for path in paths:
        check_readable(path)
    announce_keyboard_input(paths)
    for path in paths:
        number = 0
        for block in read_blocks(path, note=print_message):
            output = []
            for number, line in enumerate(block, start=number + 1):  # noqa: B020 - the count continues across blocks
                try:
                    output.append(transform(decode(line)) + "\n")
                except TokenizerError as error:
                    write_data("".join(output))
                    raise DataError(path, number, str(error)) from None
            write_data("".join(output))
