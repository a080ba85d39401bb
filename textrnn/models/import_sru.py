"""Import of weights that the package ``sru`` trained."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from textrnn.errors import ModelError
from textrnn.models.sru import SRU

_LAYER_KEY = re.compile(r"rnn_lst\.(0|[1-9]\d*)\.(.+)", re.ASCII)
_NAMES = {"weight", "weight_proj", "weight_c", "bias", "scale_x", "layer_norm.weight", "layer_norm.bias"}
_INPUT_KEY = "input_to_hidden.weight"


def from_sru_state_dict(
    state_dict: Mapping[str, Tensor],
    *,
    bidirectional: bool,
    prefix: str = "",
    has_skip_term: bool = True,
    use_tanh: bool = False,
    normalize_after: bool = False,
) -> nn.ModuleList:
    """Return the layers of an ``sru.SRU`` (package ``sru``, version 2.6.0) as layers of this package.

    Each layer's output (N, width) is the next one's input. For the same sequences, padded there and packed here, the
    last output equals that of ``sru.SRU`` in evaluation mode up to rounding. Every parameter is a copy, with the device
    and dtype of its layer's ``weight``, and requires gradients.

    A state dict does not contain the arguments of its model. ``bidirectional``, ``has_skip_term``, ``use_tanh`` and
    ``normalize_after`` are arguments of ``sru.SRU``, with its defaults; ``bidirectional`` has none, because a wrong
    value would go unnoticed. The others show in the state dict or do not affect evaluation mode:

    - ``rescale`` and ``highway_bias``: the buffer ``scale_x`` becomes ``alpha``, which here is an attribute and not
      part of ``state_dict()``. ``highway_bias`` matters to ``reset_parameters`` only and stays 0.
    - ``projection_size`` and ``proj_input_to_hidden_first``: the matrices are multiplied. The outputs are the same;
      further training updates the product.
    - ``layer_norm``: normalizes the input of the product, as here.
    - ``has_skip_term=False``: ``alpha`` is 0, or the highway's block of ``weight``, which further training changes.
    - ``v1``: ``weight_c`` is 0; the package does not train it.
    - ``dropout``, ``rnn_dropout``: not in these layers.

    Args:
        state_dict: floating-point tensors by key: ``rnn_lst.L.weight`` (in, K * D * G) or, with a projection to P,
            ``rnn_lst.L.weight_proj`` (in, P) and ``weight`` (P, K * D * G), the block innermost; ``weight_c`` and
            ``bias`` (2 * K * D,); ``scale_x`` (1,); with layer norm, ``layer_norm.weight`` and ``layer_norm.bias``
            (in,); optionally ``input_to_hidden.weight`` (K * D, input_size).
        bidirectional: whether K is 2.
        prefix: of the keys of the ``sru.SRU``, such as ``"encoder.rnn."``; other keys are ignored.
        has_skip_term: whether there is a highway.
        use_tanh: only False can be loaded.
        normalize_after: only False can be loaded.

    Returns:
        The layers, :class:`textrnn.models.sru.SRU`, first to last.

    Raises:
        ModelError: a key is missing or unknown, or its value no floating-point tensor of the right shape; or these
            layers do not support an option (``use_tanh``, ``normalize_after``, ``custom_m``, and
            ``proj_input_to_hidden_first`` together with ``layer_norm``). The error names the key or the option.
    """
    if use_tanh:
        raise ModelError("use_tanh", "these layers have no activation; only use_tanh=False can be loaded")
    if normalize_after:
        raise ModelError(
            "normalize_after", "these layers normalize their input; only normalize_after=False can be loaded"
        )
    entries, first = _entries(state_dict, prefix)
    layers = nn.ModuleList()
    width = None
    for number, entry in enumerate(entries):
        source = _Source(entry, f"{prefix}rnn_lst.{number}.", 2 if bidirectional else 1, has_skip_term)
        source.check(width)
        blocks = source.blocks()
        if number == 0 and first is not None:
            blocks = _fold_input(blocks, first, source=source, key=prefix + _INPUT_KEY)
        layers.append(source.layer(blocks))
        width = source.output_size
    return layers


def _entries(state_dict: Mapping[str, Tensor], prefix: str) -> tuple[list[dict[str, Tensor]], Tensor | None]:
    """Return the tensors of each layer by name, and that of ``input_to_hidden``."""
    found: dict[int, dict[str, Tensor]] = {}
    first = None
    for key, value in state_dict.items():
        if not key.startswith(prefix):
            continue
        match = _LAYER_KEY.fullmatch(key[len(prefix) :])
        if match and match[2].startswith("custom_m."):
            raise ModelError(key, "a custom_m module computes the product; these layers have only a matrix")
        if not (match and match[2] in _NAMES) and key[len(prefix) :] != _INPUT_KEY:
            raise ModelError(key, "no key of sru.SRU 2.6.0; set prefix to select one module of a larger model")
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise ModelError(key, "should be a tensor of floating-point numbers")
        if match:
            found.setdefault(int(match[1]), {})[match[2]] = value
        else:
            first = value
    for number in range(max(found, default=0) + 1):
        for name in ("weight", "weight_c", "bias", "scale_x"):
            if name not in found.get(number, {}):
                hint = "; a model with custom_m cannot be loaded" if name == "weight" and number in found else ""
                hint = hint if found else f"; no key begins with {prefix}rnn_lst."
                raise ModelError(f"{prefix}rnn_lst.{number}.{name}", f"missing from the state dict{hint}")
    return [found[number] for number in range(len(found))], first


@dataclass
class _Source:
    """One layer as ``sru`` stores it, and the prefix of its keys."""

    entry: dict[str, Tensor]
    key: str
    directions: int
    has_skip_term: bool

    @property
    def output_size(self) -> int:
        return self.entry["weight_c"].numel() // 2

    @property
    def input_size(self) -> int:
        return self.entry.get("weight_proj", self.entry["weight"]).shape[0]

    @property
    def hidden_size(self) -> int:
        return self.output_size // self.directions

    def check(self, width: int | None) -> None:
        """Check that the shapes agree, and that the input has the ``width`` of the previous layer, if any."""
        for name, dimensions in (("weight_c", 1), ("weight", 2), ("weight_proj", 2)):
            shape = tuple(self.entry[name].shape) if name in self.entry else (1,) * dimensions
            if len(shape) != dimensions or 0 in shape:
                raise ModelError(self.key + name, f"should have {dimensions} dimensions, none of them 0, not {shape}")
        count = self.entry["weight_c"].numel()
        if count % (2 * self.directions):
            raise ModelError(
                f"{self.key}weight_c", f"{count} numbers, which is not a multiple of {2 * self.directions}"
            )
        if width is not None and self.input_size != width:
            name = "weight_proj" if "weight_proj" in self.entry else "weight"
            raise ModelError(self.key + name, f"reads {self.input_size} columns, but the previous layer gives {width}")
        G = 4 if self.has_skip_term and self.input_size != self.output_size else 3
        rows = self.entry["weight_proj"].shape[1] if "weight_proj" in self.entry else self.input_size
        self._check_shape(
            "weight", (rows, G * self.output_size), "has_skip_term" if G == 4 or not self.has_skip_term else ""
        )
        self._check_shape("bias", (count,), "")
        self._check_shape("scale_x", (1,), "")
        if "layer_norm.weight" in self.entry or "layer_norm.bias" in self.entry:
            self._check_shape("layer_norm.weight", (self.input_size,), "normalize_after")
            self._check_shape("layer_norm.bias", (self.input_size,), "normalize_after")

    def _check_shape(self, name: str, expected: tuple[int, ...], option: str) -> None:
        if name not in self.entry:
            raise ModelError(self.key + name, "missing from the state dict")
        shape = tuple(self.entry[name].shape)
        if shape != expected:
            hint = f"; was it trained with another {option}?" if option else ""
            raise ModelError(self.key + name, f"should be {expected}, not {shape}{hint}")

    @property
    def alpha(self) -> float:
        return self.entry["scale_x"].item() if self.has_skip_term else 0.0

    def blocks(self) -> Tensor:
        """Return the matrix (in, K, G, D) in float64 on the CPU, so that a product of two is rounded once."""
        weight = self.entry["weight"].detach().cpu().double()
        if "weight_proj" in self.entry:
            weight = self.entry["weight_proj"].detach().cpu().double() @ weight
        blocks = weight.reshape(self.input_size, self.directions, self.hidden_size, -1).transpose(2, 3)
        if self.has_skip_term or self.input_size == self.output_size:
            return blocks
        return torch.cat([blocks, torch.zeros_like(blocks[:, :, :1])], dim=2)

    def layer(self, blocks: Tensor) -> SRU:
        """Return the layer with the matrix ``blocks`` (in, K, G, D)."""
        normed = "layer_norm.weight" in self.entry
        layer = SRU(len(blocks), self.hidden_size, bidirectional=self.directions == 2, layer_norm=normed)
        layer.to(device=self.entry["weight"].device, dtype=self.entry["weight"].dtype)
        layer.alpha = self.alpha
        with torch.no_grad():
            layer.weight.copy_(blocks.reshape(layer.weight.shape))
            layer.v.copy_(self.entry["weight_c"].reshape(2, self.directions, self.hidden_size).transpose(0, 1))
            layer.b.copy_(self.entry["bias"].reshape(2, self.directions, self.hidden_size).transpose(0, 1))
            if layer.norm is not None:
                layer.norm.weight.copy_(self.entry["layer_norm.weight"])
                layer.norm.bias.copy_(self.entry["layer_norm.bias"])
        return layer


def _fold_input(blocks: Tensor, first: Tensor, *, source: _Source, key: str) -> Tensor:
    """Return the four blocks (input_size, K, 4, D) of the layer with ``first`` (K * D, input_size) multiplied in."""
    if "layer_norm.weight" in source.entry:
        raise ModelError(
            key, "proj_input_to_hidden_first with layer_norm is unsupported; remove this key and apply it to the input"
        )
    width = source.output_size
    if first.dim() != 2 or first.shape[0] != width or first.shape[1] == width or source.input_size != width:
        raise ModelError(key, f"should be ({width}, another number) before a layer that reads {width} columns")
    matrix = first.detach().cpu().double().T
    highway = source.alpha * matrix.reshape(-1, source.directions, 1, source.hidden_size)
    product = (matrix @ blocks.reshape(width, -1)).view(-1, *blocks.shape[1:])
    return torch.cat([product, highway], dim=2)
