"""Prediction without torch: a model file and numpy."""

from typing import Literal

OutputFormat = Literal["tsv", "jsonl", "label"]
Precision = Literal["float32", "bf16", "int8"]
RecordFormat = Literal["tsv", "csv", "jsonl"]
