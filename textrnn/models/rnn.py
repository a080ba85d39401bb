"""GRU and LSTM layers over packed sequences, by ``torch.nn``."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.layer_norm import dropout_norm


class PackedRNN(nn.Module):
    """One GRU or LSTM layer; a permutation of the rows makes a batch torch's ``PackedSequence``.

    Equations, parameters and their initialization are those of ``torch.nn.GRU`` and ``torch.nn.LSTM``. No sequence may
    be empty. With ``layer_norm`` the input is normalized first.
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        *,
        bidirectional: bool = False,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
        self.output_size = hidden_size * (2 if bidirectional else 1)
        self.norm = nn.LayerNorm(input_size) if layer_norm else None
        self.rnn = kind(input_size, hidden_size, bidirectional=bidirectional)

    def forward(self, x: Tensor, layout: BatchLayout, p: float = 0.0, *, variational: bool = False) -> Tensor:
        """Map ``x`` (N, input_size) to (N, output_size).

        Dropout of the share ``p`` comes first; if ``variational``, of the same columns in all rows of a sequence.
        """
        _, normalized = dropout_norm(self.norm, x, p, variational=layout if variational else None)
        order, batch_sizes = layout.packed_order
        states, _ = self.rnn(PackedSequence(normalized[order], batch_sizes))
        return torch.empty_like(states.data).index_copy(0, order, states.data)
