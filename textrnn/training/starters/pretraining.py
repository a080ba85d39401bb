"""Pretraining of a starter: a network learns the sentence embeddings of a teacher."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from textrnn.config import Config, ModelConfig
from textrnn.data.batch import Rows
from textrnn.data.cache import Cache
from textrnn.data.encoded import Corpus
from textrnn.data.word_vectors import check_vectors
from textrnn.errors import DataError, DivergedError, StoppedError, pluralize
from textrnn.files import keep_previous
from textrnn.models.classifier import Classifier
from textrnn.ops.batch_layout import send
from textrnn.ops.device import make_repeatable, resolve_device
from textrnn.preparation.pretrained_vectors import PieceVectors, describe, load_vectors
from textrnn.preparation.raw_lines import RawLines, find_texts
from textrnn.preparation.teacher_embeddings import TeacherEmbeddings
from textrnn.preparation.text_hashes import TextHasher
from textrnn.reporter import Plan, Reporter
from textrnn.serialization.model_file import SavedModel, save_model
from textrnn.signals import DeferredSignals
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.training.model_setup import resolve_precision
from textrnn.training.schedule import rate_factor
from textrnn.training.starters.sentence_encoder import SentenceEncoder
from textrnn.training.starters.teacher_step import TeacherStep
from textrnn.training.train import reporting

STARTER_DROPOUT = 0.2
"""The dropout of trainings that begin with a starter, unless they set their own."""

_HELD_OUT, _MOST_HELD_OUT = 0.01, 2000  # share of the lines, and the most lines


@dataclass(frozen=True)
class PretrainingOutcome:
    """A finished pretraining: the mean cosine of held-out lines, its epoch and the duration."""

    cosine: float
    epoch: int
    seconds: float


class Pretrainer:
    """Trains a network and writes the starter of the best epoch to ``out``."""

    def __init__(
        self,
        config: Config,
        corpus: Corpus,
        *,
        targets: TeacherEmbeddings,
        tokenizer: Tokenizer,
        rows: Rows,
        vectors: PieceVectors | None,
        out: Path,
        overwrite: bool,
        reporter: Reporter,
    ) -> None:
        assert config.train.epochs is not None
        assert config.train.batch_size is not None
        self.config, self.corpus, self.targets, self.tokenizer = config, corpus, targets, tokenizer
        self.out, self.reporter, self._is_own = out, reporter, overwrite
        self.epochs, self.batch_size = config.train.epochs, config.train.batch_size
        self.device = resolve_device(config.train.device)
        make_repeatable(config.train.seed)
        self.rng = np.random.default_rng(config.train.seed)
        order = self.rng.permutation(rows)
        held = min(_MOST_HELD_OUT, max(1, round(_HELD_OUT * len(order))))
        hashes = TextHasher.of(corpus, len(tokenizer)).hash_all(corpus)
        is_new = ~np.isin(hashes[order[held:]], hashes[order[:held]])  # equal lines are on one side
        self.held, self.kept = np.sort(order[:held]), order[held:][is_new]
        if not len(self.kept):
            raise DataError(targets.path, None, "no line differs from the held-out ones; pretraining needs more text")
        model = Classifier(len(tokenizer), targets.width, **config.model.model_dump())
        if vectors is not None:
            vectors.initialize(model.embedding.weight)
        self.train_step = TeacherStep(model.to(self.device), config.train, self.device)
        steps = self.epochs * -(-len(self.kept) // self.batch_size)
        self.steps = min(steps, config.train.max_steps or steps)

    def fit(self) -> tuple[float, int]:
        """Train all epochs; return the best mean cosine of held-out lines and its epoch (from 1).

        Raises:
            DivergedError: the loss is not finite.
            StoppedError: a signal ended the training.
        """
        best = (-math.inf, 0)
        self.reporter.begin(Plan(self.epochs, self.steps, "loss"))
        with DeferredSignals() as signals:
            for epoch in range(1, self.epochs + 1):
                start = time.perf_counter()
                loss, tokens = self._train_epoch(epoch, signals, best_epoch=best[1])
                seconds = time.perf_counter() - start
                cosine = self._validate()
                if not math.isfinite(cosine):
                    reason = f"the held-out cosine is {cosine} in epoch {epoch}; lower --lr"
                    raise DivergedError(self.targets.path, None, reason)
                is_best = cosine > best[0]
                if is_best:
                    best = cosine, epoch
                    self._save()
                self.reporter.note(
                    f"epoch {epoch}/{self.epochs}  loss {loss:.4f}  held-out cosine {cosine:.4f}  "
                    f"{tokens / seconds:,.0f} tokens/s  {seconds:.1f} s{'  best' if is_best else ''}"
                )
                if self.train_step.optimizer.steps >= self.steps:
                    break
        return best

    def _train_epoch(self, epoch: int, signals: DeferredSignals, *, best_epoch: int) -> tuple[float, int]:
        """Train one epoch; return the mean loss and the number of tokens."""
        order, total, tokens, count = self.rng.permutation(self.kept), 0.0, 0, 0
        start = time.perf_counter()
        for first in range(0, len(order), self.batch_size):
            if self.train_step.optimizer.steps >= self.steps:
                break
            rows = np.sort(order[first : first + self.batch_size])
            batch = self.corpus.select(rows)
            loss = self.train_step.step(batch, self._take_targets(rows), lr=self._rate())
            if not math.isfinite(loss):
                reason = f"the loss is {loss} in epoch {epoch}; lower --lr or --set train.clip_norm"
                raise DivergedError(self.targets.path, None, reason)
            total, tokens, count = total + loss * len(batch), tokens + len(batch.ids), count + len(batch)
            self.reporter.step(epoch, total / count, tokens / (time.perf_counter() - start))
            if signals.received is not None:
                kept = f"the starter of epoch {best_epoch} is in {self.out}" if best_epoch else "no starter was written"
                raise StoppedError(signals.received, f"stopped in epoch {epoch}; {kept}")
        return total / max(1, count), tokens

    def _rate(self) -> float:
        settings = self.config.train
        step = self.train_step.optimizer.steps
        return settings.lr * rate_factor(step, steps=self.steps, warmup=settings.warmup, schedule=settings.schedule)

    def _validate(self) -> float:
        """Return the mean cosine of the held-out lines."""
        parts = np.array_split(self.held, -(-len(self.held) // self.batch_size))
        total = sum(self.train_step.measure(self.corpus.select(rows), self._take_targets(rows)) for rows in parts)
        return total / len(self.held)

    def _take_targets(self, rows: Rows) -> Tensor:
        targets: Tensor = send(self.targets.select(rows), self.device)
        return targets

    def _save(self) -> None:
        """Write the starter; keep an earlier one of another run under another name, unless it may be overwritten."""
        if not self._is_own:
            for path, kept in keep_previous(self.out):
                self.reporter.note(f"an earlier {path} is kept as {kept}")
        self._is_own = True
        save_model(self.out, self._make_starter())

    def _make_starter(self) -> SavedModel:
        """Return the network without its output layer, with the dropout of trainings that begin with it."""
        weights = self.train_step.model.export_weights()
        weights |= {name: weights[name][:0] for name in ("head.weight", "head.bias")}
        shape = {key: getattr(self.config.model, key) for key in ModelConfig.model_fields if key != "dropout"}
        model = ModelConfig(**shape, dropout=STARTER_DROPOUT)
        return SavedModel(Config(model=model), (), self.tokenizer, weights)


def pretrain(
    config: Config,
    text: str,
    out: Path,
    *,
    embeddings: str | None = None,
    teacher: Path | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> PretrainingOutcome:
    """Train a starter on the lines of the file ``text`` and write it to ``out``.

    The lines' embeddings are the rows of the file ``embeddings`` (.npy), or come from the ``teacher``, a folder of
    sentence-transformers. An earlier starter is kept under another name unless ``overwrite``. The same text,
    embeddings, config, machine and number of threads give the same bytes.

    Raises:
        DataError: a file is unusable, or the loss diverges.
        ModelError, ConfigError: the teacher cannot be loaded.
        TokenizerError: the tokenizer cannot be read or trained.
        BackendError: the device is not available, or out of memory.
        StoppedError: a signal ended the training.
    """
    start = time.perf_counter()
    with reporting(reporter or Reporter()) as chosen:
        trainer = _prepare(
            config, text, out, embeddings=embeddings, teacher=teacher, overwrite=overwrite, reporter=chosen
        )
        cosine, epoch = trainer.fit()
    return PretrainingOutcome(cosine, epoch, time.perf_counter() - start)


def _prepare(
    config: Config,
    text: str,
    out: Path,
    *,
    embeddings: str | None,
    teacher: Path | None,
    overwrite: bool,
    reporter: Reporter,
) -> Pretrainer:
    """Read and check the files, train the tokenizer, encode the text, and embed it unless ``embeddings`` are given."""
    config, path = resolve_precision(config), config.embedding.vectors
    if path is not None:
        check_vectors(path)
    cache = Cache.open(config.data.cache, reporter.note)
    given = None if embeddings is None else TeacherEmbeddings.open(embeddings)
    model = None if teacher is None else _open_teacher(teacher, config, cache)
    raw = RawLines.open(text, config, cache=cache, reporter=reporter)
    lines = raw.count_lines()
    if given is not None:
        given.check_count(text, lines=lines)
    tokenizer = raw.fit_tokenizer(config)
    corpus = raw.encode(tokenizer, config)
    rows = find_texts(corpus, tokenizer)
    if len(rows) < 2:
        raise DataError(text, None, "has a single line of text; pretraining needs thousands")
    vectors = None if path is None else load_vectors(path, tokenizer, cache, width=config.model.embedding)
    if model is not None:
        given = model.embed_lines(raw)
        vectors = vectors or model.embed_pieces(tokenizer, width=config.model.embedding)
    assert given is not None
    given.check_values(text, rows=rows)
    counted = pluralize(len(rows), "line", "lines")
    reporter.note(f"{counted} of text, {len(tokenizer):,} pieces, embeddings of {given.width} numbers")
    if vectors is not None:
        reporter.note(describe(vectors, tokenizer, corpus))
        config = config.model_copy(update={"model": config.model.model_copy(update={"embedding": vectors.width})})
    return Pretrainer(
        config,
        corpus,
        targets=given,
        tokenizer=tokenizer,
        rows=rows,
        vectors=vectors,
        out=out,
        overwrite=overwrite,
        reporter=reporter,
    )


def _open_teacher(folder: Path, config: Config, cache: Cache) -> SentenceEncoder:
    device = str(resolve_device(config.train.device))
    return SentenceEncoder(folder, cache, device=device, is_bf16=config.train.precision == "bf16")
