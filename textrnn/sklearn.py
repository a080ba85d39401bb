"""Estimators of scikit-learn: ``from textrnn.sklearn import TextRNNClassifier, TextRNNRegressor``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, column_or_1d

from textrnn.api import Model, train
from textrnn.api.labelled_texts import check_texts, is_missing
from textrnn.data.labels import is_label
from textrnn.errors import pluralize

_KEYS = {
    **{"cell": "model__cell", "hidden": "model__hidden", "layers": "model__layers", "embedding": "model__embedding"},
    **{"dropout": "model__dropout", "epochs": "train__epochs", "lr": "train__lr", "random_state": "train__seed"},
}


class _TextRNN(BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """The parameters of both estimators."""

    target = "label"

    def __init__(
        self,
        *,
        cell: str | None = None,
        hidden: int | None = None,
        layers: int | None = None,
        embedding: int | None = None,
        dropout: float | None = None,
        epochs: int | None = None,
        lr: float | None = None,
        random_state: int | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.cell, self.hidden, self.layers, self.embedding = cell, hidden, layers, embedding
        self.dropout, self.epochs, self.lr, self.random_state = dropout, epochs, lr, random_state
        self.settings = settings

    def __sklearn_tags__(self) -> Any:
        """Return the tags: X is a list of texts."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.one_d_array, tags.input_tags.two_d_array = True, True, False
        return tags

    def _make_settings(self) -> dict[str, Any]:
        """Return the keys of the config; raises ValueError if one is given twice, or the target is another."""
        given = {key: getattr(self, name) for name, key in _KEYS.items() if getattr(self, name) is not None}
        own = dict(self.settings or {})
        if twice := sorted(given.keys() & own.keys()):
            raise ValueError(f"settings: {twice[0]} is a parameter too; give one of them")
        if own.get("data__target", self.target) != self.target:
            raise ValueError("settings: data__target follows from the estimator: TextRNNClassifier or TextRNNRegressor")
        return given | own | ({"data__target": self.target} if self.target != "label" else {})


class TextRNNClassifier(ClassifierMixin, _TextRNN):  # type: ignore[misc]
    """Text classification by textrnn; X are texts, y a class for each, or a binary matrix of several labels.

    Parameters set the keys of the config that they are named after; None is the default of the command. ``settings``
    has others, with two underscores instead of the dot: ``{"train__batch_size": 32}``.

    Attributes:
        classes_: the classes (C,), sorted, with those of an initial model (``train__init``) that y lacks; of a binary
            matrix its columns, 0 to C - 1.
        model_: the trained :class:`textrnn.Model`.
    """

    def fit(
        self, X: Iterable[str], y: Any, sample_weight: Any = None, *, valid: tuple[Iterable[str], Any] | None = None
    ) -> TextRNNClassifier:
        """Train on texts X (B,) with the classes y (B,), or with the binary matrix y (B, C).

        ``sample_weight`` (B,) are the weights of the texts in the loss, relative to their mean. ``valid`` are texts and
        classes of a validation set; without it, a tenth of X is held out.

        Raises:
            TypeError: X is not a list or column of ``str``.
            ValueError: y has another length, a single class, a missing class, or is no class or binary matrix.
                Or a weight is negative or no number.
        """
        texts, y = check_texts(X), _read_classes(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._is_multi_label = y.ndim == 2
        if self._is_multi_label:
            if not np.isin(y, (0, 1)).all():
                raise ValueError("y is a matrix, but not of zeros and ones: give a class for each text")
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_ = np.unique(y)
            if len(self.classes_) < 2 and "train__init" not in (self.settings or {}):
                raise ValueError(f"y has a single class, {self.classes_.tolist()}: a classifier needs two")
        names = [str(name) for name in self.classes_.tolist()]
        has_names = len(set(names)) == len(names) and all(map(is_label, names))
        self._names = names if has_names else [str(index) for index in range(len(names))]
        settings = self._make_settings()
        pair = None if valid is None else (valid[0], self._to_labels(np.asarray(valid[1])))
        weights = None if sample_weight is None else column_or_1d(sample_weight)
        self.model_: Model = train(texts, self._to_labels(y), weights=weights, valid=pair, **settings)
        self._add_classes([label for label in self.model_.labels if label not in self._names])
        return self

    def _add_classes(self, labels: list[str]) -> None:
        """Add the classes of an initial model that y lacks; raises ValueError if y has numbers and they are none."""
        if not labels or self._is_multi_label:
            return
        kind = self.classes_.dtype
        try:
            added = np.array(labels) if kind.kind in "UO" else np.array(labels).astype(kind)
        except ValueError:
            raise ValueError(f"y has numbers, but the initial model has the class '{labels[0]}'") from None
        classes, names = np.append(self.classes_, added), [*self._names, *labels]
        order = np.argsort(classes)
        self.classes_, self._names = classes[order], [names[place] for place in order]

    def predict(self, X: Iterable[str]) -> npt.NDArray[Any]:
        """Return the likeliest class of each text (B,), or which labels reach their threshold (B, C) int64."""
        p = self.predict_proba(X)
        if self._is_multi_label:
            thresholds = np.array([self.model_.metadata["thresholds"]])
            return (p >= self._arrange(thresholds, missing=np.inf)).astype(np.int64)
        chosen: npt.NDArray[Any] = self.classes_[p.argmax(axis=1)]
        return chosen

    def predict_proba(self, X: Iterable[str]) -> npt.NDArray[np.float64]:
        """Return the calibrated probabilities (B, C) float64 in the order of ``classes_``."""
        check_is_fitted(self, "model_")
        return self._arrange(self.model_.predict_proba(X).astype(np.float64))

    def decision_function(self, X: Iterable[str]) -> npt.NDArray[np.float64]:
        """Return the log probabilities (B, C), of two classes the log odds (B,) of the second one.

        Of several labels these are the log odds of each (B, C).
        """
        p = np.clip(self.predict_proba(X), np.finfo(np.float32).tiny, 1 - 1e-7)
        if self._is_multi_label:
            return np.log(p) - np.log1p(-p)
        return np.log(p[:, 1]) - np.log(p[:, 0]) if p.shape[1] == 2 else np.log(p)

    def __sklearn_tags__(self) -> Any:
        """Return the tags: X is a list of texts, and y may have several labels."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _to_labels(self, y: npt.NDArray[Any]) -> list[Any]:
        """Return the names of the classes y (B,), or lists of the names of the labels y (B, C)."""
        if self._is_multi_label:
            return [[name for name, has in zip(self._names, row, strict=True) if has] for row in y]
        name_of = dict(zip(self.classes_.tolist(), self._names, strict=True))
        return [name_of.get(label, str(label)) for label in y.tolist()]

    def _arrange(self, columns: npt.NDArray[np.float64], *, missing: float = 0.0) -> npt.NDArray[np.float64]:
        """Return ``columns`` (B, the labels of the model) in the order of ``classes_``; a label never seen has none."""
        place = {name: index for index, name in enumerate(self.model_.labels)}
        padded = np.append(columns, np.full((len(columns), 1), missing), axis=1)
        arranged: npt.NDArray[np.float64] = padded[:, [place.get(name, len(place)) for name in self._names]]
        return arranged


class TextRNNRegressor(RegressorMixin, _TextRNN):  # type: ignore[misc]
    """Prediction of scores by textrnn; X are texts, y a number for each.

    Parameters are those of :class:`TextRNNClassifier`.

    Attributes:
        model_: the trained :class:`textrnn.Model`.
    """

    target = "score"

    def fit(
        self, X: Iterable[str], y: Any, sample_weight: Any = None, *, valid: tuple[Iterable[str], Any] | None = None
    ) -> TextRNNRegressor:
        """Train on texts X (B,) with the scores y (B,).

        ``sample_weight`` (B,) are the weights of the texts in the loss, relative to their mean. ``valid`` are texts and
        scores of a validation set; without it, a tenth of X is held out.

        Raises:
            TypeError: X is not a list or column of ``str``.
            ValueError: y has another length, or a score is no number; or a weight is negative or no number.
        """
        if y is None:
            raise ValueError("TextRNNRegressor requires y to be passed, but the target y is None")
        texts, scores = check_texts(X), column_or_1d(y, warn=True).tolist()
        pair = None if valid is None else (valid[0], np.asarray(valid[1]).tolist())
        weights = None if sample_weight is None else column_or_1d(sample_weight)
        self.model_: Model = train(texts, scores, weights=weights, valid=pair, **self._make_settings())
        return self

    def predict(self, X: Iterable[str]) -> npt.NDArray[np.float64]:
        """Return the score of each text (B,)."""
        check_is_fitted(self, "model_")
        return self.model_.predict_scores(X)


def _read_classes(y: Any) -> npt.NDArray[Any]:
    """Return the classes ``y`` as an array (B,) or (B, C); raises ValueError if some are missing."""
    if y is None:
        raise ValueError("TextRNNClassifier requires y to be passed, but the target y is None")
    classes = list(y)
    if missing := [place for place, label in enumerate(classes) if is_missing(label)]:
        count = f"{len(missing):,} of {pluralize(len(classes), 'class', 'classes')}"
        raise ValueError(f"y[{missing[0]}] is missing ({count}); leave out the texts without a class")
    try:
        return np.asarray(y)
    except ValueError:
        raise ValueError("y has lists of several lengths: make a binary matrix by MultiLabelBinarizer") from None
