"""The estimator within scikit-learn: its tools, kinds of classes, and errors."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from command import run_command
from samples import write_rows
from textrnn.serialization.model_file import load_model
from textrnn.sklearn import TextRNNClassifier, TextRNNRegressor

TEXTS = [f"{('green tea', 'black coffee', 'still water')[i % 3]} for {i} people" for i in range(120)]
NAMES = np.array([("tea", "coffee", "water")[i % 3] for i in range(120)])
SMALL: dict[str, Any] = {"hidden": 8, "embedding": 8, "layers": 1, "epochs": 1, "random_state": 3}


def make(**options: Any) -> TextRNNClassifier:
    return TextRNNClassifier(**SMALL | options, settings={"train__batch_size": 16, "tokenizer__vocab_size": 60})


@pytest.fixture(scope="module")
def fitted() -> TextRNNClassifier:
    return make().fit(TEXTS, NAMES)


@parametrize_with_checks([TextRNNClassifier()])
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    """Those for arrays of numbers do not apply: the tags say that X holds texts."""
    check(estimator)


@pytest.mark.parametrize("y", [NAMES, NAMES.tolist(), np.arange(120) % 3 + 9, np.arange(120) % 3 == 0], ids=type)
def test_classes_of_any_kind(y: npt.NDArray[Any] | list[str]) -> None:
    model = make().fit(TEXTS, y)
    classes = np.unique(np.asarray(y))
    np.testing.assert_array_equal(model.classes_, classes)
    assert model.score(TEXTS, y) > 0.9
    p = model.predict_proba(TEXTS)
    assert p.shape == (120, len(classes))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    predicted = model.predict(np.array(TEXTS))
    assert predicted.dtype == classes.dtype
    np.testing.assert_array_equal(predicted, classes[p.argmax(axis=1)])
    scores = model.decision_function(TEXTS)
    best = scores.argmax(axis=1) if scores.ndim == 2 else (scores > 0).astype(int)
    np.testing.assert_array_equal(classes[best], predicted)


def test_a_binary_matrix_has_several_labels() -> None:
    y = np.stack([np.arange(120) % 3 == 0, np.arange(120) % 2 == 0, np.zeros(120, bool)], axis=1).astype(int)
    model = make().fit(TEXTS, y)
    assert model.predict(TEXTS).shape == model.predict_proba(TEXTS).shape == model.decision_function(TEXTS).shape
    assert (model.predict(TEXTS)[:, 0] == y[:, 0]).mean() > 0.9
    assert not model.predict(TEXTS)[:, 2].any()  # no text has the label


def test_the_command_trains_the_same_model(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.tsv")
    rows = [line.split("\t", 1) for line in (tmp_path / "rows.tsv").read_text(encoding="utf-8").splitlines()]
    texts, labels = [text for _, text in rows], [label for label, _ in rows]
    make().fit(texts, labels, valid=(texts, labels)).model_.save(tmp_path / "own.safetensors")
    keys = ("model.embedding=8", "model.layers=1", "train.seed=3", "train.batch_size=16", "train.report=false")
    sets = [word for key in (*keys, "tokenizer.vocab_size=60") for word in ("--set", key)]
    files = ("--train", "rows.tsv", "--valid", "rows.tsv", "--out", "run")
    done = run_command("train", "--hidden", "8", "--epochs", "1", *files, *sets, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    found, expected = load_model(tmp_path / "own.safetensors"), load_model(tmp_path / "run")
    assert {name: w.tobytes() for name, w in found.weights.items()} == {
        name: w.tobytes() for name, w in expected.weights.items()
    }
    assert (found.temperature, found.ngram_share) == (expected.temperature, expected.ngram_share)


def test_a_clone_has_the_same_parameters(fitted: TextRNNClassifier) -> None:
    copy = clone(fitted).set_params(hidden=4)
    assert fitted.get_params() | {"hidden": 4} == copy.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(TEXTS)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(TEXTS), fitted.predict_proba(TEXTS))


def test_tools_of_scikit_learn() -> None:
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    assert cross_val_score(make_pipeline(lower, make()), TEXTS, NAMES, cv=2).min() > 0.8
    search = GridSearchCV(make(), {"hidden": [4, 8]}, cv=2).fit(TEXTS, NAMES)
    assert search.best_params_["hidden"] in (4, 8)
    assert CalibratedClassifierCV(make(), cv=2).fit(TEXTS, NAMES).score(TEXTS, NAMES) > 0.8
    linear = make_pipeline(TfidfVectorizer(), LogisticRegression())
    voting = VotingClassifier([("rnn", make()), ("linear", linear)], voting="soft").fit(TEXTS, NAMES)
    assert voting.score(TEXTS, NAMES) > 0.8


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_columns_of_tables(fitted: TextRNNClassifier, kind: str) -> None:
    tables = pytest.importorskip(kind)
    column = tables.Series(TEXTS)
    np.testing.assert_array_equal(fitted.predict(column), fitted.predict(TEXTS))
    with pytest.raises(TypeError, match="texts should be one column"):
        fitted.predict(tables.DataFrame({"a": TEXTS, "b": TEXTS}))
    with pytest.raises(TypeError, match=r"texts\[1\] should be a str, not (None|nan) \(1 of 2 texts\)"):
        fitted.predict(tables.Series(["a", None]))


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        (TEXTS, NAMES[:5], ValueError, "5 labels for 120 texts: give one for each"),
        (TEXTS, ["tea"] * 120, ValueError, r"y has a single class, \['tea'\]: a classifier needs two"),
        ([1.0] * 120, NAMES, TypeError, r"texts\[0\] should be a str, not 1.0 \(120 of 120 texts\)"),
        ("tea", ["a"], TypeError, "texts should be a list of str, not one str"),
        (TEXTS, None, ValueError, "requires y to be passed"),
        (TEXTS, [*NAMES[:7], None, *NAMES[8:]], ValueError, r"y\[7\] is missing \(1 of 120 classes\)"),
        (TEXTS, [*NAMES[:7], np.nan, np.nan, *NAMES[9:]], ValueError, r"y\[7\] is missing \(2 of 120 classes\)"),
        (TEXTS, np.where(np.arange(120) == 5, np.nan, np.arange(120) % 2), ValueError, r"y\[5\] is missing"),
        (TEXTS, [["tea"], ["tea", "coffee"]] * 60, ValueError, "make a binary matrix by MultiLabelBinarizer"),
        (np.array(TEXTS)[:, None], NAMES, TypeError, r"one column of str, not an array of shape \(120, 1\)"),
        (TEXTS, np.full((120, 2), 2), ValueError, "y is a matrix, but not of zeros and ones"),
    ],
)
def test_faults(X: Any, y: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make().fit(X, y)


def test_a_column_of_classes_with_gaps() -> None:
    pandas = pytest.importorskip("pandas")
    for y in (pandas.Series(NAMES, dtype="string"), pandas.Series(NAMES, dtype=object)):
        y[[3, 8]] = None
        with pytest.raises(ValueError, match=r"y\[3\] is missing \(2 of 120 classes\); leave out the texts"):
            make().fit(TEXTS, y)


def test_an_unseen_class_counts_as_wrong(fitted: TextRNNClassifier) -> None:
    assert fitted.score(TEXTS[:2], ["tea", "wine"]) == 0.5


def test_a_regressor_predicts_numbers() -> None:
    numbers = np.array([(1.5, 4.0, 9.0)[i % 3] for i in range(120)])
    settings = {"train__batch_size": 16, "tokenizer__vocab_size": 60}
    regressor = TextRNNRegressor(**SMALL | {"epochs": 3, "lr": 0.02}, settings=settings)
    with pytest.raises(NotFittedError):
        regressor.predict(TEXTS)
    found = clone(regressor).fit(TEXTS, numbers).predict(TEXTS)
    assert np.abs(found - numbers).mean() < 1
    with pytest.raises(ValueError, match="requires y"):
        regressor.fit(TEXTS, None)
    with pytest.raises(ValueError, match="data__target follows"):
        TextRNNClassifier(settings={"data__target": "score"}).fit(TEXTS, NAMES)
