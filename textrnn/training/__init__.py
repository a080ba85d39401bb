"""Training a classifier: :func:`train` reads the data, trains, and writes a run folder."""

from textrnn.training.loop import Outcome, resume, train
from textrnn.training.reporter import EpochRecord, Plan, Reporter
from textrnn.training.run import default_folder

__all__ = ["EpochRecord", "Outcome", "Plan", "Reporter", "default_folder", "resume", "train"]
