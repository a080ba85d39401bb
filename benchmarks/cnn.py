"""Test accuracy of the one-layer convolutional network of Kim, a peer of our networks.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/cnn.py [--sets trec,mr] [--seeds 3] [--vectors glove.6B.50d.txt]

Yoon Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014 (arXiv 1408.5882): 100 filters each of
3, 4 and 5 words, ReLU, the maximum over time, dropout of 0.5, norms of the last layer's rows of at most 3, batches of
50, Adadelta, up to 25 epochs. Words are separated by spaces. Their vectors are trained: random ones of 300 numbers, and
in a second row those of ``--vectors``. The paper uses word2vec's of 300 numbers, which are larger than the usual files.

The validation set chooses the epoch; training stops after five epochs without a better one. The test set is read once,
by the network of that epoch. Prints a result a line on stderr, and a table on stdout. --json stores the results.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accuracy import format_percent, format_seconds, is_english
from baselines import PARTS, read_parts
from torch import Tensor, nn

from textrnn.data.reading.examples import Example
from textrnn.data.word_vectors import read_vectors
from textrnn.files import write_text

WIDTHS, FILTERS, EMBEDDING = (3, 4, 5), 100, 300
DROPOUT, MAX_NORM, BATCH_SIZE = 0.5, 3.0, 50
EPOCHS, PATIENCE = 25, 5
PADDING = 0  # and words without a vector

Vectors = Mapping[str, Tensor]
Rows = list[tuple[list[int], int]]  # words and class of each text


class ConvolutionalNetwork(nn.Module):
    """Logits of padded texts ``(B, T) int64``; ``table: (V, D) float32`` has the first vectors of words."""

    def __init__(self, table: Tensor, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(table, freeze=False, padding_idx=PADDING)
        self.filters = nn.ModuleList(nn.Conv1d(table.shape[1], FILTERS, width) for width in WIDTHS)
        self.dropout = nn.Dropout(DROPOUT)
        self.output = nn.Linear(FILTERS * len(WIDTHS), classes)

    def forward(self, words: Tensor) -> Tensor:
        """Return logits, ``(B, C) float32``."""
        x = self.embedding(words).transpose(1, 2)
        maxima = [layer(x).relu().amax(dim=2) for layer in self.filters]
        return self.output(self.dropout(torch.cat(maxima, dim=1)))

    @torch.no_grad()
    def limit_norms(self) -> None:
        """Scale the rows of the last layer to a norm of at most 3."""
        self.output.weight.copy_(self.output.weight.renorm(2, 0, MAX_NORM))


def load_vectors(path: Path) -> Vectors:
    """Return the vector ``(D,) float32`` of each word of a file."""
    vectors: dict[str, Tensor] = {}
    for block in read_vectors(str(path)):
        rows = torch.from_numpy(block.take(range(len(block.words))))
        vectors.update((word.decode(), row) for word, row in zip(block.words, rows, strict=True))
    return vectors


def make_table(parts: Mapping[str, Sequence[Example]], vectors: Vectors | None) -> tuple[dict[str, int], Tensor]:
    """Return the number of each word, and the first vectors ``(V, D)``.

    The words are those of the training set, and with ``vectors`` also those of the other sets that have one. Words
    without one get random vectors of the same variance.
    """
    words = dict.fromkeys(word for example in parts["train"] for word in example.text.split())
    if vectors is not None:
        words |= dict.fromkeys(w for rows in parts.values() for row in rows for w in row.text.split() if w in vectors)
    numbers = {word: number for number, word in enumerate(words, start=1)}
    if vectors is None:
        table = torch.empty(len(numbers) + 1, EMBEDDING).uniform_(-0.25, 0.25)
    else:
        known = {number: vectors[word] for word, number in numbers.items() if word in vectors}
        values = torch.stack([*known.values()])
        bound = float(values.std()) * math.sqrt(3)
        table = torch.empty(len(numbers) + 1, values.shape[1]).uniform_(-bound, bound)
        table[[*known]] = values
    table[PADDING] = 0
    return numbers, table


def encode(examples: Sequence[Example], numbers: Mapping[str, int], labels: Sequence[str]) -> Rows:
    """Return the words and class of each text; the class of a label that is not in ``labels`` is -1, always wrong."""
    classes = {label: index for index, label in enumerate(labels)}
    return [([numbers.get(w, PADDING) for w in each.text.split()], classes.get(each.label, -1)) for each in examples]


def list_batches(rows: Rows, *, shuffled: bool = False) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield padded words and classes of each batch."""
    order = torch.randperm(len(rows)).tolist() if shuffled else range(len(rows))
    for start in range(0, len(rows), BATCH_SIZE):
        batch = [rows[i] for i in order[start : start + BATCH_SIZE]]
        longest = max(*WIDTHS, *(len(words) for words, _ in batch))
        padded = [words + [PADDING] * (longest - len(words)) for words, _ in batch]
        yield torch.tensor(padded), torch.tensor([label for _, label in batch])


@torch.no_grad()
def evaluate(network: ConvolutionalNetwork, rows: Rows) -> float:
    """Return the accuracy."""
    network.eval()
    return sum(int((network(x).argmax(1) == y).sum()) for x, y in list_batches(rows)) / len(rows)


def train_epoch(network: ConvolutionalNetwork, optimizer: torch.optim.Optimizer, rows: Rows) -> None:
    """Take a step a batch."""
    network.train()
    for x, y in list_batches(rows, shuffled=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
        network.limit_norms()


def train(data: Path, seed: int, *, vectors: Vectors | None = None, epochs: int = EPOCHS) -> dict[str, Any]:
    """Train; return the accuracies of the epoch that is best on the validation set, and the seconds of all epochs."""
    torch.manual_seed(seed)
    parts = read_parts(data)
    labels = sorted({example.label for example in parts["train"]})
    numbers, table = make_table(parts, vectors)
    rows = {part: encode(examples, numbers, labels) for part, examples in parts.items()}
    network = ConvolutionalNetwork(table, len(labels))
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0, rho=0.95, eps=1e-6)
    best, best_epoch, weights, start = -1.0, 0, network.state_dict(), time.monotonic()
    for epoch in range(1, epochs + 1):
        train_epoch(network, optimizer, rows["train"])
        accuracy = evaluate(network, rows["valid"])
        if accuracy > best:
            best, best_epoch, weights = accuracy, epoch, copy.deepcopy(network.state_dict())
        if epoch - best_epoch >= PATIENCE:
            break
    seconds = time.monotonic() - start
    network.load_state_dict(weights)
    return {"accuracy": evaluate(network, rows["test"]), "valid": best, "epoch": best_epoch, "seconds": seconds}


def tabulate(results: Sequence[dict[str, Any]], sets: Sequence[str]) -> list[str]:
    """Return a row of accuracies, and one of seconds, for each network; a column for each data set."""
    lines = [f"| | {' | '.join(sets)} | mean |", "|" + "---|" * (len(sets) + 2)]
    for name in dict.fromkeys(result["row"] for result in results):
        for field, title, form in (("accuracy", name, format_percent), ("seconds", f"{name}, s", format_seconds)):
            values = [[r[field] for r in results if (r["row"], r["set"]) == (name, data)] for data in sets]
            mean = form([statistics.fmean(turn) for turn in zip(*filter(None, values), strict=True)])
            lines.append(f"| {' | '.join([title, *(form(each) if each else '' for each in values), mean])} |")
    return lines


def main() -> None:
    """Train and evaluate, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="trec,sst2,mr,subj,chatbot_ko")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, from 1 on")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="at most")
    parser.add_argument("--vectors", type=Path, help="English word vectors, for one more row")
    parser.add_argument("--json", type=Path, metavar="FILE", help="store all results in FILE")
    options = parser.parse_args()
    folder = Path(os.environ.get("TEXTRNN_TEST_DATA") or parser.error("set TEXTRNN_TEST_DATA to a folder of data sets"))
    sets = options.sets.split(",")
    needed = [folder / data / f"{part}.tsv" for data in sets for part in PARTS]
    if missing := [str(path) for path in needed if not path.is_file()]:
        parser.error(f"{missing[0]}: no such file")
    kinds: dict[str, Vectors | None] = {"CNN": None}
    if options.vectors:
        kinds["CNN + vectors"] = load_vectors(options.vectors)
    results: list[dict[str, Any]] = []
    runs = itertools.product(sets, kinds.items(), range(1, options.seeds + 1))
    for data, (name, vectors), seed in runs:
        if vectors is not None and not is_english(folder / data):
            continue
        result = train(folder / data, seed, vectors=vectors, epochs=options.epochs)
        results.append({"row": name, "set": data, "seed": seed, **result})
        print(json.dumps(results[-1]), file=sys.stderr, flush=True)
        if options.json:
            write_text(options.json, json.dumps(results, indent=1) + "\n")
    print(*tabulate(results, sets), sep="\n")


if __name__ == "__main__":
    main()
