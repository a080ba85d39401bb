"""A peer's process in predict.py: reads lines from stdin, prints a label for each.

    python benchmarks/peer.py fasttext MODEL.bin < lines
    python benchmarks/peer.py sklearn MODEL.joblib < lines

The wheel of fastText has no command, so that Python is a part of its process. The last line on stderr is a JSON object
with the seconds of the import alone. Many lines go to one call, which is the peers' fastest way.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice

LINES_AT_ONCE = 4096

Predict = Callable[[list[str]], Sequence[str]]


def load_fasttext(path: str) -> tuple[Predict, float]:
    start = time.perf_counter()
    import fasttext  # noqa: PLC0415

    imported = time.perf_counter()
    model = fasttext.load_model(path)
    return lambda lines: [labels[0] for labels in model.predict(lines)[0]], imported - start


def load_sklearn(path: str) -> tuple[Predict, float]:
    start = time.perf_counter()
    import joblib  # noqa: PLC0415
    import sklearn.pipeline  # noqa: PLC0415, F401 - unpickling would import it otherwise, and more

    imported = time.perf_counter()
    return joblib.load(path).predict, imported - start


def main() -> None:
    kind, path = sys.argv[1:]
    predict, imported = {"fasttext": load_fasttext, "sklearn": load_sklearn}[kind](path)
    sys.stdin.reconfigure(encoding="utf-8", newline="\n")
    lines = (line.removesuffix("\n") for line in sys.stdin)
    while block := list(islice(lines, LINES_AT_ONCE)):
        print("\n".join(predict(block)))
    print(json.dumps({"import_seconds": imported}), file=sys.stderr)


if __name__ == "__main__":
    main()
