"""Training, validation and prediction on a CUDA device that is not there: devices, copies and launches.

Tensors on it have shapes, dtypes and devices, but no values (``fake_cuda``). A tensor on the wrong device, a number
that the host reads and a copy that the host waits for are errors there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fake_cuda import CUDA, FakeCuda, fake_cuda
from samples import SENTENCES, Recorder, make_config, make_model, small_config
from textrnn.data.batch import PackedBatch
from textrnn.data.labels import MultiLabelSet
from textrnn.inference.engine import Engine
from textrnn.models.classifier import Classifier
from textrnn.models.torch_network import TorchNetwork
from textrnn.preparation.dataset import load_dataset
from textrnn.preparation.pretrained_vectors import FrozenRows
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.training.callbacks import Callbacks
from textrnn.training.distributed import ProcessGroup
from textrnn.training.loss import TextLoss
from textrnn.training.model_setup import resolve_config
from textrnn.training.train_step import TrainStep
from textrnn.training.trainer import Trainer

pytest.importorskip("triton")
CELLS = pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
V, C, B = 300, 6, 12
MOST_LAUNCHES = 60  # of a step with default settings


@pytest.fixture
def cuda() -> Iterator[FakeCuda]:
    """A CUDA device, pretended."""
    with fake_cuda() as mode:
        yield mode


def make_step(*, sets: MultiLabelSet | None = None, frozen: FrozenRows | None = None, **settings: object) -> TrainStep:
    config = make_config(**{"train__precision": "fp32"} | settings)
    counts = {"labels": [str(i) for i in range(C)], "counts": [B] * C, "texts": None if sets is None else B}
    with CUDA:
        model = Classifier(V, C, **config.model.model_dump())
    options = {"device": CUDA, "group": ProcessGroup(), "frozen": frozen, "sets": sets}
    return TrainStep(model, config.train, loss=TextLoss(config.train, **counts), **options)


def make_batch(number: int) -> PackedBatch:
    rng = np.random.default_rng(number)
    offsets = np.append(0, rng.integers(1, 6, B).cumsum())
    return PackedBatch(rng.integers(0, V, offsets[-1]).astype(np.int32), offsets, np.arange(B) % C)


def take_steps(cuda: FakeCuda, step: TrainStep, *, steps: int = 2) -> None:
    """Take some steps, and check that each copies once to the device and once, without waiting, its loss back."""
    cuda.strict = True
    for number in range(steps):
        cuda.launches.clear()
        cuda.sent, cuda.read = 0, []
        step.start(make_batch(number), lr=0.001)
        assert (cuda.sent, cuda.read) == (1, [()])


@CELLS
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_step_copies_once_each_way_and_waits_for_nothing(cuda: FakeCuda, cell: str, precision: str) -> None:
    step = make_step(model__cell=cell, train__precision=precision)
    take_steps(cuda, step)
    assert step.optimizer.steps == 2


def test_a_step_with_default_settings_launches_few_kernels(cuda: FakeCuda) -> None:
    take_steps(cuda, make_step())
    assert cuda.launches["sru_forward"] == 2
    assert sum(cuda.launches.values()) < MOST_LAUNCHES, cuda.launches


SETTINGS = {
    "no R-Drop": {"train__r_drop": 0.0},
    "no average": {"train__ema": 0.0},
    "parts": {"train__accumulate": 3},
    "focal loss": {"train__focal_gamma": 2.0, "train__class_weights": "balanced"},
    "smoothing": {"train__label_smoothing": 0.1},
    "embedding dropout": {"train__embedding_dropout": 0.2},
    "no norm": {"model__layer_norm": False},
    "entries": {"model__variational_dropout": False},
    "no dropout": {"model__dropout": 0.0},
    "widths": {"model__embedding": 100, "model__bidirectional": False},
    "max": {"model__pooling": "max+mean"},
    "last": {"model__pooling": "last"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_other_settings(cuda: FakeCuda, name: str) -> None:
    take_steps(cuda, make_step(**SETTINGS[name]))


def test_labels_of_several_kinds_and_frozen_rows(cuda: FakeCuda) -> None:
    sets = MultiLabelSet.of([[i for i in range(C) if number >> i & 1] for number in range(C)], C)
    vectors = SimpleNamespace(pieces=np.arange(0, V, 3), width=256)
    frozen = FrozenRows(vectors, V, CUDA)  # type: ignore[arg-type]
    take_steps(cuda, make_step(sets=sets, frozen=frozen))


@CELLS
def test_prediction_copies_once_each_way_for_a_batch(cuda: FakeCuda, tokenizer: Tokenizer, cell: str) -> None:
    model = make_model(tokenizer, make_config(model__cell=cell, model__hidden=8))
    network = TorchNetwork(model, "cuda")
    cuda.sent, cuda.read = 0, []
    logits = Engine(model, network).predict_logits(SENTENCES)
    assert logits.shape == (len(SENTENCES), len(model.labels))
    assert (cuda.sent, cuda.read) == (1, [logits.shape])


@CELLS
@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")  # by a copy of the network
def test_a_whole_run(cuda: FakeCuda, rows: Path, cell: str) -> None:
    settings = {"train__epochs": 2, "train__batch_size": 40, "train__device": "cuda", "train__precision": "fp32"}
    asked = small_config(rows, model__cell=cell, **settings)
    dataset = load_dataset(asked, Recorder())
    config = resolve_config(asked, dataset)
    with CUDA:
        model = Classifier(len(dataset.tokenizer), len(dataset.labels), **config.model.model_dump())
    recorder = Recorder()
    callbacks = Callbacks(config, recorder)
    trainer = Trainer(config, dataset, asked=asked, callbacks=callbacks, model=model, device=CUDA)
    best = trainer.fit()
    assert best.epoch == 1  # every loss that is read is 0
    assert len(recorder.records) == 2
    assert trainer.state.texts == len(dataset.train)
    assert trainer.snapshot().weights["head.weight"].shape == model.head.weight.shape
