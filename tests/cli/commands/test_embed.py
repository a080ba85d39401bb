"""``textrnn embed``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import textrnn
from command import Run

TEXTS = ["green tea please", "black coffee", "", "green tea, please", "coffee"]


def test_each_line_gives_a_vector(trained: Path, invoke: Run, tmp_path: Path) -> None:
    stdin = "".join(f"{text}\n" for text in TEXTS).encode()
    expected = textrnn.load(trained / "runs/small").embed(TEXTS)
    done = invoke("embed", cwd=trained, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    np.testing.assert_allclose(np.loadtxt(done.stdout.decode().splitlines()), expected, rtol=1e-4, atol=1e-5)
    done = invoke("embed", "-o", tmp_path / "x.npy", cwd=trained, stdin=stdin)
    assert (done.returncode, done.stdout) == (0, b"")
    np.testing.assert_allclose(np.load(tmp_path / "x.npy"), expected, atol=1e-6)


def test_records_of_a_table_give_vectors(trained: Path, invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("id,text\n1,green tea please\n2,black coffee\n".encode("utf-16"))
    done = invoke("embed", "--field", "text", tmp_path / "t.csv", cwd=trained)
    expected = textrnn.load(trained / "runs/small").embed(TEXTS[:2])
    np.testing.assert_allclose(np.loadtxt(done.stdout.decode().splitlines()), expected, rtol=1e-4, atol=1e-5)


def test_neighbors(trained: Path, invoke: Run) -> None:
    done = invoke("embed", "--neighbors", "1", cwd=trained, stdin="".join(f"{text}\n" for text in TEXTS).encode())
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5"]
    assert (rows[0][1], rows[0][3]) == ("4", "green tea, please")
    assert rows[3][1] == "1"
    assert all(-1 <= float(row[2]) <= 1.00001 for row in rows)
    assert invoke("embed", "--neighbors", "1", cwd=trained, stdin=b"").stdout == b""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--neighbors 2 -o x.npy", "--output x.npy: neighbors are text; name another file"),
        ("-o x.npy.gz", "--output x.npy.gz: a .npy file is not compressed; name x.npy"),
    ],
)
def test_faults(arguments: str, message: str, trained: Path, invoke: Run) -> None:
    done = invoke("embed", *arguments.split(), cwd=trained, stdin=b"tea\n")
    assert (done.returncode, done.stderr.decode()) == (2, f"textrnn: {message}\n")
