"""``textrnn inspect``: print the facts about a model or tokenizer."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from textrnn.cli import options
from textrnn.cli.model_loading import choose_model
from textrnn.cli.parameters import Argument, Option
from textrnn.cli.tables import align_numbers, format_size, format_table
from textrnn.cli.terminal import write_data
from textrnn.errors import ConfigError, pluralize, shorten

if TYPE_CHECKING:
    from textrnn.serialization.inspection import ModelFacts, TrainingFacts
    from textrnn.tokenization.tokenizer_facts import TokenizerFacts

_MAX_LABELS = 12


def inspect_command(
    path: Annotated[
        Path | None,
        Argument(
            metavar="RUN|FILE|TOKENIZER",
            help="A run folder, model file, or SentencePiece .model.  [default: the latest run]",
        ),
    ] = None,
    model: Annotated[
        Path | None, Option("--model", "-m", metavar="RUN|FILE|TOKENIZER", help="The same, as other commands name it.")
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Print the facts about a model or tokenizer.

    Of a model: its network, parameters, the size of each part, labels, calibration, tokenizer, sha256, and from its run
    folder epochs, best epoch, seconds and command line. --json also has the config and all thresholds.

    \b
      textrnn inspect
      textrnn inspect runs/trec-sru
      textrnn inspect --json model.safetensors | jq .labels
      textrnn inspect tokenizer.model
    """
    if path is not None and model is not None:
        raise ConfigError(f"-m {model}: {path} is given already; keep one")
    from textrnn.serialization.inspection import inspect_model, is_tokenizer
    from textrnn.tokenization.tokenizer import Tokenizer
    from textrnn.tokenization.tokenizer_facts import describe_tokenizer

    chosen = choose_model(path or model)
    if is_tokenizer(chosen):
        tokenizer = Tokenizer.read(chosen)
        facts = describe_tokenizer(tokenizer)
        digest = sha256(tokenizer.model).hexdigest()
        if as_json:
            write_data(json.dumps({"file": str(chosen), "sha256": digest, **asdict(facts)}, ensure_ascii=False) + "\n")
        else:
            rows = [("file", str(chosen)), ("size", format_size(facts.size)), ("sha256", digest)]
            write_data(_format_rows([*rows, *_list_tokenizer(facts)]))
        return
    found = inspect_model(chosen)
    write_data(json.dumps(found.to_dict(), ensure_ascii=False) + "\n" if as_json else _format_model(found))


def _format_model(facts: ModelFacts) -> str:
    rows = [
        ("file", facts.file),
        ("size", f"{format_size(facts.size)}, format version {facts.format_version}"),
        ("sha256", facts.sha256),
        ("network", _describe_network(facts)),
        ("parameters", f"{facts.parameters:,}"),
        *([] if facts.ngrams is None else [("n-grams", f"{facts.ngrams:,}, weight {facts.ngram_share:.3f}")]),
        _describe_labels(facts),
        *_list_calibration(facts),
        ("max length", pluralize(facts.config["data"]["max_length"], "piece", "pieces")),
        ("longer texts", facts.config["data"].get("long_texts", "cut")),
        *_list_tokenizer(facts.tokenizer),
        *([] if facts.training is None else _list_training(facts.training)),
    ]
    parts = [[name, format_size(size), f"{100 * size / facts.size:.1f} %"] for name, size in facts.parts.items()]
    return _format_rows(rows) + "\n".join(["", *align_numbers([["part", "size", "share"], *parts]), ""])


def _describe_labels(facts: ModelFacts) -> tuple[str, str]:
    labels = facts.labels
    if facts.config["data"]["target"] == "score":
        return "scores", f"from {labels[0]} to {labels[-1]}, {len(labels)} anchors"
    if not labels:
        return "labels", "none: a starter for textrnn train --init"
    shown = ", ".join(map(shorten, labels[:_MAX_LABELS])) + (", ..." if len(labels) > _MAX_LABELS else "")
    return "labels", f"{len(labels)}{'' if facts.thresholds is None else ', multi-label'}: {shown}"


def _describe_network(facts: ModelFacts) -> str:
    n = facts.network
    direction = "bidirectional " if n["bidirectional"] else ""
    return (
        f"{n['layers']} {direction}{n['cell'].upper()} {'layer' if n['layers'] == 1 else 'layers'}, "
        f"hidden size {n['hidden']}, embedding size {n['embedding']}, {n['pooling']} pooling"
    )


def _list_calibration(facts: ModelFacts) -> list[tuple[str, str]]:
    rows = [("temperature", f"{facts.temperature:.3f}")]
    if facts.thresholds is not None:
        rows.append(("thresholds", f"{min(facts.thresholds):.3f} to {max(facts.thresholds):.3f}"))
    if facts.confidence_thresholds is not None:
        given = [threshold for threshold in facts.confidence_thresholds.values() if threshold is not None]
        never = len(facts.confidence_thresholds) - len(given)
        shown = [f"thresholds {min(given):.6f} to {max(given):.6f}"] if given else []
        shown += [f"{pluralize(never, 'label', 'labels')} never printed"] if never else []
        if facts.confidence_max_error is not None:
            shown.append(f"for at most {100 * facts.confidence_max_error:g} % errors")
        rows.append(("confidence", ", ".join(shown)))
    if facts.cascade is not None:
        best = max(facts.cascade["agreements"], default=0.0)
        rows.append(("cascade", f"agreement up to {best:.4f}, n-gram temperature {facts.cascade['temperature']:.3f}"))
    return rows


def _list_tokenizer(facts: TokenizerFacts) -> list[tuple[str, str]]:
    symbols = facts.user_defined_symbols
    shown = ", ".join(map(shorten, symbols[:_MAX_LABELS])) + (", ..." if len(symbols) > _MAX_LABELS else "")
    fallback = "byte fallback" if facts.byte_fallback else "no byte fallback"
    spaces = ", keeps repeated spaces" if facts.keeps_spaces else ""
    rows = [
        ("tokenizer", f"{facts.type}, {facts.pieces:,} pieces, {facts.normalization} normalization{spaces}, {fallback}")
    ]
    return [*rows, ("symbols", f"{len(symbols)} user-defined: {shown}")] if symbols else rows


def _list_training(facts: TrainingFacts) -> list[tuple[str, str]]:
    text = f"{pluralize(facts.epochs, 'epoch', 'epochs')} in {facts.seconds:.1f} s"
    if facts.best is not None:
        name = "valid_loss" if facts.metric == "loss" else facts.metric
        value = facts.best.get(name)
        if isinstance(value, float):  # a final model has none
            shown = f"{value:.4f}" if facts.metric == "loss" else f"{100 * value:.2f} %"
            text += f", best epoch {facts.best['epoch']}: {name.replace('_', ' ').replace('f1', 'F1')} {shown}"
        if isinstance(error := facts.best.get("mae"), float):
            text += f", MAE {error:.4f}"
    return [("training", text), *([] if not facts.command else [("command", facts.command)])]


def _format_rows(rows: list[tuple[str, str]]) -> str:
    return "\n".join([*format_table([*map(list, rows), ["", ""]])]).rstrip("\n") + "\n"
