"""The weight average against its definition over all rows in every step."""

from __future__ import annotations

import torch

from textrnn.training.ema import EMA


def make() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    return torch.randn(6, 3), {"w": torch.randn(2, 2)}


def step(embedding: torch.Tensor, network: dict[str, torch.Tensor], average: EMA, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    rows = torch.randperm(6, generator=generator)[:2]
    average.prepare(rows, torch.from_numpy(average.fade(rows.numpy())), embedding[rows] if number % 2 else None)
    embedding[rows] += torch.randn(2, 3, generator=generator)
    network["w"] += torch.randn(2, 2, generator=generator)
    average.update(number)


def test_the_average_equals_its_definition() -> None:
    embedding, network = make()
    average = EMA(embedding, network, 0.8)
    means = [embedding.double(), network["w"].double()]
    for number in range(1, 41):
        step(embedding, network, average, number)
        decay = min(0.8, (1 + number) / (10 + number))
        means = [decay * m + (1 - decay) * w.double() for m, w in zip(means, (embedding, network["w"]), strict=True)]
        if number % 13 == 0:
            rows, others = average.read()
            torch.testing.assert_close(rows.double(), means[0], rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(others["w"].double(), means[1], rtol=1e-5, atol=1e-6)
