"""The Python API: ``textrnn.load(path).predict(["a text"])``, and ``textrnn.train("train.tsv")``."""

from textrnn.api.model import Model
from textrnn.api.training import train
from textrnn.inference.engine import Prediction
from textrnn.inference.explain import Explanation, Part

__all__ = ["Explanation", "Model", "Part", "Prediction", "train"]
