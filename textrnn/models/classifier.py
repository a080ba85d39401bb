"""The network: embedding, recurrent layers, pooling, and a linear layer to one logit per class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from textrnn.data.batch import PackedBatch
from textrnn.models.pooling import SequencePool
from textrnn.models.rnn import PackedRNN
from textrnn.models.sru import SRU, run_stacked
from textrnn.ops.batch_layout import BatchLayout, plan_layout, send
from textrnn.ops.dropout import dropout


class Classifier(nn.Module):
    """A recurrent text classifier over packed batches.

    Args:
        vocab_size: rows of the embedding (V).
        classes: logits per text (C).
        cell: gru, sru or lstm.
        layers: number of recurrent layers.
        hidden: width of a layer, per direction.
        embedding: width of the embedding.
        bidirectional: read each text in both directions.
        pooling: last, max, mean, max+mean or attention.
        dropout: share of values dropped in training from embeddings, between layers and before the linear layer.
        variational_dropout: drop the same columns in all steps of a text, from embeddings and between layers.
        layer_norm: normalize the input of each recurrent layer.
        highway_bias: SRU only, see :class:`textrnn.models.sru.SRU`.
    """

    def __init__(
        self,
        vocab_size: int,
        classes: int,
        *,
        cell: str,
        layers: int,
        hidden: int,
        embedding: int,
        bidirectional: bool,
        pooling: str,
        dropout: float,
        variational_dropout: bool,
        layer_norm: bool,
        highway_bias: float,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding)
        self.cell, self.dropout, self.variational = cell, dropout, variational_dropout
        self.layers = nn.ModuleList()
        width = embedding
        for _ in range(layers):
            layer: SRU | PackedRNN
            if cell == "sru":
                layer = SRU(
                    width, hidden, bidirectional=bidirectional, highway_bias=highway_bias, layer_norm=layer_norm
                )
            else:
                layer = PackedRNN(cell, width, hidden, bidirectional=bidirectional, layer_norm=layer_norm)
            self.layers.append(layer)
            width = layer.output_size
        self.pool = SequencePool(pooling, width, bidirectional=bidirectional)
        self.head = nn.Linear(self.pool.output_size, classes)

    def forward(self, ids: Tensor, layout: BatchLayout) -> Tensor:
        """Map ``ids`` (N,) int32 of packed sequences, none empty, to logits (B, C)."""
        return self.forward_embeddings(self.embedding(ids), layout)

    def forward_embeddings(self, x: Tensor, layout: BatchLayout) -> Tensor:
        """Map the embeddings ``x`` (N, embedding) of the tokens to logits (B, C)."""
        p = self.dropout if self.training else 0.0
        logits: Tensor = self.head(dropout(self._pool_embeddings(x, layout, p), p))
        return logits

    def pool_tokens(self, ids: Tensor, layout: BatchLayout) -> Tensor:
        """Map ``ids`` (N,) int32 to the vectors (B, D) that the linear layer reads, without dropout."""
        return self._pool_embeddings(self.embedding(ids), layout, 0.0)

    def _pool_embeddings(self, x: Tensor, layout: BatchLayout, p: float) -> Tensor:
        stacked = run_stacked(self.layers, x, layout, p=p, variational=self.variational)
        if stacked is None:
            for layer in self.layers:
                x = layer(x, layout, p, variational=self.variational)
        else:
            x = stacked
        pooled: Tensor = self.pool(x, layout)
        return pooled

    @torch.inference_mode()
    def predict_logits(self, batch: PackedBatch) -> npt.NDArray[np.float32]:
        """Return the logits (B, C) float32 of the texts of ``batch``, computed on the device of the parameters."""
        device = self.head.weight.device
        layout = plan_layout(batch.offsets, device, has_order=self.cell != "sru")
        ids, arrays = send((batch.ids, layout), device)
        logits: npt.NDArray[np.float32] = self(ids, BatchLayout.sent(arrays, batch.offsets)).float().cpu().numpy()
        return logits

    def network(self) -> dict[str, nn.Parameter]:
        """Return all parameters by name, except the embedding."""
        return {name: value for name, value in self.named_parameters() if value is not self.embedding.weight}

    def export_weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return a copy of every parameter by name, as float32 arrays."""
        return {name: value.detach().float().cpu().numpy().copy() for name, value in self.state_dict().items()}

    def import_weights(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Set every parameter from arrays that :meth:`export_weights` returned."""
        self.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
