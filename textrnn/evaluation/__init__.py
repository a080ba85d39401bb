"""Metrics of a model on labelled text."""

from typing import Literal

MistakeOrder = Literal["confidence", "loss", "margin"]
