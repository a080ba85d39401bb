"""The first output layer of a network that begins with a starter: a linear model over the vectors of the texts.

Fine-tuning from a random output layer first distorts what the network knows. An output layer that is fitted before, to
the network as it is, avoids this (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform
Out-of-Distribution", arXiv 2202.10054).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from textrnn.data.sampler import sorted_batches
from textrnn.models.classifier import Classifier
from textrnn.ops.batch_layout import BatchLayout, plan_layout, send
from textrnn.preparation.dataset import Dataset
from textrnn.training.loss import TextLoss, make_targets

PENALTY = 30.0
"""The weight of the squared weights, relative to the summed loss."""

_MOST_TEXTS = 50_000  # later texts add little
_BATCH_TOKENS = 1 << 13
_ITERATIONS = 200


def fit_head(model: Classifier, dataset: Dataset, loss: TextLoss, *, penalty: float = PENALTY) -> None:
    """Set the output layer of ``model`` to the one with the lowest loss on the training set, with an L2
    ``penalty``.

    The rest of the network stays as it is. Columns are standardized for the penalty. Larger training sets are sampled
    down to 50,000 texts, at equal distances.
    """
    vectors, targets, weights = _embed(model, dataset)
    mean, deviation = vectors.mean(dim=0), vectors.std(dim=0, correction=0).clamp(min=1e-6)
    x = (vectors - mean) / deviation
    weight = torch.zeros_like(model.head.weight).requires_grad_()
    bias = torch.zeros_like(model.head.bias).requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        total: Tensor = loss(x @ weight.T + bias, targets, weights) + penalty * weight.square().sum()
        torch.autograd.backward(total)
        return total

    optimizer.step(evaluate)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        model.head.weight.copy_(weight / deviation)
        model.head.bias.copy_(bias - model.head.weight @ mean)


@torch.no_grad()
def _embed(model: Classifier, dataset: Dataset) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the vectors (B, D) of training texts before the output layer, their targets and their weights (B,)."""
    texts = dataset.windows.draw(dataset.train)
    rows = np.linspace(0, len(texts) - 1, min(len(texts), _MOST_TEXTS)).astype(np.int64)
    device = model.head.weight.device
    vectors = torch.empty(len(rows), model.head.in_features, device=device)
    was_training = model.training
    model.eval()
    for places, batch in sorted_batches(texts, _BATCH_TOKENS, rows=rows):
        layout = plan_layout(batch.offsets, device, has_order=model.cell != "sru")
        ids, arrays = send((batch.ids, layout), device)
        vectors[send(places, device)] = model.pool_tokens(ids, BatchLayout.sent(arrays, batch.offsets)).float()
    model.train(was_training)
    whole = dataset.train.keep(rows)
    soft = whole.select_soft_labels(np.arange(len(rows)))
    targets = make_targets(whole.classes, dataset.label_sets, model.head.out_features, soft=soft)
    return vectors, *send((targets, whole.text_weights), device)
