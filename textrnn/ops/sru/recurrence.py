"""The public function: checks shapes, picks a backend, runs it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from textrnn.ops.sru import op, reference
from textrnn.ops.sru.backends import choose_backend

choose = torch.compiler.assume_constant_result(choose_backend)


def sru_recurrence(
    u: Tensor,
    x: Tensor | None,
    offsets: Tensor,
    *,
    v: Tensor,
    b: Tensor,
    alpha: float = 1.0,
    c0: Tensor | None = None,
    mask: Tensor | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    r"""Run the Simple Recurrent Unit over packed sequences, in K directions at once.

    For each direction, with ``u0, u1, u2 (, u3)`` the G blocks of ``u`` and ``c`` starting at ``c0``::

        f_t = sigmoid(u1_t + v_f * c_{t-1} + b_f)
        r_t = sigmoid(u2_t + v_r * c_{t-1} + b_r)
        c_t = f_t * c_{t-1} + (1 - f_t) * u0_t
        h_t = r_t * mask * c_t + (1 - r_t) * alpha * x_t     (u3_t in place of alpha * x_t when G is 4)

    Source: Lei, Zhang, Wang, Dai, Artzi, "Simple Recurrent Units for Highly Parallelizable Recurrence", EMNLP 2018.

    Args:
        u: (N, K, G, D), the projected input; G is 3 or 4. K = 2 reads every sequence forwards and backwards.
        x: (N, K, D), the highway's input where G is 3; None where G is 4.
        offsets: (B+1,) int64 on the same device; sequence ``i`` is rows ``offsets[i]:offsets[i+1]``, which may be none.
        v: (K, 2, D), the weights of the state in the forget gate and in the reset gate.
        b: (K, 2, D), the biases of the forget gate and of the reset gate.
        alpha: the scale of the highway's input.
        c0: (B, K, D), the initial states; none: zeros.
        mask: (B, K, D), a dropout mask for the state in the output, one for all steps of a sequence; none: ones. It
            gets no gradient.
        backend: ``reference``, ``cpu`` (float32 and bfloat16), ``cuda`` (these and float16), or ``auto``: the fastest
            that computes on the device and in the dtype of ``u``. What is of another dtype than it computes in is cast.

    Returns:
        ``h`` (N, K, D) in the dtype of ``u``, and the final states (B, K, D) in float32 (float64 where ``u`` is).

    Raises:
        ValueError: shapes or devices that do not fit together, or offsets on the CPU that do not rise from 0 to N. On a
            CUDA device they are held to that range, not read: reading them would make the device wait.
        BackendError: a backend that is not available.
        NotImplementedError: forward-mode derivatives.
    """
    check(u, x, offsets, v=v, b=b, c0=c0, mask=mask)
    refuse_tangents(u, x, v, b, c0)
    name = choose(backend, device=u.device.type, dtype=str(u.dtype).removeprefix("torch."))
    if name == "reference":
        return reference.recur(u, x, offsets, v=v, b=b, alpha=alpha, c0=c0, mask=mask)
    return op.recur(u, x, offsets, v=v, b=b, alpha=alpha, c0=c0, mask=mask, backend=name)


def check(
    u: Tensor, x: Tensor | None, offsets: Tensor, *, v: Tensor, b: Tensor, c0: Tensor | None, mask: Tensor | None
) -> None:
    """Raise ValueError where shapes or devices do not fit together."""
    if u.dim() != 4 or u.shape[2] not in (3, 4):
        raise ValueError(f"u should be (N, K, 3 or 4, D), not {tuple(u.shape)}")
    if not u.is_floating_point():
        raise ValueError(f"u should hold floating-point numbers, not {u.dtype}")
    N, K, G, D = u.shape
    if (x is None) != (G == 4):
        raise ValueError("x is needed where u has 3 blocks, and only there")
    if offsets.dim() != 1 or offsets.dtype != torch.int64 or offsets.shape[0] == 0:
        raise ValueError(f"offsets should be (B+1,) torch.int64, not {tuple(offsets.shape)} {offsets.dtype}")
    B = offsets.shape[0] - 1
    if offsets.device != u.device:
        raise ValueError(f"offsets should be on {u.device}, not on {offsets.device}")
    for name, tensor, shape in (
        ("x", x, (N, K, D)),
        ("v", v, (K, 2, D)),
        ("b", b, (K, 2, D)),
        ("c0", c0, (B, K, D)),
        ("mask", mask, (B, K, D)),
    ):
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"{name} should be {shape}, not {tuple(tensor.shape)}")
        if tensor is not None and tensor.device != u.device:
            raise ValueError(f"{name} should be on {u.device}, not on {tensor.device}")


def refuse_tangents(*tensors: Tensor | None) -> None:
    """Raise NotImplementedError where forward-mode derivatives are asked for: they would silently be zero."""
    if torch.compiler.is_compiling() or forward_ad._current_level < 0:
        return
    if any(tensor is not None and forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors):
        raise NotImplementedError("SRU has no forward-mode derivatives; take them in backward mode")
