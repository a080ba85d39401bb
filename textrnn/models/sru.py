"""A layer of Simple Recurrent Units: one product, then the recurrence."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from textrnn.ops.batch_layout import BatchLayout
from textrnn.ops.layer_norm import dropout_norm
from textrnn.ops.sru.layer import sru_layer
from textrnn.ops.sru.stack import Stack, StackedLayer, can_stack, run_stack


class SRU(nn.Module):
    """One SRU layer over packed sequences, in one direction or two.

    ``weight`` (input_size, K * G * hidden_size) serves all directions and gates in one product. G is 3 if the input is
    as wide as the output, and the highway carries the input itself; otherwise G is 4, and a fourth block projects it.
    ``v`` and ``b`` are (K, 2, hidden_size): forget gate, reset gate.

    Initialization as in the paper (Lei et al. 2018, section 3.2) and its published code: the weights have variance
    1 / input_size, those of the gates half of it, and ``v`` 1/2; ``b`` is 0 for the forget gate and ``highway_bias``
    for the reset gate; the highway is scaled by ``alpha = sqrt(1 + 2 exp(highway_bias))``. With ``layer_norm`` the
    product reads the normalized input and the highway the input itself. ``alpha`` is not in the state dict: load a
    state dict into a layer built with the same arguments.

    Raises:
        ValueError: a size is not a positive integer.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bidirectional: bool = False,
        highway_bias: float = 0.0,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if not isinstance(size, int) or size < 1:
                raise ValueError(f"{name} should be a positive integer, not {size!r}")
        self.hidden_size, self.directions = hidden_size, 2 if bidirectional else 1
        self.output_size = self.directions * hidden_size
        self.blocks = 3 if input_size == self.output_size else 4
        self.highway_bias = highway_bias
        self.alpha = math.sqrt(1 + 2 * math.exp(highway_bias))
        self.norm = nn.LayerNorm(input_size) if layer_norm else None
        self.weight = nn.Parameter(torch.empty(input_size, self.directions * self.blocks * hidden_size))
        self.v = nn.Parameter(torch.empty(self.directions, 2, hidden_size))
        self.b = nn.Parameter(torch.empty(self.directions, 2, hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialize the parameters."""
        bound = math.sqrt(3 / self.weight.shape[0])  # a uniform draw from [-a, a] has variance a * a / 3
        with torch.no_grad():
            blocks = self.weight.uniform_(-bound, bound).view(-1, self.directions, self.blocks, self.hidden_size)
            blocks[:, :, 1:3] *= math.sqrt(0.5)
            if self.blocks == 4:
                blocks[:, :, 3] *= self.alpha
            self.v.uniform_(-math.sqrt(1.5), math.sqrt(1.5))
            self.b[:, 0] = 0
            self.b[:, 1] = self.highway_bias

    def extra_repr(self) -> str:
        """Return the arguments of the layer for ``print``."""
        return (
            f"{self.weight.shape[0]}, {self.hidden_size}, bidirectional={self.directions == 2}, "
            f"highway_bias={self.highway_bias}, alpha={self.alpha:.4g}, layer_norm={self.norm is not None}"
        )

    def forward(self, x: Tensor, layout: BatchLayout, p: float = 0.0, *, variational: bool = False) -> Tensor:
        """Map ``x`` (N, input_size) to (N, K * hidden_size).

        Dropout of the share ``p`` comes first; if ``variational``, of the same columns in all rows of a sequence.
        """
        x, normalized = dropout_norm(self.norm, x, p, variational=layout if variational else None)
        highway = x if self.blocks == 3 else None
        h, _ = sru_layer(normalized, self.weight, layout, v=self.v, b=self.b, alpha=self.alpha, highway=highway)
        return h


def run_stacked(
    layers: Iterable[nn.Module], x: Tensor, layout: BatchLayout, *, p: float, variational: bool
) -> Tensor | None:
    """Return what :class:`SRU` layers compute one after the other, or None if they cannot compute it as one step.

    The arguments are those of :meth:`SRU.forward`. All layers have the same ``highway_bias``.
    """
    layers = list(layers)
    stacked = []
    for layer in layers:
        if not isinstance(layer, SRU):
            return None
        gain, bias = (None, None) if layer.norm is None else (layer.norm.weight, layer.norm.bias)
        stacked.append(StackedLayer(layer.weight, layer.v, layer.b, gain, bias))
    if not stacked or not can_stack(x, stacked):
        return None
    first = layers[0]
    assert isinstance(first, SRU)
    epsilon = 0.0 if first.norm is None else first.norm.eps
    return run_stack(x, stacked, layout.offsets, rest=Stack(p, variational, first.alpha, epsilon))
