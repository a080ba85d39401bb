"""Model setup before training: values that depend on the data, the initial network, the n-gram model."""

from __future__ import annotations

import math
import time

import torch
from torch import nn

from textrnn.config import Config
from textrnn.data.sampler import count_batches
from textrnn.models.classifier import Classifier
from textrnn.models.ngram.features import Spelling
from textrnn.models.ngram.fitting import fit_ngrams
from textrnn.models.ngram.prior import Prior
from textrnn.models.ngram.table import NgramTable
from textrnn.ops.device import resolve_device
from textrnn.ops.sru.backends import choose_backend
from textrnn.ops.sru.stack import can_train
from textrnn.preparation.dataset import Dataset
from textrnn.reporter import Reporter
from textrnn.training.distributed import ProcessGroup
from textrnn.training.loss import TextLoss, weigh_classes
from textrnn.training.starters.linear_probe import fit_head

# a checkpoint holds the config before these fill it in: whoever changes them raises checkpoint.FORMAT_VERSION
_MIN_EPOCHS, _MAX_EPOCHS, _MIN_STEPS = 12, 30, 2600
DISTILL_SHARE = 0.5
"""``train.distill_share`` if a label of the initial model has no new text."""
_BATCH_SIZES, _MIN_BATCHES = (64, 32, 16, 8), 75  # per epoch


def resolve_config(config: Config, dataset: Dataset) -> Config:
    """Return ``config`` with the values filled in that depend on the data.

    The batch size is the largest of 64, 32, 16 and 8 that gives an epoch at least 75 steps. The number of epochs is 12,
    or up to 30 if 12 epochs have fewer than 2,600 steps. The embedding is as wide as its pretrained vectors. Without
    replay half of the targets are distilled if the new text lacks a label of the initial model.
    """
    texts, settings, model = dataset.train, config.train, config.model
    size, tokens, epochs = settings.batch_size, settings.batch_tokens, settings.epochs
    if size is None and tokens is None:
        size = next((size for size in _BATCH_SIZES if len(texts) >= _MIN_BATCHES * size), _BATCH_SIZES[-1])
    if epochs is None:
        steps = count_batches(dataset.windows.draw(texts), size, batch_tokens=tokens)
        epochs = min(max(_MIN_EPOCHS, math.ceil(_MIN_STEPS / steps)), _MAX_EPOCHS)
    settings = settings.model_copy(update={"batch_size": size, "epochs": epochs})
    if settings.distill_share is None and dataset.initial is not None:
        settings = settings.model_copy(update={"distill_share": _choose_distill_share(config, dataset)})
    if dataset.vectors is not None:
        model = model.model_copy(update={"embedding": dataset.vectors.width})
    return config.model_copy(update={"train": settings, "model": model})


def _choose_distill_share(config: Config, dataset: Dataset) -> float:
    """Return ``train.distill_share``: above 0 without replay, if a label of the initial model has no new text."""
    counts = dict(zip(dataset.labels, dataset.count_labels(), strict=True))
    assert dataset.initial is not None
    # the anchors of scores need no texts of their own
    has_all = dataset.anchors is not None or all(counts[label] for label in dataset.initial.labels)
    return 0.0 if has_all or config.data.replay is not None else DISTILL_SHARE


def resolve_precision(config: Config, *, processes: int = 1) -> Config:
    """Return ``config`` with the precision that ``auto`` is on this machine.

    It is bf16 for SRU on a CPU with AMX, where a step takes half of its time in fp32, and fp32 elsewhere; several
    processes, whose machines may differ, train in fp32. A resumed run keeps what was chosen.
    """
    if config.train.precision != "auto":
        return config
    name = config.train.device
    is_cpu = processes == 1 and name in ("auto", "cpu") and resolve_device(name).type == "cpu"
    precision = "bf16" if is_cpu and config.model.cell == "sru" and can_train(torch.bfloat16) else "fp32"
    return config.model_copy(update={"train": config.train.model_copy(update={"precision": precision})})


def build_network(config: Config, dataset: Dataset) -> Classifier:
    """Return the network of ``config`` with random weights from torch's generator, and any pretrained ones.

    The output layer of one that begins with a starter is fitted to the training set.
    """
    model = Classifier(len(dataset.tokenizer), len(dataset.labels), **config.model.model_dump())
    if dataset.vectors is not None:
        dataset.vectors.initialize(model.embedding.weight)
    if dataset.initial is not None:
        dataset.initial.initialize(model, dataset.labels)
        if dataset.initial.is_starter:
            texts = None if dataset.label_sets is None else len(dataset.train)
            loss = TextLoss(config.train, labels=dataset.labels, counts=dataset.sum_shares(), texts=texts)
            fit_head(model, dataset, loss)
    return model


def describe_network(config: Config, model: nn.Module, *, device: torch.device, group: ProcessGroup) -> str:
    """Return one line on the network and the device that trains it."""
    shape, tokens = config.model, config.train.batch_tokens
    parameters = sum(parameter.numel() for parameter in model.parameters())
    directions = "bidirectional" if shape.bidirectional else "unidirectional"
    batch = f"{config.train.batch_size} texts" if tokens is None else f"up to {tokens:,} tokens"
    processes = f" in {group.size} processes" if group.size > 1 else ""
    name = choose_backend("auto", device=device.type) if shape.cell == "sru" else ""
    backend = f", SRU backend {name}" if name else ""
    if name == "reference":
        backend += " (slow; 'textrnn doctor' says why no faster one is available)"
    precision = "" if config.train.precision == "fp32" else f" in {config.train.precision}"
    return (
        f"model: {shape.layers} {directions} {shape.cell.upper()} layers, hidden size {shape.hidden}, "
        f"embedding size {shape.embedding}, {parameters:,} parameters; batches of {batch}; "
        f"on {device}{precision}{processes}{backend}"
    )


def fit_ngram_model(config: Config, dataset: Dataset, reporter: Reporter) -> NgramTable | None:
    """Fit the n-gram model to the training set; return None if its share is 0, or if it can learn nothing.

    It weighs texts by ``train.class_weights``, as the network does. Label smoothing and focal loss are for the network
    alone. After an initial model without replay its weights are the prior.
    """
    if config.ngrams.share == 0:
        return None
    start = time.perf_counter()
    sets, labels, train = dataset.label_sets, dataset.labels, dataset.train
    texts = None if sets is None else len(train)
    weights, others = weigh_classes(config.train, labels, counts=dataset.sum_shares(), texts=texts)
    table = fit_ngrams(
        train,
        Spelling.of(dataset.tokenizer),
        classes=len(labels),
        targets=train.classes,
        find_labels=None if sets is None else lambda classes: sets.to_multi_hot(classes)[:, : len(labels)],
        weights=None if weights is None else weights.numpy() if others is None else (weights.numpy(), others.numpy()),
        find_soft=train.select_soft_labels,
        text_weights=train.text_weights,
        is_exact=dataset.anchors is None,  # liblinear took four times as long on the distributions of scores
        penalty=config.ngrams.penalty,
        prior=_make_prior(config, dataset),
        seed=config.train.seed,
        report=reporter.note,
    )
    if table is not None:
        seconds = time.perf_counter() - start
        reporter.note(f"n-grams: {len(table.keys):,} word and character n-grams, fitted in {seconds:.1f} s")
    return table


def _make_prior(config: Config, dataset: Dataset) -> Prior | None:
    """Return the n-gram model of the initial model, unless old text is there to fit a new one to."""
    initial = dataset.initial
    if initial is None or initial.model.ngrams is None or config.data.replay is not None:
        return None
    return Prior.of(
        initial.model.ngrams, [dataset.labels.index(label) for label in initial.labels], len(dataset.labels)
    )
