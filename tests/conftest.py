"""Fixtures that several tests use: a small tokenizer, and the real text for measuring."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from samples import SENTENCES
from textrnn.tokenizer import Tokenizer, train_tokenizer

torch.set_num_threads(1)  # the tests run in several processes


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A tokenizer with a few dozen pieces."""
    lines = [sentence.encode() for sentence in SENTENCES * 3]
    return train_tokenizer(lines, hard_vocab_limit=False, options={"num_threads": 1}).tokenizer


@pytest.fixture(scope="session")
def measuring_data() -> Path:
    """The folder of real text that TEXTRNN_TEST_DATA names; without it the test is skipped."""
    folder = os.environ.get("TEXTRNN_TEST_DATA")
    if not folder:
        pytest.skip("TEXTRNN_TEST_DATA names no folder of real text")
    return Path(folder)
