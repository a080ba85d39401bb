"""Small texts, configs, models and reporters for many tests."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from textrnn.config import Config, Override, load_config
from textrnn.models.calibration import CalibrationError
from textrnn.models.classifier import Classifier
from textrnn.reporter import EpochRecord, Plan, Reporter
from textrnn.serialization.model_file import SavedModel
from textrnn.tokenization.tokenizer import Tokenizer

SENTENCES = [
    "the kettle boils in two minutes",
    "my parcel is late again",
    "where can i see my points",
    "주문한 책이 아직 안 왔어요",
    "환불 부탁드립니다",
    "the blue one is sold out",
]

ODD_LINES = [  # anything that a line can hold
    b"green tea please",
    b"",
    b"   ",
    b"nul \0 inside",
    b"\xfd\xfe not utf-8 \xc3",
    "line\u2028separator\u0085and\u000b\u000cmore".encode(),
    b"carriage \r return",
    b"tea " * 250_000,
    "\ud658\ubd88\t\ubd80\ud0c1".encode(),
    b"crlf\r",
    b"no newline at the end",
]


DRINK_LABELS = ["coffee" if i % 3 == 0 else "tea" for i in range(5000)]
DRINKS = "".join(
    f"{'black coffee with milk' if label == 'coffee' else 'green tea with lemon'} {'now ' * (i % 17)}{i}\n"
    for i, label in enumerate(DRINK_LABELS)
).encode()


def make_config(**values: object) -> Config:
    """Return a config with ``section__key=value`` set."""
    return load_config(overrides=[Override(key.replace("__", "."), value, key) for key, value in values.items()])


def calibration_error(probabilities: npt.NDArray[Any], correct: npt.NDArray[np.bool_]) -> float:
    """Return the ECE of predictions with ``probabilities`` (n,), of which those that are ``correct`` (n,) are right."""
    error = CalibrationError()
    error.add(probabilities, correct)
    return error.mean


MULTI_LABEL = {"data__multi_label": True, "data__label_separator": "|"}


def small_config(path: Path | str, **values: object) -> Config:
    """Return a config that trains a tiny network on ``path`` within a second."""
    defaults = {
        "data__train": str(path),
        "tokenizer__vocab_size": 80,
        "model__hidden": 8,
        "model__embedding": 16,
        "model__dropout": 0.1,
        "train__epochs": 4,
        "train__batch_size": 4,
        "train__lr": 0.01,
    }
    return make_config(**(defaults | values))


def small_multi_label_config(path: Path | str, **values: object) -> Config:
    """Return a config that trains a tiny multi-label network on ``path``, a TSV file by :func:`write_sets`."""
    defaults = {"tokenizer__vocab_size": 120, "train__epochs": 6, "train__batch_size": 8, "train__lr": 0.02}
    return small_config(path, **(defaults | MULTI_LABEL | values))


class Recorder(Reporter):
    """Records all reports, and sends this process a signal in step ``stop_at``."""

    def __init__(self, stop_at: int = 0, number: signal.Signals = signal.SIGTERM) -> None:
        self.notes: list[str] = []
        self.records: list[EpochRecord] = []
        self.loads: list[str] = []
        self.plan: Plan | None = None
        self.steps = self.closed = 0
        self._stop_at, self._number = stop_at, number

    def note(self, message: str) -> None:
        self.notes.append(message)

    def load(self, what: str, done: int, total: int | None) -> None:
        assert total is None or 0 < done <= total
        self.loads.append(what)

    def begin(self, plan: Plan) -> None:
        self.plan = plan

    def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
        assert epoch >= 1
        assert loss >= 0
        assert tokens_per_second > 0
        self.steps += 1
        if self.steps == self._stop_at:
            signal.raise_signal(self._number)

    def end_epoch(self, record: EpochRecord) -> None:
        self.records.append(record)

    def close(self) -> None:
        self.closed += 1


def make_record(epoch: int = 1, **values: float) -> EpochRecord:
    """Return the record of an epoch with ``values``; all others are 0.5."""
    names = ("loss", "valid_loss", "network_loss", "accuracy", "micro_f1", "macro_f1", "weighted_f1", "lr", "seconds")
    rest: dict[str, Any] = dict.fromkeys(names, 0.5) | {"tokens_per_second": 10.0, "best": True}
    return EpochRecord(epoch=epoch, step=9 * epoch, **(rest | values))


def read_metrics(folder: Path | str) -> list[dict[str, Any]]:
    """Return the lines of the folder's metrics.jsonl."""
    return [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text("utf-8").splitlines()]


def make_model(tokenizer: Tokenizer, config: Config, labels: tuple[str, ...] = ("a", "b", "c")) -> SavedModel:
    """Return a model with random weights, drawn with seed 0."""
    torch.manual_seed(0)
    network = Classifier(len(tokenizer), len(labels), **config.model.model_dump())
    return SavedModel(config, labels, tokenizer, network.export_weights())


def write_rows(path: Path, rows: int = 40) -> Path:
    """Write a TSV of texts on tea or coffee, which a network learns at once."""
    drinks = ("green tea with lemon", "black coffee with milk")
    more = ("please", "now", "today", "again", "at noon")
    lines = [f"{'tea' if i % 2 == 0 else 'coffee'}\t{drinks[i % 2]} {more[i % 5]} {i}\n" for i in range(rows)]
    path.write_text("".join(lines), encoding="utf-8")
    return path


TOPICS = {
    "delivery": ("the parcel came late", "my order has not arrived", "the courier left it outside"),
    "refund": ("i want my money back", "please refund the difference", "the return was not paid out"),
    "quality": ("the zip broke at once", "the colour is wrong", "it smells of glue"),
    "praise": ("thank you for the quick help", "lovely shop"),
}
_SHARES = (0.5, 0.3, 0.2, 0.08)
_MORE = ("hello", "by the way", "as i wrote", "on monday", "again", "order")


def write_sets(path: Path, rows: int = 200, *, seed: int = 1, doubt: float = 0.0) -> Path:
    """Write texts on any number of topics: TSV with labels ``a|b``, or fastText's format if the name ends in .txt.

    Each label is left out with probability ``doubt``, which keeps all probabilities away from 1.
    """
    rng = random.Random(seed)
    lines = []
    for number in range(rows):
        topics = [topic for topic, share in zip(TOPICS, _SHARES, strict=True) if rng.random() < share]
        parts = [rng.choice(TOPICS[topic]) for topic in topics] + [*rng.sample(_MORE, 2), str(number)]
        rng.shuffle(parts)
        labels = [topic for topic in topics if rng.random() >= doubt]
        rng.shuffle(labels)
        fasttext = "".join(f"__label__{label} " for label in labels)
        lines.append((fasttext if path.suffix == ".txt" else f"{'|'.join(labels)}\t") + ", ".join(parts) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path
