"""Process of a baseline in predict.py: read lines from stdin, print a label for each.

    python benchmarks/peer.py fasttext MODEL.bin < lines
    python benchmarks/peer.py sklearn MODEL.joblib < lines

The wheel of fastText has no command, so Python is part of its process. The last line on stderr is a JSON object
with the seconds of the import. Lines are predicted in large batches, the fastest way for both.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice

BATCH_SIZE = 4096

Predict = Callable[[list[str]], Sequence[str]]


def load_fasttext(path: str) -> tuple[Predict, float]:
    """Return the prediction function of a fastText model, and the seconds of the import."""
    start = time.perf_counter()
    import fasttext  # noqa: PLC0415

    seconds = time.perf_counter() - start
    model = fasttext.load_model(path)
    return lambda lines: [labels[0] for labels in model.predict(lines)[0]], seconds


def load_sklearn(path: str) -> tuple[Predict, float]:
    """Return the prediction function of a scikit-learn model, and the seconds of the import."""
    start = time.perf_counter()
    import joblib  # noqa: PLC0415
    import sklearn.pipeline  # noqa: PLC0415, F401 - otherwise unpickling imports it

    seconds = time.perf_counter() - start
    return joblib.load(path).predict, seconds


def main() -> None:
    """Label the lines of stdin."""
    kind, path = sys.argv[1:]
    predict, seconds = {"fasttext": load_fasttext, "sklearn": load_sklearn}[kind](path)
    sys.stdin.reconfigure(encoding="utf-8", newline="\n")
    lines = (line.removesuffix("\n") for line in sys.stdin)
    while batch := list(islice(lines, BATCH_SIZE)):
        print("\n".join(predict(batch)))
    print(json.dumps({"import_seconds": seconds}), file=sys.stderr)


if __name__ == "__main__":
    main()
