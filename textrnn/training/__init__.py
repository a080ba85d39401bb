"""Training a classifier: :func:`train` reads the data, trains, and writes a run folder."""

from textrnn.training.estimate import Estimate, estimate
from textrnn.training.reporter import EpochRecord, Plan, Reporter
from textrnn.training.run import default_folder
from textrnn.training.session import Outcome, resume, train

__all__ = ["EpochRecord", "Estimate", "Outcome", "Plan", "Reporter", "default_folder", "estimate", "resume", "train"]
