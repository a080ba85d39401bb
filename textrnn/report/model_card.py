"""The model card: plain text about a model, after Mitchell et al., "Model Cards for Model Reporting", FAT* 2019."""

from __future__ import annotations

from collections.abc import Sequence

from textrnn.config import Config
from textrnn.data.windows import Windows
from textrnn.errors import shorten
from textrnn.evaluation.multi_label import MultiLabelEvaluation
from textrnn.evaluation.single_label import Evaluation
from textrnn.report.headline import Figure

_MAX_LABELS = 50


def write_model_card(
    name: str,
    config: Config,
    evaluation: Evaluation | MultiLabelEvaluation,
    *,
    figures: Sequence[Figure],
    data: str,
    version: str,
) -> str:
    """Return a model card in Markdown: what the model is, and how it does on ``data``."""
    known = [label for label in evaluation.labels if label not in set(evaluation.unknown_labels)]
    more = f", and {len(known) - _MAX_LABELS} more" if len(known) > _MAX_LABELS else ""
    labels = ", ".join(shorten(label) for label in known[:_MAX_LABELS]) + more
    model, direction = config.model, "bidirectional " if config.model.bidirectional else ""
    kind = "several labels for each text" if config.data.multi_label else "one label for each text"
    lines = [
        f"# {name}",
        "",
        f"A text classifier ({kind}): {model.layers} {direction}{model.cell.upper()} layers of hidden size "
        f"{model.hidden}, trained with textrnn {version}.",
        "",
        f"- Labels ({len(known)}): {labels}",
        f"- Training set: {_name_files(config.data.train)}",
        f"- Text: {_describe_reading(Windows.of(config.data))}",
        f"- Seed: {config.train.seed}",
        "",
        f"## Evaluation on {data} ({evaluation.texts:,} texts)",
        "",
        "| metric | value | 95 % interval |",
        "|---|---|---|",
        *(f"| {figure.name} | {figure.value} | {figure.interval or '-'} |" for figure in figures),
        "",
        "## Limits",
        "",
        "Probabilities are calibrated for text like the validation set. On text from another source, evaluate the "
        "model again before you rely on it.",
    ]
    return "\n".join(lines) + "\n"


def _describe_reading(windows: Windows) -> str:
    """Return what is read of a text."""
    if windows.most is None:
        return "a text is read to its end"
    if windows.most == 1:
        return f"the first {windows.size} pieces of a text are read"
    return f"up to {windows.most} windows of {windows.size} pieces of a text are read, from its beginning to its end"


def _name_files(files: str | list[str]) -> str:
    return files if isinstance(files, str) else ", ".join(files)
