"""The programs of the page about clusters run as printed, where their engines are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.test_tutorial import list_blocks

PAGE = Path(__file__).resolve().parents[2] / "docs/howto/cluster.md"
