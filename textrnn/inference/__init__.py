"""Prediction without torch: a model file and numpy."""

from typing import Literal

OutputFormat = Literal["tsv", "jsonl", "label"]
RecordFormat = Literal["tsv", "csv", "jsonl"]
