"""A training run: it learns, saves the best model, reports its decisions, and can be resumed exactly."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from samples import TOPICS, Recorder, read_metrics, small_config, small_multi_label_config, write_rows, write_sets
from textrnn.config import Config, dump_yaml, load_config
from textrnn.data.labels import split_labels
from textrnn.data.reading.examples import read_examples
from textrnn.errors import BackendError, ConfigError, DataError, ModelError, StoppedError
from textrnn.evaluation.multi_label import evaluate_multi_label
from textrnn.inference.engine import Engine
from textrnn.models.calibration import PENALTY, fit_temperature
from textrnn.ops.sru.backends import choose_backend
from textrnn.reporter import Plan
from textrnn.serialization.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from textrnn.serialization.latest_run import CHECKPOINT_NAME, find_latest
from textrnn.serialization.model_file import SavedModel, load_model
from textrnn.serialization.refit import make_refit_config
from textrnn.training.schedule import rate_factor
from textrnn.training.train import resume, train

LABELS = tuple(sorted(TOPICS))
RUN = Path("run")


def stop(config: Config, step: int, folder: Path = RUN) -> None:
    with pytest.raises(StoppedError):
        train(config, folder, reporter=Recorder(step), overwrite=True)


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
def test_training_learns_and_saves_the_best_model(cell: str, rows: Path) -> None:
    recorder = Recorder()
    # without n-grams, which would learn these texts alone
    config = small_config(rows, model__cell=cell, train__epochs=8, ngrams__share=0)
    outcome = train(config, RUN, reporter=recorder)
    assert outcome.best.accuracy == 1.0
    assert outcome.best.loss < recorder.records[0].loss
    assert outcome.best.valid_loss < recorder.records[0].valid_loss
    assert recorder.plan == Plan(epochs=8, steps=72, metric="loss")
    assert recorder.steps == 9 * len(recorder.records)
    assert recorder.closed == 1
    labels = [predictions[0].label for predictions in Engine.load(RUN).predict(["green tea", "black coffee"])]
    assert labels == ["tea", "coffee"]
    parameters = sum(weights.size for weights in load_model(RUN).weights.values())
    assert any(f" {parameters:,} parameters" in note for note in recorder.notes)


def export(model: SavedModel) -> list[object]:
    """Return everything that training decides about a model."""
    assert model.ngrams is not None
    tables = [getattr(model.ngrams, name).tobytes() for name in ("keys", "idf", "weight", "bias")]
    weights = {name: value.tobytes() for name, value in model.weights.items()}
    return [model.labels, model.thresholds, model.temperature, model.ngram_share, tables, weights]


def test_the_seed_determines_the_model(rows: Path) -> None:
    models = []
    for name, seed in (("a", 42), ("b", 42), ("c", 1)):
        train(small_config(rows, train__epochs=1, train__seed=seed), Path(name))
        models.append(export(load_model(Path(name))))
    assert models[0] == models[1] != models[2]


def test_notes_report_what_was_decided_for_the_user(rows: Path) -> None:
    recorder = Recorder()
    train(small_config(rows, train__epochs=1), RUN, reporter=recorder)
    text = "\n".join(recorder.notes)
    assert "no validation set given: 4 of 40 texts held out (seed 42)" in text
    assert "only 4 validation texts: model selection and calibration are unreliable" in text
    assert "unigram pieces, trained on the training set" in text
    assert "2 labels (coffee 18, tea 18)" in text
    assert "2 bidirectional SRU layers, hidden size 8, embedding size 16" in text
    assert f"SRU backend {choose_backend('auto')}" in text


def test_a_label_that_only_the_validation_set_has_counts_as_wrong(rows: Path) -> None:
    Path("valid.tsv").write_text("tea\tgreen tea\nwater\tcold water\n")
    recorder = Recorder()
    outcome = train(small_config(rows, data__valid="valid.tsv", train__epochs=8), RUN, reporter=recorder)
    assert any("valid.tsv:2: label 'water'" in note for note in recorder.notes)
    assert outcome.best.accuracy == 0.5


def test_an_earlier_run_is_moved_or_replaced(rows: Path) -> None:
    recorder = Recorder()
    train(small_config(rows, train__epochs=1), RUN)
    first = (RUN / "model.safetensors").read_bytes()
    train(small_config(rows, train__epochs=1, train__seed=1), RUN, reporter=recorder)
    assert "moved the earlier run in run to run.1" in recorder.notes
    assert Path("run.1/model.safetensors").read_bytes() == first
    train(small_config(rows, train__epochs=1), RUN, overwrite=True)
    assert (RUN / "model.safetensors").read_bytes() == first
    assert not Path("run.2").exists()


def test_faults_are_raised_before_anything_is_written(rows: Path) -> None:
    recorder = Recorder()
    with pytest.raises(BackendError, match="cuda:7"):
        train(small_config(rows, train__device="cuda:7"), RUN, reporter=recorder)
    with pytest.raises(ConfigError, match="--out"):
        train(small_config(rows), rows)
    Path("other").mkdir()
    Path("other/thesis.txt").touch()
    with pytest.raises(ConfigError, match=r"thesis\.txt"):
        train(small_config(rows), Path("other"))
    with pytest.raises(DataError, match=r"gone\.tsv"):
        train(small_config("gone.tsv"), RUN)
    with pytest.raises(ConfigError, match=r"train.accumulate 5: more parts than the 4 texts"):
        train(small_config(rows, train__accumulate=5), RUN)
    assert recorder.closed == 1
    assert sorted(path.name for path in Path().iterdir()) == ["other", "rows.tsv"]


def test_a_run_that_stops_before_its_first_step_saves_nothing(rows: Path) -> None:
    class Early(Recorder):
        def note(self, message: str) -> None:
            super().note(message)
            if message.startswith("model: "):
                os.kill(os.getpid(), signal.SIGINT)

    recorder = Early()
    with pytest.raises(KeyboardInterrupt):
        train(small_config(rows), RUN, reporter=recorder)
    assert recorder.notes[-1] == "no model was saved"
    assert not RUN.exists()


def configure_single(cell: str) -> Config:
    write_rows(Path("rows.tsv"))
    return small_config("rows.tsv", model__cell=cell, model__dropout=0.3, train__patience=2)


def configure_multi(cell: str) -> Config:
    write_sets(Path("sets.tsv"))
    return small_multi_label_config("sets.tsv", model__cell=cell, train__epochs=4, train__lr=0.005)


@pytest.mark.parametrize(
    ("configure", "cell", "steps"),
    [
        *((configure_single, cell, steps) for cell in ("sru", "gru") for steps in ((1,), (9, 1, 12), (20,), (27, 5))),
        *((configure_multi, "sru", steps) for steps in ((1,), (23, 1, 25), (69,))),
    ],
)
def test_a_resumed_run_ends_like_an_uninterrupted_one(
    configure: Callable[[str], Config], cell: str, steps: tuple[int, ...], rows: Path
) -> None:
    config, folder = configure(cell), Path("parts")
    whole = train(config, Path("whole"))
    with pytest.raises(StoppedError, match="resume with: textrnn train --resume parts") as stopped:
        train(config, folder, reporter=Recorder(steps[0]))
    assert stopped.value.number == signal.SIGTERM
    for step in steps[1:]:
        with pytest.raises(StoppedError, match="--resume parts"):
            resume(folder, reporter=Recorder(step, signal.SIGINT))
    parts = resume(folder)
    for name in ("model.safetensors", "config.yaml"):
        assert (folder / name).read_bytes() == Path("whole", name).read_bytes()
    assert parts.best.epoch == whole.best.epoch
    assert load_model(folder).ngrams is not None
    metrics = [read_metrics(name) for name in ("parts", "whole")]
    for record in (*metrics[0], *metrics[1]):
        del record["seconds"], record["tokens_per_second"]
    assert metrics[0] == metrics[1]
    with pytest.raises(ModelError, match=f"contains no {CHECKPOINT_NAME}: the run is finished"):
        resume(folder)


@pytest.mark.parametrize(("configure", "batches"), [(configure_single, 10), (configure_multi, 25)])
def test_a_final_model_is_trained_on_all_texts_to_the_place_of_the_best_epoch(
    configure: Callable[[str], Config], batches: int, rows: Path
) -> None:
    origin = train(configure("sru"), RUN)
    epochs, best = origin.config.train.epochs or 0, origin.best.epoch
    recorder, config = Recorder(), make_refit_config(RUN, [])
    outcome = train(config, Path("final"), reporter=recorder)
    assert recorder.plan == Plan(epochs=best, steps=best * batches, metric=config.train.metric)
    assert any("all 40 texts" in note or "all 200 texts" in note for note in recorder.notes)
    expected = rate_factor(best * batches, steps=epochs * batches, warmup=config.train.warmup)
    assert outcome.best.lr == pytest.approx(config.train.lr * expected)
    assert (Path("final/config.yaml").read_text(), find_latest()) == (dump_yaml(config), Path("final"))
    models = [load_model(folder) for folder in (RUN, Path("final"))]
    taken = [[model.temperature, model.ngram_share, model.ngram_scale, *(model.thresholds or ())] for model in models]
    assert taken[1] == pytest.approx(taken[0])
    assert export(models[0])[4:] != export(models[1])[4:]
    records = read_metrics(Path("final"))
    assert [record["best"] for record in records] == [False] * (best - 1) + [True]
    assert all(
        record.keys() == {"epoch", "step", "loss", "lr", "seconds", "tokens_per_second", "best"} for record in records
    )


@pytest.mark.parametrize("steps", [(1,), (14, 3)])
def test_a_final_model_is_resumed_without_the_run_that_it_comes_from(steps: tuple[int, ...], rows: Path) -> None:
    train(small_config(rows, ngrams__share=0), RUN)  # without n-grams the best epoch is late
    config = make_refit_config(RUN, [])
    train(config, Path("whole"))
    stop(config, steps[0], Path("parts"))
    shutil.rmtree(RUN)
    for step in steps[1:]:
        with pytest.raises(StoppedError):
            resume(Path("parts"), reporter=Recorder(step))
    assert not Path("parts/model.safetensors").exists()
    resume(Path("parts"))
    for name in ("model.safetensors", "config.yaml"):
        assert Path("parts", name).read_bytes() == Path("whole", name).read_bytes()
    assert len(read_metrics("parts")) == len(read_metrics("whole"))


def test_an_earlier_model_is_gone_while_a_final_model_replaces_it(rows: Path) -> None:
    train(small_config(rows), RUN)
    train(small_config(rows), Path("old"))
    stop(make_refit_config(RUN, []), 3, Path("old"))
    with pytest.raises(ModelError, match="training stopped before the first model was saved"):
        load_model(Path("old"))


def test_changed_data_are_refused(rows: Path) -> None:
    stop(small_config(rows), 3)
    write_rows(rows, 42)
    with pytest.raises(ModelError, match="have changed"):
        resume(RUN)
    assert (RUN / CHECKPOINT_NAME).exists()


def test_a_restart_resumes_only_its_own_run(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    settings = {"train__batch_size": None, "train__epochs": None, "train__max_steps": 12}
    config = small_config(rows, **settings)
    for other, steps in ((config, 3), (small_config(rows, **settings, train__lr=0.05), 0)):
        stop(config, 3)
        recorder = Recorder()
        train(other, RUN, reporter=recorder)
        assert recorder.plan is not None
        assert recorder.plan.done == steps
        assert load_config(RUN / "config.yaml").train.lr == other.train.lr


def test_a_damaged_checkpoint_is_refused_and_nothing_changes(rows: Path) -> None:
    stop(small_config(rows), 12)
    path, metrics = RUN / CHECKPOINT_NAME, read_metrics(RUN)
    whole = read_checkpoint(path)
    without = {name: value for name, value in whole.tensors.items() if name != "model.head.bias"}
    for tensors, state in (
        (whole.tensors, {**whole.state, "progress": {}}),
        (whole.tensors, {**whole.state, "config": {"train": {"lr": "high"}}}),
        (without, whole.state),
    ):
        write_checkpoint(path, Checkpoint(tensors, state))
        with pytest.raises(ModelError, match=f"{CHECKPOINT_NAME}: not a checkpoint, damaged, or of another version"):
            resume(RUN)
        assert read_metrics(RUN) == metrics


def test_other_files_in_the_folder_survive_a_resume(rows: Path) -> None:
    stop(small_config(rows), 3)
    (RUN / "notes.txt").write_text("mine")
    resume(RUN)
    assert (RUN / "notes.txt").read_text() == "mine"


def test_the_later_of_two_processes_that_resume_a_run_keeps_it(rows: Path) -> None:
    stop(small_config(rows), 3)

    class Overtaken(Recorder):
        def step(self, epoch: int, loss: float, tokens_per_second: float) -> None:
            super().step(epoch, loss, tokens_per_second)
            if self.steps == 2:
                resume(RUN)

    with pytest.raises(ConfigError, match="another run is writing to this folder"):
        resume(RUN, reporter=Overtaken())


@pytest.mark.parametrize("configure", [configure_single, configure_multi])
def test_bf16_learns_and_fp16_needs_a_gpu(configure: Callable[[str], Config], rows: Path) -> None:
    values = configure("sru").model_dump()
    values["train"] |= {"precision": "bf16", "epochs": 10, "lr": 0.02, "patience": 10}
    values["ngrams"]["share"] = 0
    assert train(Config.model_validate(values), RUN).best.micro_f1 > 0.9
    values["train"]["precision"] = "fp16"
    with pytest.raises(BackendError, match="fp16"):
        train(Config.model_validate(values), Path("other"))


def test_a_compiled_network_learns_the_same(rows: Path) -> None:
    losses = []
    for compiled in (False, True):
        recorder = Recorder()
        config = small_config(
            rows, model__dropout=0.0, train__compile=compiled, train__epochs=2, train__precision="fp32"
        )
        train(config, Path(f"run{compiled}"), reporter=recorder)
        losses.append([record.loss for record in recorder.records])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


RECIPES: dict[str, dict[str, object]] = {
    "alpha": {"tokenizer__alpha": 0.2},
    "bpe": {"tokenizer__alpha": 0.1, "tokenizer__model_type": "bpe"},
    "ema": {"train__ema": 0.5},
    "no-ema": {"train__ema": 0.0},
    "r-drop": {"train__r_drop": 5.0},
    "no-r-drop": {"train__r_drop": 0.0},
    "dropout": {"train__word_dropout": 0.1, "train__embedding_dropout": 0.1, "model__variational_dropout": False},
    "max+mean": {"model__pooling": "max+mean"},
    "loss": {"train__class_weights": "balanced", "train__focal_gamma": 1.0, "train__label_smoothing": 0.1},
    "one-cycle": {"train__schedule": "one-cycle", "train__warmup": 0.3},
}


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_learns_changes_the_model_and_resumes_exactly(name: str, rows: Path) -> None:
    base = {"train__epochs": 6, "ngrams__share": 0}
    config = small_config(rows, **base, **RECIPES[name])
    assert train(config, Path("whole")).best.accuracy > 0.9
    train(small_config(rows, **base, tokenizer__model_type=config.tokenizer.model_type), Path("plain"))
    stop(config, 14, Path("parts"))
    resume(Path("parts"))
    whole, parts, plain = (load_model(Path(run)) for run in ("whole", "parts", "plain"))
    assert all((whole.weights[key] == parts.weights[key]).all() for key in whole.weights)
    assert whole.temperature == parts.temperature
    assert not all((whole.weights[key] == plain.weights[key]).all() for key in whole.weights)


def read_sets(path: Path) -> tuple[np.ndarray, list[str]]:  # type: ignore[type-arg]
    examples = read_examples(str(path), small_multi_label_config(path).data)
    true = np.array([[label in split_labels(example.label) for label in LABELS] for example in examples])
    return true, [example.text for example in examples]


@pytest.mark.parametrize("cell", ["sru", "gru", "lstm"])
def test_a_multi_label_model_learns_and_reports_the_scores_of_scikit_learn(cell: str, rows: Path) -> None:
    train_set, valid = write_sets(rows, 300), write_sets(Path("valid.tsv"), 100, seed=2)
    recorder = Recorder()
    config = small_multi_label_config(train_set, data__valid=str(valid), model__cell=cell, ngrams__share=0)
    best = train(config, RUN, reporter=recorder).best
    assert best.micro_f1 > 0.95
    assert best.loss < recorder.records[0].loss
    assert max(record.micro_f1 for record in recorder.records) == best.micro_f1  # the default metric
    true, texts = read_sets(valid)
    engine = Engine.load(RUN)
    labels = [{prediction.label for prediction in row} for row in engine.predict(texts)]
    predicted = np.array([[label in row for label in LABELS] for row in labels])
    for average in ("micro", "macro", "weighted"):
        assert getattr(best, f"{average}_f1") == pytest.approx(f1_score(true, predicted, average=average))
    assert best.accuracy == pytest.approx(accuracy_score(true, predicted))
    evaluation = evaluate_multi_label(engine, read_examples(str(valid), config.data))
    assert evaluation.micro_f1 == pytest.approx(best.micro_f1)
    assert evaluation.loss == pytest.approx(best.valid_loss, abs=1e-5)
    assert evaluation.loss < evaluation.loss_uncalibrated
    temperature = fit_temperature(engine.predict_logits(texts), true, penalty=PENALTY)
    assert engine.temperature == pytest.approx(temperature, rel=1e-4)


@pytest.mark.parametrize("cell", ["sru", "gru"])
def test_tuned_thresholds_beat_one_half_for_rare_labels(cell: str, rows: Path) -> None:
    write_sets(rows, 600, doubt=0.6)  # no label is more probable than 0.4
    valid, test = (write_sets(Path(f"{n}.tsv"), 300, seed=n, doubt=0.6) for n in (2, 3))
    config = small_multi_label_config(rows, data__valid=str(valid), model__cell=cell, train__epochs=4)
    train(config, RUN)
    engine, examples = Engine.load(RUN), read_examples(str(test), config.data)
    tuned, half = evaluate_multi_label(engine, examples), evaluate_multi_label(engine, examples, threshold=0.5)
    assert tuned.micro_f1 > half.micro_f1 + 0.1
    assert tuned.macro_f1 > half.macro_f1 + 0.1


def test_fasttext_labels_give_the_same_model(rows: Path) -> None:
    models = []
    for name, separator in (("rows.tsv", "|"), ("rows.txt", None)):
        write_sets(Path(name))
        train(small_multi_label_config(name, data__label_separator=separator, train__epochs=1), Path(f"run-{name}"))
        models.append(export(load_model(Path(f"run-{name}"))))
    assert models[0] == models[1]


def test_texts_may_have_one_label_or_none(rows: Path) -> None:
    lines = [line.split("\t") for line in write_sets(rows).read_text().splitlines()]
    rows.write_text("".join(f"{'refund' if 'refund' in labels else ''}\t{text}\n" for labels, text in lines))
    outcome = train(small_multi_label_config(rows, data__label_separator=None), RUN)
    assert outcome.best.micro_f1 > 0.9
    predictions = Engine.load(RUN).predict(["please refund the difference, again", "lovely shop, again"])
    assert [[p.label for p in labels] for labels in predictions] == [["refund"], []]
