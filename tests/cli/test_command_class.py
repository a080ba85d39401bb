"""Options that are given twice, and values of the wrong type."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import Run


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("evaluate -m a -m b data.tsv", "--model"),
        ("evaluate data.tsv --model a -m=b", "--model"),
        ("predict -ma --model=a", "--model"),
        ("train --seed 1 --seed 1", "--seed"),
        ("train --valid a --out x --valid b", "--valid"),
        ("filter --label a -j 2 --jobs 2", "--jobs"),
        ("tune --trials 3 --trials 4", "--trials"),
        ("optimize d -o a --out a", "--out"),
        ("spm-encode -m a -m a", "--model"),
        ("data split x --out a --out b", "--out"),
        ("data check x --config a --config b", "--config"),
        ("bench --device cpu --device cpu", "--device"),
    ],
)
def test_an_option_that_takes_one_value_is_refused_if_given_twice(command: str, option: str, invoke: Run) -> None:
    done = invoke(*command.split())
    assert (done.returncode, done.stdout) == (2, b"")
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"textrnn: {option}: ")


def test_every_repeated_option_is_reported(invoke: Run) -> None:
    done = invoke("train", "--lr", "1", "--seed", "1", "--lr", "1", "--seed", "1")
    assert done.stderr.decode().splitlines() == [
        "textrnn: --lr: given twice; keep one",
        "textrnn: --seed: given twice; keep one",
    ]


def test_options_that_collect_values_and_flags_may_be_repeated(trained: Path, invoke: Run) -> None:
    words = ("-m", trained / "runs/small", "-l", "tea", "--label", "coffee", "-q", "--quiet")
    done = invoke("filter", *words, stdin=b"green tea\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"green tea\n", b"")
    done = invoke("evaluate", "--set", "data.format=tsv", "--set", "data.format=tsv", "x")
    assert done.stderr.decode() == "textrnn: --set data.format=tsv: data.format: given twice; keep one\n"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("tune --minutes -1", "'--minutes': should be a number of at least 0, not '-1'"),
        ("tune --minutes x", "'--minutes': should be a number of at least 0, not 'x'"),
        ("tune --trials 1.5", "'--trials': should be a whole number of at least 1, not '1.5'"),
        ("train --layers two", "'--layers': should be a whole number, not 'two'"),
        ("train --kfold 1", "'--kfold': should be a whole number from 2 to 9,999, not '1'"),
        ("train --cell rnn", "'--cell': should be gru, sru or lstm, not 'rnn'"),
        ("optimize d -o x --storage int4", "'--storage': should be fp32, bf16, int8 or float32, not 'int4'"),
        ("optimize d -o x --ngrams 2", "'--ngrams': should be a number from 0.001 to 1, not '2'"),
        ("filter -l a --min-prob 2", "'--min-prob': should be a number from 0 to 1, not '2'"),
        ("filter -l a --jobs 0", "'--jobs' / '-j': should be a whole number of at least 1, not '0'"),
        ("data check x --show many", "'--show': should be a whole number of at least 0, not 'many'"),
        ("spm-encode -m m --output-format x", "'--output-format': should be piece or id, not 'x'"),
        ("bench --seconds soon", "'--seconds': should be a number of at least 0.01, not 'soon'"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_in_own_words(command: str, reason: str, invoke: Run) -> None:
    done = invoke(*command.split())
    (line,) = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (2, b"")
    assert line.startswith(f"textrnn: invalid value for {reason}; see 'textrnn {command.split(maxsplit=1)[0]}")
