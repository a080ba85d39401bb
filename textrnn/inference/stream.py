"""Lines in, lines out: one output line for each input line, in order, as the lines come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from textrnn.corpus.reading import decode, read_blocks
from textrnn.inference import OutputFormat
from textrnn.inference.engine import Engine, Prediction

_LINES_AT_ONCE = 1024


def predict_files(
    engine: Engine, paths: Iterable[str], *, top_k: int = 1, output: OutputFormat = "tsv", with_text: bool = False
) -> Iterator[str]:
    """Yield for every block of lines of ``paths`` the output for it, whole lines, ready to be written.

    Raises:
        DataError: a file cannot be read.
    """
    for path in paths:
        for block in read_blocks(path):
            for start in range(0, len(block), _LINES_AT_ONCE):
                texts = [decode(line) for line in block[start : start + _LINES_AT_ONCE]]
                predictions = engine.predict(texts, top_k=top_k)
                yield "".join(
                    format_line(found, text if with_text else None, output=output, several=top_k > 1)
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
