"""Lines in, lines out: one output line for each input line, in order, as the lines come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial

from textrnn.corpus.reading import decode, read_blocks
from textrnn.inference import OutputFormat
from textrnn.inference.engine import Engine, Prediction

SEPARATOR = "|"  # between labels, where the training text had none of its own
_LINES_AT_ONCE = 1024


def predict_files(
    engine: Engine,
    paths: Iterable[str],
    *,
    top_k: int | None = None,
    threshold: float | None = None,
    output: OutputFormat = "tsv",
    with_text: bool = False,
) -> Iterator[str]:
    """Yield for every block of lines of ``paths`` the output for it, whole lines, ready to be written.

    ``top_k`` and ``threshold`` are those of :meth:`Engine.predict`.

    Raises:
        DataError: a file cannot be read.
    """
    write = (
        partial(format_line, several=(top_k or 1) > 1)
        if engine.thresholds is None
        else partial(format_set, separator=engine.separator or SEPARATOR)
    )
    for path in paths:
        for block in read_blocks(path):
            for start in range(0, len(block), _LINES_AT_ONCE):
                texts = [decode(line) for line in block[start : start + _LINES_AT_ONCE]]
                predictions = engine.predict(texts, top_k=top_k, threshold=threshold)
                yield "".join(
                    write(found, text if with_text else None, output=output)
                    for found, text in zip(predictions, texts, strict=True)
                )


def format_line(found: list[Prediction], text: str | None, *, output: OutputFormat, several: bool) -> str:
    """Return one output line, with its end: labels with probabilities, then ``text`` if it is given."""
    if output == "jsonl":
        row: dict[str, object] = {"label": found[0].label, "probability": round(found[0].probability, 6)}
        if several:
            row["top"] = [{"label": p.label, "probability": round(p.probability, 6)} for p in found]
        if text is not None:
            row["text"] = text
        return json.dumps(row, ensure_ascii=False) + "\n"
    if output == "label":
        fields = [p.label for p in found]
    else:
        fields = [field for p in found for field in (p.label, f"{p.probability:.6f}")]
    return "\t".join(fields if text is None else [*fields, text]) + "\n"


def format_set(found: list[Prediction], text: str | None, *, output: OutputFormat, separator: str) -> str:
    """Return one output line, with its end, for a set of labels: always as many fields, however many labels there are.

    As TSV and JSON it is what a training text with several labels looks like, but for the probabilities.
    """
    if output == "jsonl":
        probabilities = [round(p.probability, 6) for p in found]
        row: dict[str, object] = {"label": [p.label for p in found], "probability": probabilities}
        return json.dumps(row if text is None else {**row, "text": text}, ensure_ascii=False) + "\n"
    fields = [separator.join(p.label for p in found)]
    if output == "tsv":
        fields.append(separator.join(f"{p.probability:.6f}" for p in found))
    return "\t".join(fields if text is None else [*fields, text]) + "\n"
