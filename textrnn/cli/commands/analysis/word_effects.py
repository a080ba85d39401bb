"""``textrnn explain``: show the effect of each word on a prediction."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from textrnn.cli import options
from textrnn.cli.model_loading import check_labels, check_score_options, load_engine
from textrnn.cli.parameters import Argument, Option
from textrnn.cli.terminal import announce_keyboard_input, print_message, write_data
from textrnn.data.reading.io import STDIN
from textrnn.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from textrnn.inference.explain import Explanation

_STRONG, _WEAK = 0.5, 0.05  # shares of the strongest effect: bold from here on, and neutral below
_MAX_WORDS = 5
_LEAST = 0.005  # the smallest effect that two digits show


def explain_command(
    text: Annotated[
        str | None, Argument(metavar="TEXT", help="The text, in quotes; - reads lines from stdin.  [default: -]")
    ] = None,
    model: options.ModelOption = None,
    label: Annotated[
        str | None, Option("--label", "-l", metavar="LABEL", help="The label to explain.  [default: the predicted one]")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print JSON lines, as predict --explain does.")] = False,
) -> None:
    """Show the effect of each word on a prediction.

    The effect of a word is the probability of the label with the word minus that without it. On a terminal, words for
    the label are green and words against it red and underlined, the strongest bold; below stand the strongest words.
    If NO_COLOR is set, numbers mark the words.

    In a pipe, the first line of a text is label<TAB>probability, and each word has a line word<TAB>effect, with a plus
    or minus sign. A blank line ends each text. Multi-label models explain each assigned label. The effect of a word on
    a score (data.target=score) is the score with the word minus that without it; the first line of a text is the score.

    \b
      textrnn explain "i want my money back"
      textrnn explain -m runs/trec-sru --label NUM "when did it start"
      textrnn explain < mails.txt | grep -P '\\t-0\\.[1-9]'
      textrnn explain --json < mails.txt
    """
    if text not in (None, STDIN):
        _refuse_file(str(text))
    engine = load_engine(model)
    check_score_options(engine, {"--label": label})
    check_labels(engine, [] if label is None else [label], option="--label")
    from textrnn.inference.explain import explain

    console = None if as_json else _open_terminal()
    for line in _read_texts() if text in (None, STDIN) else [_clean(str(text))]:
        found = explain(engine, line, label)
        if as_json:
            write_data(json.dumps(found.to_row(), ensure_ascii=False) + "\n")
        elif console is None:
            write_data(_format_columns(found))
        else:
            _print(console, found, engine.tokenizer.normalize(line))


def _refuse_file(text: str) -> None:
    """Raise ConfigError if ``text`` is the name of a file."""
    with contextlib.suppress(OSError):  # a text may be too long for a name
        if Path(text).is_file():
            cure = f"explain its lines with: textrnn explain < {shlex.quote(text)}"
            raise ConfigError(f"{text}: a file, but explain takes a text; {cure}")


def _clean(text: str) -> str:
    """Return an argument of the command line with U+FFFD for bytes that are not UTF-8, as files are read."""
    return os.fsencode(text).decode("utf-8", "replace")


def _read_texts() -> Iterator[str]:
    """Yield the lines of stdin as ``predict`` reads them, as soon as they are there."""
    from textrnn.data.reading.io import open_text, read_chunks
    from textrnn.data.reading.lines import read_lines

    announce_keyboard_input([STDIN])
    with open_text(STDIN, note=print_message) as (_, file):
        for _, texts in read_lines(STDIN, read_chunks(file.read1), note=print_message):
            yield from texts


def _open_terminal() -> Console | None:
    """Return the terminal that stdout is, or None if it is none."""
    import sys

    from rich.console import Console

    return Console(highlight=False, soft_wrap=True) if sys.stdout is not None and sys.stdout.isatty() else None


def _list_explained(found: Explanation) -> list[tuple[str, str]]:
    """Return the fields in a pipe and the heading on a terminal of each label, or of the score."""
    if found.score is not None:
        return [(f"{found.score:.6g}", f"score {found.score:.4g}")]
    pairs = zip(found.labels, found.probabilities, strict=True)
    return [(f"{label}\t{p:.6f}", f"{label} {100 * p:.1f} %") for label, p in pairs]


def _format_columns(found: Explanation) -> str:
    lines = []
    for index, (fields, _) in enumerate(_list_explained(found)):
        lines.append(fields)
        lines += [f"{_to_printable(part.text)}\t{part.effects[index]:+.6f}" for part in found.parts]
        lines.append("")
    return "\n".join([*(lines or ["\t", ""]), ""])  # without labels both fields are empty, as predict prints them


def _print(console: Console, found: Explanation, normalized: str) -> None:
    from rich.text import Text

    explained = _list_explained(found)
    if not explained:
        console.print(Text("no label is assigned; explain one with --label\n"))
    for index, (_, heading) in enumerate(explained):
        effects = [part.effects[index] for part in found.parts]
        words = [_to_printable(part.text) for part in found.parts]
        ranked = sorted(zip(words, effects, strict=True), key=lambda pair: -abs(pair[1]))
        strongest = [f"{word} {effect:+.2f}" for word, effect in ranked[:_MAX_WORDS] if abs(effect) >= _LEAST]
        console.print(Text(heading, "bold"))
        console.print(_color(words, effects, normalized=normalized, marks=console.no_color or not console.color_system))
        console.print(Text(f"strongest: {', '.join(strongest) or 'no word matters alone'}\n"))


def _color(words: list[str], effects: list[float], *, normalized: str, marks: bool) -> Text:
    """Return ``words``, colored by their ``effects`` or with ``marks`` after them, spaced as in ``normalized``."""
    from rich.text import Text

    line, at = Text(), 0
    most = max(map(abs, effects), default=0.0)
    for word, effect in zip(words, effects, strict=True):
        start = normalized.find(word, at)
        line.append(" " if start != at and at else "")
        at = at + len(word) if start < 0 else start + len(word)
        if most == 0 or abs(effect) < _WEAK * most:
            line.append(word)
        elif marks:
            line.append(f"{word}({effect:+.2f})")
        else:
            bold = "bold " if abs(effect) >= _STRONG * most else ""
            line.append(word, f"{bold}green" if effect > 0 else f"{bold}underline red")
    return line


def _to_printable(text: str) -> str:
    """Return ``text`` without characters that would move the cursor or end a field."""
    return "".join(" " if c.isspace() else c if c.isprintable() else "\ufffd" for c in text)
