"""One step of pretraining: the network moves towards the teacher's embeddings of a batch of lines."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional

from textrnn.config import TrainConfig
from textrnn.data.batch import PackedBatch
from textrnn.models.classifier import Classifier
from textrnn.ops.batch_layout import BatchLayout, plan_layout, send
from textrnn.ops.embedding import take_rows
from textrnn.training.optimizer import AdamW
from textrnn.training.train_step import find_rows


class TeacherStep:
    """The training step of a network whose logits are embeddings; the loss is ``1 - cosine``, the mean over lines."""

    def __init__(self, model: Classifier, config: TrainConfig, device: torch.device) -> None:
        model.embedding.weight.requires_grad_(False)  # the optimizer updates its rows directly
        self.model, self.config, self.device = model, config, device
        self.optimizer = AdamW(model.embedding.weight, model.network(), config)

    def step(self, batch: PackedBatch, targets: Tensor, *, lr: float) -> float:
        """Train on the lines of ``batch`` towards ``targets`` (B, E), of norm 1; return the loss before the update."""
        rows, table, embeddings = self._forward(batch)
        loss = 1 - functional.cosine_similarity(embeddings, targets).mean()
        torch.autograd.backward(loss)
        assert table.grad is not None
        self.optimizer.step(rows, table.grad, lr=lr)
        return float(loss.detach())

    @torch.no_grad()
    def measure(self, batch: PackedBatch, targets: Tensor) -> float:
        """Return the sum of the cosines of the lines of ``batch``, without dropout."""
        self.model.eval()
        _, _, embeddings = self._forward(batch)
        self.model.train()
        return float(functional.cosine_similarity(embeddings, targets).sum())

    def _forward(self, batch: PackedBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the ids that are read (R,), their rows of the embedding (R, D), and the embeddings (B, E) of lines."""
        rows, places = find_rows(batch.ids, len(self.model.embedding.weight))
        layout = plan_layout(batch.offsets, self.device, has_order=self.model.cell != "sru")
        rows, places, arrays = send((rows, places, layout), self.device)
        table = self.model.embedding.weight.index_select(0, rows).requires_grad_()
        with self._autocast():
            x = take_rows(table, places)
            embeddings = self.model.forward_embeddings(x, BatchLayout.sent(arrays, batch.offsets))
        return rows, table, embeddings.float()

    def _autocast(self) -> AbstractContextManager[object]:
        is_bf16 = self.config.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16) if is_bf16 else nullcontext()
