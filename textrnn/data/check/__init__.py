"""Checks of labelled files before training."""

from textrnn.data.check.check_files import CheckedFile, Report, check_files

__all__ = ["CheckedFile", "Report", "check_files"]
