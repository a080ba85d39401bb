"""The commands, one module each or one for each group; ``analysis`` has those that look into models."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from textrnn.cli.parameters import CommandFunction

COMMANDS = {
    "spm-train": ("spm.spm_train.spm_train", "Train a SentencePiece tokenizer."),
    "spm-encode": ("spm.spm_filter.spm_encode", "Encode text as pieces or ids."),
    "spm-decode": ("spm.spm_filter.spm_decode", "Decode pieces or ids to text."),
    "pretrain": ("pretrain.pretrain_command", "Teach a network the sentence embeddings of a larger model."),
    "train": ("train.train_command", "Train a classifier."),
    "distill": ("distill.distill_command", "Train a student on raw text that a teacher labels."),
    "tune": ("tune.tune_command", "Search for better settings with Optuna."),
    "evaluate": ("analysis.evaluate.evaluate_command", "Evaluate a model on labelled text."),
    "report": ("analysis.report.report_command", "Write an evaluation page: one HTML file."),
    "compare": ("analysis.compare.compare_command", "Compare models, or other tools, on labelled text."),
    "inspect": ("analysis.inspect_model.inspect_command", "Print the facts about a model or tokenizer."),
    "card": ("analysis.card.card_command", "Write a model card."),
    "predict": ("predict.predict_command", "Label lines of text, or records of a table."),
    "embed": ("embed.embed_command", "Print a vector for each text."),
    "explain": ("analysis.word_effects.explain_command", "Show the effect of each word on a prediction."),
    "serve": ("serve.serve_command", "Answer HTTP requests for predictions."),
    "optimize": ("optimize.optimize_command", "Make a model smaller without making it worse."),
    "filter": ("filter.filter_command", "Print the lines with a given label or score."),
    "demo": ("demo.demo_command", "Train, evaluate and predict on demo data."),
    "init": ("config.init_command", "Write a starter config."),
    "bench": ("bench.bench_command", "Measure the speed of SRU, LSTM and GRU layers."),
    "doctor": ("doctor.doctor_command", "Print versions, devices and available backends."),
    "data check": ("data.check_and_split.check_command", "Check labelled files before training."),
    "data split": ("data.check_and_split.split_command", "Split a labelled file into train, valid and test."),
    "data errors": ("data.data_errors.errors_command", "List the texts whose label is probably wrong."),
    "data suggest": ("data.data_suggest.suggest_command", "Choose the texts to label next."),
    "config schema": ("config.schema_command", "Print the JSON schema of the config file."),
}
"""The function and the summary of each command, in the order of the help; the summary begins the function's docstring.

With the summaries here, the help that lists the commands imports none of them.
"""

GROUPS = {
    "data": "Check, split, correct and extend labelled data.",
    "config": "Describe the config file.",
}
"""What each group of commands does."""


def load_command(name: str) -> CommandFunction:
    """Return the function of the command called ``name``; only its module is imported."""
    module, _, function = COMMANDS[name][0].rpartition(".")
    return cast("CommandFunction", getattr(import_module(f"{__name__}.{module}"), function))


def load_summary(name: str) -> CommandFunction:
    """Return a function that does nothing, with the summary of the command called ``name`` as its docstring."""

    def summary() -> None: ...

    summary.__doc__ = COMMANDS[name][1]
    return summary
