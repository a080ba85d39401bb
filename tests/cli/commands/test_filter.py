"""``textrnn filter``."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from command import Run
from samples import DRINK_LABELS, DRINKS
from textrnn.models.cascade import Cascade
from textrnn.serialization.model_file import load_model, save_model


def test_kept_and_dropped_lines_are_all_lines(trained: Path, invoke: Run) -> None:
    lines = DRINKS.decode().splitlines()
    kept = invoke("filter", "--label", "tea", cwd=trained, stdin=DRINKS)
    dropped = invoke("filter", "--label", "tea", "-v", "-q", cwd=trained, stdin=DRINKS)
    wanted = [f"{line}\n" for line, label in zip(lines, DRINK_LABELS, strict=True) if label == "tea"]
    assert kept.stdout.decode() == "".join(wanted)
    assert kept.stderr.decode() == f"textrnn: {len(wanted):,} kept, {len(lines) - len(wanted):,} dropped\n"
    assert sorted((kept.stdout + dropped.stdout).splitlines()) == sorted(DRINKS.splitlines())
    assert dropped.stderr == b""
    none = invoke("filter", "--label", "tea", "--min-prob", "1", cwd=trained, stdin=b"black coffee\n")
    assert (none.returncode, none.stdout, none.stderr) == (0, b"", b"textrnn: 0 kept, 1 dropped\n")


def test_min_prob_asks_for_the_probability_of_the_label(trained: Path, invoke: Run) -> None:
    scores = invoke("predict", "--score", "tea", cwd=trained, stdin=DRINKS).stdout.split()
    unsure = sorted({float(score) for score in scores if float(score) < 0.5})
    bound = str((unsure[0] + unsure[-1]) / 2)  # lines of another label, some of which are kept
    kept = invoke("filter", "-l", "tea", "--min-prob", bound, cwd=trained, stdin=DRINKS)
    assert len([score for score in scores if float(bound) <= float(score) < 0.5]) > 0
    lines = [line for line, score in zip(DRINKS.splitlines(), scores, strict=True) if float(score) >= float(bound)]
    assert kept.stdout.splitlines() == lines


def test_a_cascade_changes_the_probabilities_of_skipped_lines(trained: Path, tmp_path: Path, invoke: Run) -> None:
    """The n-grams alone are never sure at a temperature of a million."""
    model = replace(load_model(trained / "runs/small"), cascade=Cascade(1e6, (0.0,), (0.9,)))
    save_model(tmp_path / "m.safetensors", model)
    arguments = ("filter", "-m", "m.safetensors", "--label", "tea", "--min-prob", "0.6")
    stdin = b"green tea\nblack coffee\n"
    assert invoke(*arguments, stdin=stdin).stdout == b"green tea\n"
    assert invoke(*arguments, "--cascade", "0.9", stdin=stdin).stdout == b""


def test_the_other_half_is_written_in_the_same_pass(trained: Path, tmp_path: Path, invoke: Run) -> None:
    rows = ["id,text", "1,black coffee", "2,grüner green tea", "3,black coffee black coffee"]
    table = "".join(f"{row}\r\n" for row in rows).encode("utf-16")
    (tmp_path / "a.csv").write_bytes(table)
    rest = tmp_path / "folder" / "rest.csv.gz"
    arguments = ("filter", "-l", "tea", "--field", "text", tmp_path / "a.csv", "--rejected")
    done = invoke(*arguments, rest, "-o", tmp_path / "tea.csv", cwd=trained)
    assert done.returncode == 0
    assert done.stderr.endswith(b"1 kept, 2 rejected\n")
    halves = [[rows[0], rows[2]], [rows[0], rows[1], rows[3]]]
    expected = ["".join(f"{row}\r\n" for row in half).encode("utf-16") for half in halves]
    assert [(tmp_path / "tea.csv").read_bytes(), gzip.decompress(rest.read_bytes())] == expected
    assert [path.name for path in rest.parent.iterdir()] == ["rest.csv.gz"]
    inverted = invoke(*arguments, rest, "--invert", cwd=trained)
    assert [gzip.decompress(rest.read_bytes()), inverted.stdout] == expected


def test_a_fault_leaves_the_earlier_rejected_file(trained: Path, tmp_path: Path, invoke: Run) -> None:
    (tmp_path / "rest").write_bytes(b"old")
    bad = b'{"text": "black coffee"}\n{"text"\n'
    done = invoke("filter", "-l", "tea", "--field", "text", "--rejected", tmp_path / "rest", cwd=trained, stdin=bad)
    assert done.returncode == 1
    assert (tmp_path / "rest").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "rest"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "a.txt",
            "missing option '--label' / '-l', or '--min-score' for a model of scores; see 'textrnn filter --help'",
        ),
        ("--label te", "--label te: the model has no such label; did you mean 'tea'?"),
        ("--label water", "--label water: the model has no such label; it has coffee, tea"),
        ("--label tea --rejected a -o ./a", "--rejected a: --output writes there; name another file"),
        ("--label tea --rejected rows.tsv rows.tsv", "--rejected rows.tsv: is an input file; name another file"),
        ("--label tea --rejected -", "--rejected -: --output writes there; name another file"),
        ("--label tea --min-prob 0.2 --threshold 0.5", "--threshold 0.5: has no effect with --min-prob; leave one out"),
    ],
)
def test_faults(arguments: str, message: str, trained: Path, invoke: Run) -> None:
    done = invoke("filter", *arguments.split(), cwd=trained)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", f"textrnn: {message}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--ignore-thresholds", "--ignore-thresholds: the model has none; leave it out"),
        ("--ignore-thresholds --min-prob 0.5", "--ignore-thresholds: --min-prob ignores them too; leave one out"),
    ],
)
def test_thresholds_to_ignore_must_be_there(arguments: str, message: str, trained: Path, invoke: Run) -> None:
    done = invoke("filter", "-l", "tea", *arguments.split(), cwd=trained, stdin=DRINKS)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", f"textrnn: {message}\n")
