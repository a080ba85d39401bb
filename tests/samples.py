"""Small texts, configs and models that several tests use."""

from __future__ import annotations

import random
from pathlib import Path

import torch

from textrnn.config import Config, Override, load_config
from textrnn.models.classifier import Classifier
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

ODD_LINES = [  # whatever a line may hold
    b"green tea please",
    b"",
    b"   ",
    b"nul \0 inside",
    b"\xff\xfe not utf-8 \xc3",
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


def make_model(tokenizer: Tokenizer, config: Config, labels: tuple[str, ...] = ("a", "b", "c")) -> SavedModel:
    """Return a model with random weights, drawn with seed 0."""
    torch.manual_seed(0)
    network = Classifier(len(tokenizer), len(labels), **config.model.model_dump())
    return SavedModel(config, labels, tokenizer, network.export_weights())


def write_rows(path: Path, rows: int = 40) -> Path:
    """Write a TSV that a network learns at once: tea or coffee."""
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
    """Write texts that are about several topics or none: TSV with ``a|b``, or fastText's where the name ends in .txt.

    A label is left out with the probability ``doubt`` where its topic stands, so that no probability is near 1.
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
