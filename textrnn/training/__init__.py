"""Training a classifier: :func:`train` reads the data, trains, and writes a run folder."""

from textrnn.training.loop import Outcome, train
from textrnn.training.reporter import EpochRecord, Plan, Reporter

__all__ = ["EpochRecord", "Outcome", "Plan", "Reporter", "train"]
