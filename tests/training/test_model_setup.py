"""Model setup: values that depend on the data, the note on the network, and the n-gram model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from samples import MULTI_LABEL, Recorder, make_config, write_rows, write_sets
from textrnn.config import Config
from textrnn.errors import ConfigError
from textrnn.inference.engine import Engine
from textrnn.models.ngram.features import Spelling
from textrnn.preparation.dataset import Dataset, load_dataset
from textrnn.reporter import Reporter
from textrnn.serialization.model_file import load_model
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.training.distributed import ProcessGroup
from textrnn.training.model_setup import describe_network, fit_ngram_model, resolve_config, resolve_precision
from textrnn.training.train import train

TINY = {"model__hidden": 4, "model__embedding": 8, "train__epochs": 2, "tokenizer__vocab_size": 80}
RUN = Path("run")


def load(path: Path, **values: object) -> Dataset:
    return load_dataset(make_config(data__train=str(path), **{**TINY, **values}), Reporter())


@pytest.mark.parametrize(
    ("texts", "settings", "size", "epochs"),
    [
        (50, {}, 8, 30),  # 7 steps per epoch
        (720, {}, 8, 29),  # 90
        (1199, {}, 8, 18),
        (1200, {}, 16, 30),
        (2400, {}, 32, 30),
        (6400, {}, 64, 26),  # 100
        (16000, {}, 64, 12),  # 250
        (640, {"train__batch_size": 64}, 64, 30),
        (640, {"train__epochs": 7}, 8, 7),
    ],
)
def test_batch_size_and_epochs_depend_on_the_number_of_texts(
    texts: int, settings: dict[str, object], size: int, epochs: int, rows: Path
) -> None:
    write_rows(rows, texts)
    valid = write_rows(Path("valid.tsv"), 4)
    config = make_config(data__train=str(rows), data__valid=str(valid), tokenizer__vocab_size=80, **settings)
    dataset = load_dataset(config, Reporter())
    resolved = resolve_config(config, dataset)
    assert (resolved.train.batch_size, resolved.train.epochs) == (size, epochs)
    assert resolve_config(resolved, dataset) == resolved


@pytest.mark.parametrize(
    ("cell", "processes", "has_tiles", "precision"),
    [("sru", 1, True, "bf16"), ("sru", 1, False, "fp32"), ("gru", 1, True, "fp32"), ("sru", 2, True, "fp32")],
)
def test_auto_is_bf16_where_tiles_multiply(
    monkeypatch: pytest.MonkeyPatch, cell: str, processes: int, has_tiles: bool, precision: str
) -> None:
    monkeypatch.setattr("textrnn.training.model_setup.can_train", lambda dtype: has_tiles)
    config = make_config(model__cell=cell, train__precision="auto", train__device="cpu")
    assert resolve_precision(config, processes=processes).train.precision == precision
    chosen = make_config(model__cell=cell, train__precision="bf16")
    assert resolve_precision(chosen, processes=processes) == chosen


def test_a_slow_backend_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textrnn.training.model_setup.choose_backend", lambda *_, **__: "reference")
    for cell, reported in (("sru", True), ("gru", False)):
        config = Config.model_validate({"model": {"cell": cell}})
        line = describe_network(config, torch.nn.Linear(2, 2), device=torch.device("cpu"), group=ProcessGroup())
        assert ("SRU backend reference (slow; 'textrnn doctor'" in line) == reported


def test_the_n_gram_model_learns_the_training_set(rows: Path) -> None:
    dataset, recorder = load(rows), Recorder()
    table = fit_ngram_model(make_config(), dataset, recorder)
    assert table is not None
    batch = dataset.valid.select(np.arange(len(dataset.valid)))
    logits = table.forward(batch.ids, batch.offsets, Spelling.of(dataset.tokenizer))
    assert (logits.argmax(axis=1) == batch.classes).all()
    (note,) = recorder.notes
    assert note.startswith(f"n-grams: {len(table.keys):,} word and character n-grams, fitted in ")


def test_a_larger_penalty_gives_smaller_weights(rows: Path) -> None:
    dataset, sizes = load(rows), []
    for penalty in (0.01, 0.1, 1.0):
        table = fit_ngram_model(make_config(ngrams__penalty=penalty), dataset, Reporter())
        assert table is not None
        sizes.append(float(np.square(table.weight).sum()))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 2 * sizes[1] > 4 * sizes[2]


@pytest.mark.parametrize("share", [0, 0.25])
def test_a_given_share_is_kept_and_0_means_no_n_gram_model(share: float, rows: Path) -> None:
    outcome = train(make_config(data__train=str(rows), ngrams__share=share, **TINY), RUN)
    saved = load_model(RUN)
    assert (saved.ngrams is None, saved.ngram_share) == (share == 0, share)
    assert (outcome.best.network_loss == outcome.best.valid_loss) == (share == 0)


def test_texts_without_words_give_no_n_gram_model(rows: Path) -> None:
    """A tokenizer that keeps spaces makes pieces of them, but there are no n-grams."""
    keeping = {"remove_extra_whitespaces": False, "normalization_rule_name": "identity", "num_threads": 1}
    tokenizer = train_tokenizer([b"a  b   c"] * 20, hard_vocab_limit=False, options=keeping).tokenizer
    Path("words.model").write_bytes(tokenizer.model)
    rows.write_text("".join(f"{'ab'[i % 2]}\t{' ' * (1 + i)}\n" for i in range(40)), encoding="utf-8")
    values = {**TINY, "tokenizer__vocab_size": 4000, "tokenizer__model": "words.model", "data__valid": str(rows)}
    recorder = Recorder()
    train(make_config(data__train=str(rows), **values), RUN, reporter=recorder)
    assert not any("n-grams" in note for note in recorder.notes)
    saved = load_model(RUN)
    assert (saved.ngrams, saved.ngram_share) == (None, 0.0)
    assert len(Engine(saved).predict(["a b", " "])) == 2


def test_class_weights_count_in_the_n_gram_model(rows: Path) -> None:
    dataset, differences = load(rows), []
    for weight in (1.0, 50.0):
        table = fit_ngram_model(make_config(train__class_weights={"tea": weight}), dataset, Reporter())
        assert table is not None
        differences.append(table.bias[dataset.labels.index("tea")] - table.bias[dataset.labels.index("coffee")])
    assert differences[1] > differences[0] + 0.3
    with pytest.raises(ConfigError, match="milk"):
        fit_ngram_model(make_config(train__class_weights={"milk": 2.0}), dataset, Reporter())


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_saved_model_has_the_validated_accuracy_and_loss(multi_label: bool, rows: Path) -> None:
    (write_sets if multi_label else write_rows)(rows, 200)
    valid = write_sets(Path("valid.tsv"), 60, seed=2) if multi_label else write_rows(Path("valid.tsv"), 30)
    more = MULTI_LABEL if multi_label else {}
    best = train(make_config(data__train=str(rows), data__valid=str(valid), **TINY, **more), RUN).best
    model = load_model(RUN)
    assert model.ngrams is not None
    assert 0 < model.ngram_share <= 1
    engine = Engine(model)
    pairs = [line.split("\t", 1) for line in valid.read_text(encoding="utf-8").splitlines()]
    log_probabilities = engine.predict_log_probabilities([text for _, text in pairs])
    if multi_label:
        true = np.array([[label in joined.split("|") for label in model.labels] for joined, _ in pairs])
        losses = -np.where(true, log_probabilities, np.log1p(-np.exp(log_probabilities))).sum(axis=1)
        correct = (engine.assign_labels(log_probabilities) == true).all(axis=1)
    else:
        classes = [model.labels.index(label) for label, _ in pairs]
        losses = -log_probabilities[np.arange(len(pairs)), classes]
        correct = log_probabilities.argmax(axis=1) == classes
    assert best.accuracy == pytest.approx(float(correct.mean()))
    assert best.valid_loss == pytest.approx(float(losses.mean()), rel=1e-4)


@pytest.mark.parametrize("penalty", [0.1, 1e3, 1e6])
def test_n_grams_never_make_the_model_worse(penalty: float, rows: Path) -> None:
    """A large penalty makes their logits tiny, which their temperature undoes."""
    write_sets(rows, 200, doubt=0.2)
    valid = write_sets(Path("valid.tsv"), 80, seed=2, doubt=0.2)
    values = {"data__valid": str(valid), "ngrams__penalty": penalty, **MULTI_LABEL, **TINY}
    outcome = train(make_config(data__train=str(rows), **values), RUN)
    assert outcome.best.valid_loss <= outcome.best.network_loss + 1e-6
    assert 0.05 < load_model(RUN).temperature <= 20
