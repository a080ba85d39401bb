"""GRU and LSTM layers over packed sequences, by ``torch.nn``."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from textrnn.models.norm import dropout_norm
from textrnn.ops.time_major import time_major


class PackedRNN(nn.Module):
    """One GRU or LSTM layer; ``offsets`` become torch's ``PackedSequence`` by one permutation of the rows.

    The gates are those of ``torch.nn.GRU`` and ``torch.nn.LSTM``; their parameters are drawn as torch draws them.
    No sequence may be empty. With ``layer_norm`` the input is normalised first.
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

    def forward(self, x: Tensor, offsets: Tensor, p: float = 0.0, *, variational: bool = False) -> Tensor:
        """Map ``x`` (N, input_size) with ``offsets`` (B+1,) int64 to (N, output_size).

        A share ``p`` of the entries of ``x`` is dropped before anything else; with ``variational`` the same columns in
        all rows of a sequence.
        """
        _, normalized = dropout_norm(self.norm, x, p, variational=offsets if variational else None)
        _, order, batch_sizes = (torch.from_numpy(index) for index in time_major(offsets.detach().cpu().numpy()))
        order = order.to(x.device)
        packed = PackedSequence(normalized[order], batch_sizes)
        states, _ = self.rnn(packed)
        return torch.empty_like(states.data).index_copy(0, order, states.data)
