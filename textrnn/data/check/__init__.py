"""Looking labelled files over before anything is trained on them."""

from textrnn.data.check.check_files import CheckedFile, Report, check_files

__all__ = ["CheckedFile", "Report", "check_files"]
