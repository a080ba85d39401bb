"""``textrnn pretrain``: teach a network the sentence embeddings of a larger model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from textrnn.cli import options
from textrnn.cli.parameters import Argument, Option
from textrnn.cli.terminal import print_message, write_data
from textrnn.cli.training_process import training_process
from textrnn.config import Config, Override, load_config
from textrnn.errors import ConfigError

_DEFAULTS: dict[str, Any] = {
    "model.dropout": 0.0,
    "tokenizer.vocab_size": 16_000,
    "train.epochs": 8,
    "train.batch_size": 128,
    "train.schedule": "cosine",
}
"""The defaults that differ from those of ``train``."""

_KEYS = {
    *("data.cache", "data.encoding", "data.max_length", "embedding.vectors"),
    *("tokenizer.model", "tokenizer.model_type", "tokenizer.vocab_size"),
    *("train.batch_size", "train.clip_norm", "train.device", "train.epochs", "train.lr", "train.max_steps"),
    *("train.precision", "train.schedule", "train.seed", "train.warmup", "train.weight_decay"),
}
"""The keys with an effect, besides those of ``model``."""

_FLAGS = ("vectors", "epochs", "batch_size", "lr", "seed", "device")
_FLAG_KEYS = {name: options.FLAG_KEYS[name] for name in _FLAGS} | {"vocab_size": "tokenizer.vocab_size"}


def pretrain_command(
    text: Annotated[str, Argument(metavar="TEXT", help="Raw text, a sentence a line; plain or compressed.")],
    teacher_embeddings: Annotated[
        str | None,
        Option(metavar="FILE.npy", help="Embeddings of the lines: a row for each line, float16 or float32."),
    ] = None,
    teacher: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="Or the sentence-transformers model that computes them; they are cached."),
    ] = None,
    vectors: Annotated[
        str | None,
        Option(
            metavar="FILE",
            help="Word vectors that the embedding begins with.  [default: the teacher's embeddings of the pieces]",
        ),
    ] = None,
    out: Annotated[Path, Option(metavar="FILE", help="The starter.")] = Path("starter.safetensors"),
    vocab_size: Annotated[int | None, Option(metavar="N", help="Number of pieces.  [default: 16000]")] = None,
    epochs: Annotated[int | None, Option(metavar="N", help="Number of epochs.  [default: 8]")] = None,
    batch_size: Annotated[int | None, Option(metavar="N", help="Lines per step.  [default: 128]")] = None,
    lr: options.LearningRateOption = None,
    seed: options.SeedOption = None,
    device: options.TrainingDeviceOption = None,
    settings: Annotated[
        list[str] | None,
        Option("--set", metavar="path.to.key=value", help="A config key, as in --set model.hidden=256."),
    ] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace an earlier starter instead of keeping it as FILE.1.")
    ] = False,
) -> None:
    """Teach a network the sentence embeddings of a larger model.

    Prints the file of the starter: a tokenizer and a network without labels, which 'textrnn train --init FILE' begins
    with. That needs fewer labels than a network with random weights. The teacher's embeddings come from any program
    that writes a NumPy array, or from a folder of sentence-transformers (pip install 'textrnn[teacher]').

    A hundredth of the lines, at most 2,000, is held out; the epoch with the highest cosine on them is kept. Ctrl-C and
    SIGTERM leave the best starter so far.

    \b
      textrnn pretrain raw.txt --teacher all-MiniLM-L6-v2
      textrnn pretrain raw.txt --teacher-embeddings raw.npy --out en.safetensors
      textrnn train --init en.safetensors --train few.tsv
    """
    if (teacher is None) == (teacher_embeddings is None):
        raise ConfigError("pretrain: give one of --teacher-embeddings FILE.npy and --teacher FOLDER")
    if out.is_dir():
        raise ConfigError(f"--out {out}: is a folder; name a file, such as {out / 'starter.safetensors'}")
    config = _make_config(options.collect_overrides(locals(), keys=_FLAG_KEYS))
    _check_output(out, [path for path in (text, teacher_embeddings) if path is not None])
    with training_process(config.train.device) as reporter:
        from textrnn.training.starters.pretraining import pretrain

        source: dict[str, Any] = {"embeddings": teacher_embeddings, "teacher": teacher}
        outcome = pretrain(config, text, out, **source, overwrite=overwrite, reporter=reporter)
    print_message(
        f"best epoch {outcome.epoch}: cosine {outcome.cosine:.4f} on held-out lines, in {outcome.seconds:.0f} s; "
        f"train with: textrnn train --init {out} --train FILE"
    )
    write_data(f"{out}\n")


def _make_config(given: list[Override]) -> Config:
    """Return the config of pretraining with the ``given`` values.

    Raises:
        ConfigError: a key has no effect, or a wrong value.
    """
    if wrong := [o for o in given if o.key not in _KEYS and not _is_of_model(o.key)]:
        raise ConfigError([f"{o.origin}: {o.key} has no effect in pretraining; leave it out" for o in wrong])
    keys = {override.key for override in given}
    own = [Override(key, value, key) for key, value in _DEFAULTS.items() if key not in keys]
    config = load_config(overrides=[*own, *given])
    if empty := [key for key in ("epochs", "batch_size") if getattr(config.train, key) is None]:
        raise ConfigError([f"train.{key}: pretraining needs a number; leave null out" for key in empty])
    if config.train.precision == "fp16":
        raise ConfigError("train.precision fp16: pretraining has no loss scaling; use bf16, fp32 or auto")
    return config


def _check_output(out: Path, inputs: Sequence[str]) -> None:
    """Raise ConfigError if ``out`` cannot be written, or is one of the ``inputs``."""
    parent = next(path for path in out.absolute().parents if path.exists())
    if not os.access(parent, os.W_OK):
        raise ConfigError(f"--out {out}: {parent} cannot be written to; name another file")
    if out.exists() and any(Path(path).exists() and out.samefile(path) for path in inputs):
        raise ConfigError(f"--out {out}: is an input; name another file")


def _is_of_model(key: str) -> bool:
    return key.startswith("model.")
